# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Download many files."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from astropy.table import QTable

from astroclip_search.archive._content import KINDS
from astroclip_search.archive._names import safe_name, url_name
from astroclip_search.archive._pool import fetch_all
from astroclip_search.archive._transfer import Options
from astroclip_search.config import conf
from astroclip_search.exceptions import ArchiveError, QueryError

__all__ = ['DownloadReport', 'download']


@dataclass(frozen=True)
class DownloadReport:
    """
    What a call of `download` brought.

    Attributes
    ----------
    paths : list of `~pathlib.Path` or None
        The file of each address, in order; `None` where there is none.
    fetched : int
        Files that were fetched now.
    present : int
        Files that were there already.
    failures : `~astropy.table.QTable`
        ``url`` and ``reason`` of each address without a file.
    """

    paths: list
    fetched: int
    present: int
    failures: QTable


def download(
    urls,
    folder,
    *,
    names=None,
    kind='image',
    workers=None,
    timeout=None,
    retries=None,
    max_size=None,
    schemes=('https', 'http'),
    overwrite=False,
    seed=0,
    progress=None,
):
    """
    Download files, go on where one fails, and fetch only what is missing.

    Each file appears in the folder when it is complete and checked, never
    before. A transfer that breaks is resumed, in this call or the next, where
    the server tells that the file is still the same. Refused connections,
    silence, statuses 408, 425, 429 and 5xx, truncated files and HTML pages in
    place of files are tried again, with exponentially growing waits;
    ``Retry-After`` is honoured up to two minutes and holds for all files of
    that server.

    Parameters
    ----------
    urls : iterable of str
        The addresses. The same address twice is fetched once.
    folder : str or path-like
        Where the files go; it is made if need be.
    names : iterable of str, optional
        A file name for each address, made harmless. By default the last part
        of the address with a hash of the whole.
    kind : {'image', 'any'}, optional
        What is expected: a picture in a format that this package reads
        (FITS, JPEG, PNG, GIF, TIFF, WebP), or anything but an HTML page.
    workers : int, optional
        Files under way at once from one server; default
        ``conf.download_workers``.
    timeout : float, optional
        Seconds without an answer, or with less than 1000 bytes a second,
        after which an attempt is given up; default ``conf.timeout``.
    retries : int, optional
        How often a failed file is tried again; default ``conf.retries``.
    max_size : int, optional
        Bytes above which a file is refused; default
        ``conf.max_download_size``.
    schemes : tuple of str, optional
        Kinds of addresses that are allowed; ``'file'`` can be added.
    overwrite : bool, optional
        Fetch files that are there already once more.
    seed : int, optional
        Seed of the random part of waits.
    progress : bool, optional
        Whether to show a progress bar; default ``conf.progress``.

    Returns
    -------
    report : `DownloadReport`
        The files and the failures.

    Raises
    ------
    QueryError
        If names and addresses do not match, or an argument is out of range.
    ArchiveError
        If the folder cannot be written.
    """
    urls = [str(url).strip() for url in urls]
    options = _options(kind, timeout, retries, max_size, schemes, seed)
    limit = conf.download_workers if workers is None else workers
    if limit < 1:
        msg = f'workers is {limit!r}; at least one is needed'
        raise QueryError(msg)
    folder = Path(folder)
    paths = _paths(urls, names, folder)
    reasons, missing = {}, {}
    for url, path in paths.items():
        if overwrite or not path.is_file():
            reason = _refusal(url, options.schemes)
            if reason:
                reasons[url] = reason
            else:
                missing[url] = path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reasons |= fetch_all(missing, limit, options, progress)
    except OSError as exc:
        msg = f'The folder {str(folder)!r} cannot be written: {exc}'
        raise ArchiveError(msg) from exc
    failed = [url for url in paths if url in reasons]
    failures = QTable(
        [failed, [reasons[url] for url in failed]],
        names=('url', 'reason'),
        dtype=('str', 'str'),
    )
    return DownloadReport(
        paths=[None if url in reasons else paths[url] for url in urls],
        fetched=sum(url not in reasons for url in missing),
        present=len(paths) - len(reasons.keys() | missing.keys()),
        failures=failures,
    )


def _options(kind, timeout, retries, max_size, schemes, seed):
    if kind not in KINDS:
        msg = f'kind is {kind!r}; it must be one of {KINDS}'
        raise QueryError(msg)
    timeout = conf.timeout if timeout is None else float(timeout)
    retries = conf.retries if retries is None else int(retries)
    if not timeout > 0 or retries < 0:
        msg = (
            f'timeout is {timeout} and retries is {retries}; seconds above 0 '
            'and a number of 0 or more are needed'
        )
        raise QueryError(msg)
    return Options(
        kind=kind,
        timeout=timeout,
        retries=retries,
        max_size=conf.max_download_size if max_size is None else max_size,
        schemes=tuple(schemes),
        seed=seed,
    )


def _paths(urls, names, folder):
    """Return the path of each distinct address, none of them twice."""
    if names is None:
        names = [url_name(url) for url in urls]
    else:
        names = [safe_name(name) for name in names]
    if len(names) != len(urls):
        msg = f'{len(names)} names were given for {len(urls)} addresses'
        raise QueryError(msg)
    paths, owners = {}, {}
    for url, name in zip(urls, names, strict=True):
        # Compared without case, since some file systems do.
        owner = owners.setdefault(name.lower(), url)
        if owner != url:
            msg = (
                f'The name {name!r} was given to {owner!r} and to {url!r}: '
                'each address needs its own'
            )
            raise QueryError(msg)
        paths.setdefault(url, folder / name)
    return paths


def _refusal(url, schemes):
    """Why an address is not even tried, or None."""
    try:
        parts = urlsplit(url)
        complete = bool(parts.hostname) or parts.scheme == 'file'
    except ValueError:
        return 'not a valid address'
    if parts.scheme not in schemes:
        return (
            f'addresses of the kind {parts.scheme!r} are not fetched, '
            f'only {", ".join(schemes)}'
        )
    return None if complete else 'the address names no server'
