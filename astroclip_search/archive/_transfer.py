# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Fetch one file from an archive that may fail.

The connection, redirects, TLS and proxies are those of requests. This module
adds what a run over many files needs: one policy for everything that can go
wrong, resumption, and a check that the file is what was asked for.
"""

import os
import random
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
from urllib3.exceptions import HTTPError

from astroclip_search.archive._answers import (
    TRANSIENT,
    TransferError,
    detail,
    explain,
    retry_after,
    too_big,
)
from astroclip_search.archive._content import HEAD, check_head, check_tail
from astroclip_search.archive._partial import (
    continues,
    discard,
    keep_tag,
    resumable,
)
from astroclip_search.archive._session import StoppedError, open_url

__all__ = ['Options', 'backoff', 'fetch']

_CHUNK = 1 << 16
_MIN_SPEED = 1000  # bytes a second; a slower server drips
_MAX_SILENT = 10  # files in a row without any answer: the host is down


@dataclass(frozen=True)
class Options:
    """What holds for every file of a run."""

    kind: str
    timeout: float
    retries: int
    max_size: int
    schemes: tuple
    seed: int


def fetch(url, path, *, session, host, options, stop):
    """
    Fetch one file, trying again where that can help.

    Parameters
    ----------
    url : str
        The address.
    path : `~pathlib.Path`
        Where the complete, checked file appears at once.
    session : `requests.Session`
        Used by one thread only.
    host : `~astroclip_search.archive._session.Host`
        The server's state, shared by all threads.
    options : `Options`
        What holds for the run.
    stop : `threading.Event`
        Set to make all transfers end.

    Returns
    -------
    size : int
        Size of the file in bytes.

    Raises
    ------
    TransferError
        If the file cannot be had.
    """
    part = path.with_name(f'.{path.name}.part')
    # Seeded by address, so that a run waits the same whatever the order.
    rng = random.Random(f'{options.seed} {url}')
    for attempt in range(options.retries + 1):
        if host.silent >= _MAX_SILENT:
            msg = (
                f'not tried: {_MAX_SILENT} files in a row had no answer, or '
                'a very slow one, from this server'
            )
            raise TransferError(msg)
        try:
            with host.slots:
                host.wait(stop)
                size = _receive(url, part, session, options, stop)
            host.silent = 0
            part.replace(path)
            discard(part)
        except TransferError as exc:
            if exc.discard:
                discard(part)
            if not exc.silent:
                host.silent = 0
            if not exc.again or attempt == options.retries:
                host.silent += exc.silent
                tries = f' ({attempt + 1} tries)' if attempt else ''
                msg = f'{exc}{tries}'
                raise TransferError(msg) from exc
            if exc.wait is not None:
                until = time.monotonic() + exc.wait
                host.not_before = max(host.not_before, until)
            stop.wait(backoff(attempt, rng))
        else:
            return size
    return None  # never reached; range() has at least one item


def backoff(attempt, rng):
    """Seconds to wait: twice as long each time, and apart from others."""
    return rng.uniform(0.5, 1) * min(0.25 * 2**attempt, 30)


def _receive(url, part, session, options, stop):
    """Make one attempt; on success the partial file is complete."""
    if urlsplit(url).scheme == 'file':
        return _copy(url, part, options)
    offset, tag = resumable(part)
    headers = {}
    if offset:
        headers = {'Range': f'bytes={offset}-', 'If-Range': tag}
    try:
        with open_url(
            session, url, headers=headers, timeout=options.timeout
        ) as response:
            offset, total = _accept(response, part, offset, options)
            return _save(response, part, offset, total, options, stop)
    except (requests.RequestException, HTTPError, OSError) as exc:
        raise explain(exc, url, options) from exc


def _accept(response, part, offset, options):
    """Judge status and headers; return where writing starts and ends."""
    status = response.status_code
    if status == 416:  # what we have is no part of what is there now
        msg = 'the server refuses to resume the partial file'
        raise TransferError(msg, again=True, discard=True)
    if status not in (200, 206):
        msg = f'HTTP status {status} {response.reason or ""}'.strip()
        msg += detail(response)
        wait = retry_after(response) if status in (429, 503) else None
        raise TransferError(msg, again=status in TRANSIENT, wait=wait)
    content_type = response.headers.get('Content-Type', '')
    if content_type.partition(';')[0].strip().lower() == 'text/html':
        msg = 'the server sent an HTML page (an error or login page?)'
        raise TransferError(msg, again=True)
    length = response.headers.get('Content-Length', '')
    length = int(length) if length.isdecimal() else None
    if 'Content-Encoding' in response.headers:
        length = None  # it counts other bytes than those that we write
    if status == 200:
        offset = 0
    elif not continues(response, offset):
        msg = 'the server resumed the partial file at the wrong place'
        raise TransferError(msg, again=True, discard=True)
    total = None if length is None else offset + length
    if total is not None and total > options.max_size:
        raise TransferError(too_big(total, options))
    if not offset:
        keep_tag(response, part)
    return offset, total


def _save(response, part, offset, total, options, stop):
    """Write the body, in bounded memory and not for ever."""
    size = offset
    head = b''
    window = (time.monotonic(), size)
    with part.open('ab' if offset else 'wb') as file:
        # read1 returns what has come, so that a dripping server cannot
        # keep us in one call.
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            if stop.is_set():
                raise StoppedError
            if size < HEAD and not offset:
                head = (head + chunk)[:HEAD]
            file.write(chunk)
            size += len(chunk)
            if size >= HEAD and head:
                _judge(check_head(head, options.kind))
                head = b''
            if size > options.max_size:
                raise TransferError(too_big(size, options), discard=True)
            elapsed = time.monotonic() - window[0]
            if elapsed > options.timeout:
                if size - window[1] < _MIN_SPEED * elapsed:
                    msg = f'slower than {_MIN_SPEED} bytes a second'
                    raise TransferError(msg, again=True, silent=True)
                window = (time.monotonic(), size)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and size != total:
        msg = f'the file ended after {size} of {total} bytes'
        raise TransferError(msg, again=True)
    if size < HEAD:
        _judge(check_head(part.read_bytes(), options.kind))
    if total is None:
        _judge(check_tail(part))
    return size


def _judge(reason):
    if reason:
        raise TransferError(reason, again=True, discard=True)


def _copy(url, part, options):
    source = Path(url2pathname(urlsplit(url).path))
    try:
        size = source.stat().st_size
        if size > options.max_size:
            raise TransferError(too_big(size, options))
        shutil.copyfile(source, part)
    except OSError as exc:
        msg = f'the local file cannot be read ({exc.strerror})'
        raise TransferError(msg) from exc
    with part.open('rb') as file:
        reason = check_head(file.read(HEAD), options.kind)
    if reason:
        raise TransferError(reason, discard=True)
    return size
