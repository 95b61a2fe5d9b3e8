# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""One server, and one request to it."""

import threading
import time
from urllib.parse import urljoin, urlsplit

import requests

from astroclip_search.archive._answers import TransferError

__all__ = ['Host', 'StoppedError', 'make_session', 'open_url']

_REDIRECTS = 5


class StoppedError(Exception):
    """The run was interrupted."""


class Host:
    """What is known of one server while a run lasts."""

    def __init__(self, limit):
        self.slots = threading.Semaphore(limit)
        self.not_before = 0.0
        self.silent = 0

    def wait(self, stop):
        """Wait until the host may be asked again, or the run is stopped."""
        while not stop.is_set():
            left = self.not_before - time.monotonic()
            if left <= 0:
                return
            stop.wait(left)
        raise StoppedError


def make_session():
    """Return a session that says who asks."""
    from astroclip_search import __version__

    session = requests.Session()
    session.headers['User-Agent'] += f' astroclip_search/{__version__}'
    # A length, a range and a digest are all of the bytes as they are sent.
    session.headers['Accept-Encoding'] = 'identity'
    return session


def open_url(session, url, *, headers, timeout):
    """
    Ask for a file, and follow redirects.

    A session reads the body of a redirect to its end, which a server can
    make never come; that is why the adapter is asked directly.

    Parameters
    ----------
    session : `requests.Session`
        The session.
    url : str
        The address.
    headers : dict
        Headers of the request.
    timeout : float
        Seconds without an answer.

    Returns
    -------
    response : `requests.Response`
        The last answer, its body not read; to be closed.

    Raises
    ------
    TransferError
        If the redirects do not end, or lead elsewhere.
    """
    for _ in range(_REDIRECTS + 1):
        request = requests.Request('GET', url, headers=headers)
        request = session.prepare_request(request)
        # Proxies and certificates of the environment.
        settings = session.merge_environment_settings(
            request.url, {}, True, None, None
        )
        response = session.get_adapter(request.url).send(
            request, timeout=(min(timeout, 30), timeout), **settings
        )
        target = session.get_redirect_target(response)
        if target is None:
            return response
        response.close()
        url = urljoin(url, target)
        if urlsplit(url).scheme not in ('http', 'https'):
            msg = f'redirected to {url[:80]!r}, which is no web address'
            raise TransferError(msg)
    msg = f'more than {_REDIRECTS} redirects'
    raise TransferError(msg)
