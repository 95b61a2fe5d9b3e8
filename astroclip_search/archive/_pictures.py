# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The pictures of rows, as FITS."""

import io
import warnings
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
from astropy.io import fits
from astropy.table import Row, Table
from astropy.utils.exceptions import AstropyWarning

from astroclip_search.archive._cache import cached_files
from astroclip_search.archive._published import is_address
from astroclip_search.archive._replies import as_rows, unpack
from astroclip_search.exceptions import (
    ArchiveError,
    AstroClipWarning,
    ImageError,
    QueryError,
)

__all__ = ['get_images']


def get_images(rows, *, cache, progress):
    """
    Fetch pictures, see `AstroClipSearchClass.get_images`.

    Parameters
    ----------
    rows : `~astropy.table.Table` or `~astropy.table.Row`
        Rows with ``access_url``.
    cache : bool
        Whether files that were fetched earlier will do.
    progress : bool or None
        Whether to show a progress bar.

    Returns
    -------
    images : list of `~astropy.io.fits.HDUList` or None
        One for each row.
    """
    if isinstance(rows, Row):
        rows = Table(rows)
    if not isinstance(rows, Table) or 'access_url' not in rows.colnames:
        msg = (
            'get_images needs rows of a result, with the column access_url; '
            f'{type(rows).__name__} has none'
        )
        raise QueryError(msg)
    rows = as_rows(rows)
    urls = [row['access_url'] for row in rows if is_address(row['access_url'])]
    paths, reasons = cached_files(urls, cache=cache, progress=progress)
    images = []
    for row in rows:
        url = row['access_url']
        try:
            path = paths.get(url) or _local(url, reasons)
            images.append(_to_fits(path, row))
        except (ArchiveError, ImageError) as exc:
            reasons[url] = str(exc)
            images.append(None)
    failed = images.count(None)
    if failed:
        url, reason = next(iter(reasons.items()))
        msg = (
            f'{failed} of {len(images)} pictures could not be had, the first '
            f'of them {url}: {reason}'
        )
        warnings.warn(msg, AstroClipWarning, stacklevel=3)
    return images


def _local(url, reasons):
    """Return the file of a row that is no web address."""
    if not url or url in reasons:
        raise ArchiveError(reasons.get(url) or 'the row has no address')
    parts = urlsplit(url)
    path = Path(url2pathname(parts.path) if parts.scheme == 'file' else url)
    # A device or a pipe could be read for ever.
    if not path.is_file():
        msg = f'there is no file {url!r}'
        raise ArchiveError(msg)
    return path


def _to_fits(path, row):
    with path.open('rb') as file:
        packed = file.read(9).startswith((b'SIMPLE', b'\x1f\x8b', b'BZh'))
    if packed:
        data = io.BytesIO(unpack(path.read_bytes(), str(path)))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore', AstropyWarning)
                return fits.open(data, lazy_load_hdus=False)
        except (OSError, ValueError, TypeError) as exc:
            msg = f'{path} is no valid FITS file ({exc})'
            raise ImageError(msg) from exc
    from astroclip_search.images import read_image

    image = read_image(path)
    data = np.asarray(image.data)
    if image.origin == 'upper':
        data = data[::-1]
    if data.ndim == 3:
        data = np.moveaxis(data, -1, 0)
    header = fits.Header() if image.wcs is None else image.wcs.to_header()
    for key, name in (('OBJECT', 'target_name'), ('OBS_ID', 'obs_id')):
        if row.get(name):
            # FITS takes printable ASCII only.
            header[key] = ascii(row[name])[1:-1][:60]
    return fits.HDUList([fits.PrimaryHDU(np.ascontiguousarray(data), header)])
