# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Collections that are published at an address.

What is published is the directory of a collection, with a file SHA256SUMS in
the form of the command sha256sum. Any web server can do it.
"""

import contextlib
import hashlib
import os
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlsplit

from astropy.config import get_cache_dir
from astropy.utils.data import download_file, import_file_to_cache

from astroclip_search.archive._cache import PACKAGE, cached_file
from astroclip_search.archive._download import download
from astroclip_search.archive._names import safe_name
from astroclip_search.exceptions import ArchiveError, QueryError

__all__ = ['fetch_collection', 'is_address']

_SUMS = 'SHA256SUMS'
_LINE = re.compile(r'([0-9a-fA-F]{64}) [ *](?:\./)?(.+)')
_MOST_FILES = 100_000


def is_address(collection):
    """Whether a collection is named by a web address (bool)."""
    return isinstance(collection, str) and collection.lower().startswith(
        ('http://', 'https://')
    )


def fetch_collection(address, *, cache=True, progress=None):
    """
    Fetch a published collection once, and verify every byte.

    Parameters
    ----------
    address : str
        Address of the directory, in which a file ``SHA256SUMS`` lists the
        others as the command ``sha256sum`` does. With
        ``#sha256=<digest of SHA256SUMS>`` at its end the address names one
        version, and no server can slip in another.
    cache : bool, optional
        Whether the list that was fetched earlier will do; otherwise it is
        looked whether there is a new version. Files are fetched only where
        they changed.
    progress : bool, optional
        Whether to show a progress bar; default ``conf.progress``.

    Returns
    -------
    path : `~pathlib.Path`
        The directory, complete, in Astropy's cache.

    Raises
    ------
    QueryError
        If the address is none.
    ArchiveError
        If something cannot be fetched, or is not what the digests say.
    """
    base, pinned = _split(address)

    def check(path):
        _read_sums(path, base, pinned)

    sums = cached_file(base + _SUMS, kind='any', cache=cache, check=check)
    digests = _read_sums(sums, base, pinned)
    name = Path(safe_name(urlsplit(base).path.rstrip('/')))
    version = hashlib.sha256(sums.read_bytes()).hexdigest()[:16]
    root = Path(get_cache_dir(PACKAGE)) / 'collections'
    folder = root / f'{name.stem}-{version}{name.suffix}'
    if not folder.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        staging = folder.with_name(f'.{folder.name}')
        files = _files(base, digests, staging, progress)
        _assemble(files, folder)
    return folder


def _split(address):
    base, _, fragment = address.partition('#')
    if not is_address(base) or not urlsplit(base).hostname:
        msg = f'{address!r} is no address of a collection: it starts with http'
        raise QueryError(msg)
    pinned = fragment.lower().removeprefix('sha256=')
    if fragment and not re.fullmatch('[0-9a-f]{64}', pinned):
        msg = (
            f'{address!r} ends with {fragment!r}, which is not sha256= and '
            '64 hexadecimal digits'
        )
        raise QueryError(msg)
    return base.rstrip('/') + '/', pinned


def _read_sums(path, base, pinned):
    """Return the digest of each file, by its path below the collection."""
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if pinned and found != pinned:
        msg = (
            f'{base + _SUMS} has the digest {found}, but the address asks '
            f'for {pinned}: it is another version, or not to be trusted'
        )
        raise ArchiveError(msg)
    digests = {}
    for line in data.decode('utf-8', 'replace').splitlines():
        match = _LINE.fullmatch(line.rstrip())
        if match is None or not _is_safe(match[2]):
            msg = f'{base + _SUMS} has a line that is refused: {line[:80]!r}'
            raise ArchiveError(msg)
        digests[match[2]] = match[1].lower()
    if 'manifest.json' not in digests or len(digests) > _MOST_FILES:
        msg = f'{base + _SUMS} lists no collection: no manifest.json in it'
        raise ArchiveError(msg)
    return digests


def _is_safe(path):
    """Whether a path stays below the directory, on every system."""
    return all(part == safe_name(part) for part in path.split('/'))


def _files(base, digests, staging, progress):
    """Return a verified copy of each file in Astropy's cache."""
    files, missing = {}, {}
    for name, digest in digests.items():
        url = base + quote(name)
        with contextlib.suppress(KeyError):
            path = download_file(url, cache=True, sources=[], pkgname=PACKAGE)
            if _digest(path) == digest:
                files[name] = path
                continue
        missing[name] = url
    # The staging folder stays where a file fails, so that the next call
    # goes on from there.
    report = download(missing.values(), staging, kind='any', progress=progress)
    if len(report.failures):
        url, reason = report.failures['url'][0], report.failures['reason'][0]
        msg = (
            f'{len(report.failures)} of {len(digests)} files of the '
            f'collection were not fetched; {url}: {reason}'
        )
        raise ArchiveError(msg)
    for path, (name, url) in zip(report.paths, missing.items(), strict=True):
        if _digest(path) != digests[name]:
            path.unlink()
            msg = (
                f'{url} is not the file that {_SUMS} lists: its SHA-256 '
                'differs; try again, or tell the publisher'
            )
            raise ArchiveError(msg)
        files[name] = import_file_to_cache(url, path, pkgname=PACKAGE)
        path.unlink()
    shutil.rmtree(staging, ignore_errors=True)
    return files


def _assemble(files, folder):
    """Make the directory, all at once, without a second copy of the data."""
    with TemporaryDirectory(dir=folder.parent) as temporary:
        target = Path(temporary) / 'collection'
        for name, source in files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, path)
            except OSError:  # a file system without links
                shutil.copyfile(source, path)
        try:
            target.rename(folder)
        except OSError as exc:
            # Another process may have been faster.
            if not folder.is_dir():
                msg = f'{str(folder)!r} cannot be written: {exc}'
                raise ArchiveError(msg) from exc


def _digest(path):
    with Path(path).open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
