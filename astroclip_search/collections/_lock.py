# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
One writer at a time.

The lock is the system's lock on an open file, so it ends with the process
that holds it, however that ends; the file's text only tells others who it is.
"""

import json
import os
import socket
from contextlib import contextmanager
from datetime import UTC, datetime

from astroclip_search.exceptions import CollectionError

__all__ = []

try:
    import fcntl
except ImportError:
    fcntl = None
    import msvcrt

# Windows locks bytes that nobody else can read; this one is past the text.
_BYTE = 1 << 20


@contextmanager
def write_lock(folder):
    """
    Hold the lock of a collection for a block.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Directory of the collection.

    Raises
    ------
    CollectionError
        If another writer holds it, or the directory cannot be written.
    """
    path = folder / 'lock'
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as exc:
        msg = (
            f'collection {str(folder)!r} cannot be written '
            f'({exc.strerror}); copy it to a place where you may write'
        )
        raise CollectionError(msg) from exc
    try:
        try:
            _lock(handle)
        except OSError as exc:
            msg = (
                f'collection {str(folder)!r} is being written by '
                f'{_holder(handle)}; wait until that has ended'
            )
            raise CollectionError(msg) from exc
        try:
            _sign(handle)
            yield
        finally:
            _unlock(handle)
    finally:
        os.close(handle)


def _lock(handle):
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        os.lseek(handle, _BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)


def _unlock(handle):
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_UN)
    else:
        os.lseek(handle, _BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)


def _sign(handle):
    """Say who holds the lock; a full disk is no reason to fail here."""
    started = datetime.now(UTC).isoformat(timespec='seconds')
    text = json.dumps(
        {'pid': os.getpid(), 'host': socket.gethostname(), 'since': started}
    ).encode()
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, text.ljust(256))
    except OSError:
        return


def _holder(handle):
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        who = json.loads(os.read(handle, 256))
        return f'process {who["pid"]} on {who["host"]} since {who["since"]}'
    except (OSError, ValueError, KeyError, TypeError):
        return 'another process'
