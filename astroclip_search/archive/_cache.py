# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Files from the network, kept in Astropy's cache."""

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory

from astropy.utils.data import download_file, import_file_to_cache

from astroclip_search.archive._download import download
from astroclip_search.exceptions import ArchiveError

__all__ = ['PACKAGE', 'cached_file', 'cached_files']

PACKAGE = 'astroclip_search'


def cached_file(url, *, kind='image', cache=True, check=None):
    """
    Return the file at an address, fetching it once.

    Parameters
    ----------
    url : str
        The address.
    kind, cache, check
        As in `cached_files`.

    Returns
    -------
    path : `~pathlib.Path`
        The file, which has no suffix.

    Raises
    ------
    ArchiveError
        If it is not in the cache and cannot be fetched.
    """
    paths, reasons = cached_files(
        [url], kind=kind, cache=cache, check=check, progress=False
    )
    if url not in paths:
        msg = f'{url} was not fetched: {reasons[url]}'
        raise ArchiveError(msg)
    return paths[url]


def cached_files(urls, *, kind='image', cache=True, check=None, progress=None):
    """
    Return the files at addresses, fetching each once.

    The transfer is that of `~astroclip_search.archive.download`; the files
    are kept by `astropy.utils.data` under ``pkgname='astroclip_search'``, so
    its functions list, export and clear them.

    Parameters
    ----------
    urls : list of str
        The addresses.
    kind : {'image', 'any'}, optional
        What is expected there.
    cache : bool, optional
        Whether files that were fetched earlier will do.
    check : callable, optional
        Called with the path of each file that was just fetched; what it
        raises keeps the file out of the cache.
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    paths : dict of str to `~pathlib.Path`
        The file of each address; files have no suffix.
    reasons : dict of str to str
        Why there is no file, for the other addresses.

    Raises
    ------
    ArchiveError
        If the cache cannot be written.
    """
    paths = {}
    if cache:
        for url in urls:
            # No sources: from the cache, or KeyError.
            with contextlib.suppress(KeyError):
                path = download_file(
                    url, cache=True, sources=[], pkgname=PACKAGE
                )
                paths[url] = Path(path)
    missing = [url for url in dict.fromkeys(urls) if url not in paths]
    if not missing:
        return paths, {}
    with TemporaryDirectory() as folder:
        report = download(missing, folder, kind=kind, progress=progress)
        for url, path in zip(missing, report.paths, strict=True):
            if path is None:
                continue
            if check is not None:
                check(path)
            try:
                kept = import_file_to_cache(url, path, pkgname=PACKAGE)
            except OSError as exc:
                msg = (
                    f'The cache of Astropy cannot be written ({exc}): free '
                    'some space, or point XDG_CACHE_HOME to another folder'
                )
                raise ArchiveError(msg) from exc
            paths[url] = Path(kept)
            path.unlink()
    failures = report.failures
    return paths, dict(
        zip(failures['url'].tolist(), failures['reason'].tolist(), strict=True)
    )
