# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Single files from the network, kept in Astropy's cache."""

from pathlib import Path
from tempfile import TemporaryDirectory

from astropy.utils.data import download_file, import_file_to_cache

from astroclip_search.archive._download import download
from astroclip_search.exceptions import ArchiveError

__all__ = ['PACKAGE', 'cached_file']

PACKAGE = 'astroclip_search'


def cached_file(url, *, kind='image', cache=True, check=None):
    """
    Return the file at an address, fetching it once.

    The transfer is that of `~astroclip_search.archive.download`; the file is
    kept by `astropy.utils.data` under ``pkgname='astroclip_search'``, so its
    functions list, export and clear it.

    Parameters
    ----------
    url : str
        The address.
    kind : {'image', 'any'}, optional
        What is expected there.
    cache : bool, optional
        Whether a file that was fetched earlier will do.
    check : callable, optional
        Called with the path of a file that was just fetched; what it raises
        keeps the file out of the cache.

    Returns
    -------
    path : `~pathlib.Path`
        The file, which has no suffix.

    Raises
    ------
    ArchiveError
        If it is not in the cache and cannot be fetched.
    """
    if cache:
        try:
            # No sources: from the cache, or KeyError.
            path = download_file(url, cache=True, sources=[], pkgname=PACKAGE)
            return Path(path)
        except KeyError:
            pass
    with TemporaryDirectory() as folder:
        report = download(
            [url], folder, names=['file'], kind=kind, progress=False
        )
        if report.paths[0] is None:
            msg = f'{url} was not fetched: {report.failures["reason"][0]}'
            raise ArchiveError(msg)
        if check is not None:
            check(report.paths[0])
        try:
            path = import_file_to_cache(url, report.paths[0], pkgname=PACKAGE)
        except OSError as exc:
            msg = (
                f'The cache of Astropy cannot be written ({exc}): free some '
                'space, or point XDG_CACHE_HOME to another folder'
            )
            raise ArchiveError(msg) from exc
    return Path(path)
