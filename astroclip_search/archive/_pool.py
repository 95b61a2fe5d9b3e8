# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Many files at once, from several servers."""

import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from urllib.parse import urlsplit

from astroclip_search._progress import progress_bar
from astroclip_search.archive._answers import TransferError
from astroclip_search.archive._session import Host, make_session
from astroclip_search.archive._transfer import fetch

__all__ = ['fetch_all']

_MAX_THREADS = 32


def fetch_all(missing, limit, options, progress):
    """
    Fetch files in threads.

    Parameters
    ----------
    missing : dict of str to `~pathlib.Path`
        Where the file of each address goes.
    limit : int
        Files under way at once from one server.
    options : `~astroclip_search.archive._transfer.Options`
        What holds for the run.
    progress : bool or None
        Whether to show a progress bar.

    Returns
    -------
    reasons : dict of str to str
        Why there is no file, for the addresses without one.
    """
    hosts = {urlsplit(url).netloc: Host(limit) for url in missing}
    # More threads than slots, since a file that waits for its next try
    # holds a thread but no slot.
    threads = max(1, min(_MAX_THREADS, 4 * limit * len(hosts), len(missing)))
    local = threading.local()
    stop = threading.Event()
    sessions, reasons = [], {}

    def start():
        local.session = make_session()
        sessions.append(local.session)

    def one(url, path):
        fetch(
            url,
            path,
            session=local.session,
            host=hosts[urlsplit(url).netloc],
            options=options,
            stop=stop,
        )

    bar = progress_bar(
        total=len(missing), desc='Downloading', unit='file', show=progress
    )
    pool = ThreadPoolExecutor(threads, initializer=start)
    try:
        for url, future in _windowed(pool, one, missing, 2 * threads):
            try:
                future.result()
            except TransferError as exc:
                reasons[url] = str(exc)
            bar.update()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        for session in sessions:
            session.close()
        bar.close()
    return reasons


def _windowed(pool, function, items, size):
    """Yield finished futures; no more than ``size`` wait at any time."""
    todo = iter(items.items())
    pending = {}
    while True:
        for url, path in islice(todo, size - len(pending)):
            pending[pool.submit(function, url, path)] = url
        if not pending:
            return
        done, _ = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            yield pending.pop(future), future
