# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Files that are on disk whole, or not at all."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from astroclip_search.exceptions import CollectionError

__all__ = []


class HashingFile:
    """
    A binary file that knows the digest of what was written to it.

    Used as a context manager it is on disk when the block ends, and gone if
    the block fails.

    Parameters
    ----------
    path : path-like
        The file; it must not exist.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.bytes = 0
        self._digest = hashlib.sha256()
        self._file = self.path.open('xb')

    @property
    def sha256(self):
        """Digest of the bytes so far, hexadecimal."""
        return self._digest.hexdigest()

    @property
    def closed(self):
        """Whether the file is closed."""
        return self._file.closed

    def write(self, data):
        """
        Write bytes.

        Parameters
        ----------
        data : bytes-like
            What to write.

        Returns
        -------
        n : int
            Number of bytes.
        """
        view = memoryview(data).cast('B')
        self._digest.update(view)
        self._file.write(view)
        self.bytes += len(view)
        return len(view)

    def flush(self):
        """Do nothing: the end of the block flushes."""

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        try:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())
            self._file.close()
        except OSError:
            with suppress(OSError):
                self._file.close()
            self.path.unlink(missing_ok=True)
            raise
        if kind is not None:
            self.path.unlink(missing_ok=True)


def replace_file(path, data):
    """
    Put bytes in the place of a file, atomically.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.
    data : bytes
        What it shall hold.
    """
    new = path.with_name(f'.{path.name}.{os.getpid()}.new')
    new.unlink(missing_ok=True)
    with HashingFile(new) as file:
        file.write(data)
    try:
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path):
    """
    Bring the names in a folder to disk, where the system can.

    Parameters
    ----------
    path : path-like
        The folder.
    """
    if os.name == 'nt':
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest_of(path):
    """
    Digest of a file, read in pieces.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    sha256 : str
        Hexadecimal.
    """
    with Path(path).open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def write_failed(path, exc):
    """
    Make the error for a file that could not be written.

    Parameters
    ----------
    path : path-like
        The collection.
    exc : OSError
        What the system said.

    Returns
    -------
    error : `~astroclip_search.exceptions.CollectionError`
        To be raised.
    """
    return CollectionError(
        f'collection {str(path)!r} cannot be written '
        f'({exc.strerror or exc}); nothing of this change was kept, '
        'everything committed before it is. Make room or get access, and '
        'repeat the call.'
    )
