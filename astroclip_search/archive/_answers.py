# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""What servers answer when they do not answer well, and what it means."""

import contextlib
import json
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, InvalidHeader, SSLError
from urllib3.util import Retry

__all__ = [
    'TRANSIENT',
    'TransferError',
    'detail',
    'explain',
    'retry_after',
    'too_big',
]

# Answers that the same request may not get a little later (RFC 9110).
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_MAX_WAIT = 120.0  # seconds that a Retry-After can make us wait


class TransferError(Exception):
    """A failed attempt: its reason, and whether to try again."""

    def __init__(
        self, reason, *, again=False, wait=None, silent=False, discard=False
    ):
        super().__init__(reason)
        self.again = again
        self.wait = wait  # seconds that the server asks for
        self.silent = silent  # the server said nothing at all
        self.discard = discard  # the partial file is of no use


def explain(exc, url, options):
    """Turn what went wrong on the way into words."""
    host = urlsplit(url).hostname
    if isinstance(exc, (requests.exceptions.SSLError, SSLError)):
        msg = (
            f'the TLS connection to {host} failed ({exc}): check the date of '
            'this computer, and set REQUESTS_CA_BUNDLE where a proxy signs '
            'connections'
        )
        return TransferError(' '.join(msg.split()))
    if isinstance(
        exc,
        (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.MissingSchema,
        ),
    ):
        return TransferError(f'not an address that can be fetched ({exc})')
    if not isinstance(exc, (requests.RequestException, HTTPError)) and (
        getattr(exc, 'filename', None) or exc.errno in (27, 28, 122)
    ):
        raise exc  # our own disk, not the network
    text = str(exc)
    if isinstance(exc, requests.Timeout) or 'timed out' in text.lower():
        msg = f'no answer for {options.timeout:g} s'
    elif isinstance(exc, requests.exceptions.ConnectionError):
        msg = f'no connection to {host} ({_root(exc)})'
    else:
        return TransferError(
            f'the connection broke ({_root(exc)})', again=True
        )
    return TransferError(msg, again=True, silent=True)


def _root(exc):
    """Return the innermost cause in one line: the rest only wraps it."""
    while (inner := exc.__cause__ or exc.__context__) is not None:
        exc = inner
    return ' '.join(str(exc).split()) or type(exc).__name__


def retry_after(response):
    """Seconds that the server asks us to wait, bounded; or None."""
    with contextlib.suppress(InvalidHeader):
        seconds = Retry().get_retry_after(response)
        if seconds is not None:
            return min(max(seconds, 0.0), _MAX_WAIT)
    return None


def detail(response):
    """Return what the server says about an error, if it is short and text."""
    content_type = response.headers.get('Content-Type', '')
    if not content_type.startswith(('application/json', 'text/plain')):
        return ''
    text = response.raw.read1(2000).decode('utf-8', 'replace')
    with contextlib.suppress(ValueError, AttributeError):
        reply = json.loads(text)
        text = reply.get('description') or reply.get('title') or text
    text = ' '.join(str(text).split())
    return f' ({text[:200]})' if text else ''


def too_big(size, options):
    return (
        f'{size} bytes are more than the limit of {options.max_size} '
        '(conf.max_download_size, or max_size=)'
    )
