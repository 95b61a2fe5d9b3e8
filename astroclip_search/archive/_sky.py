# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Images of a position on the sky, from surveys and from archives."""

from datetime import UTC, datetime
from urllib.parse import urlencode

import astropy.units as u
import numpy as np
from astropy.coordinates import Angle, Latitude, Longitude
from astropy.wcs import WCS

from astroclip_search._optional import require
from astroclip_search.archive._cache import cached_file
from astroclip_search.archive._mast import mast_observations
from astroclip_search.archive._names import resolve_position
from astroclip_search.archive._replies import as_rows
from astroclip_search.config import conf
from astroclip_search.exceptions import ArchiveError, QueryError

__all__ = ['sky_image']

_ARCHIVES = ('HST', 'JWST')
_MAX_SIZE = 60 * u.deg  # the gnomonic projection gets useless beyond
_TRIED = 5  # newest previews that are tried before giving up


def sky_image(
    position, *, size, survey=None, image_format=None, pixels=512, cache=True
):
    """
    Fetch an image of a position on the sky.

    Parameters
    ----------
    position : `~astropy.coordinates.SkyCoord` or str
        Centre of the field, or the name of an object.
    size : angle
        Side of the field. For HST and JWST, which are pointed at targets, it
        says how far from the position an observation may lie (half of it);
        the preview shows the whole observation.
    survey : str, optional
        Identifier of any HiPS, such as ``'CDS/P/PanSTARRS/DR1/color-i-r-g'``,
        or ``'HST'`` or ``'JWST'`` for the newest public preview in MAST; the
        default is ``conf.hips_survey``.
    image_format : {'jpg', 'fits'}, optional
        What is asked of a HiPS: a picture, or values. By default a picture
        for surveys with "color" in their name, which have no values.
    pixels : int, optional
        Pixels along a side of the cutout.
    cache : bool, optional
        Whether a file that was fetched earlier will do.

    Returns
    -------
    image : `~astroclip_search.images.SkyImage`
        The image. In its ``meta``: ``survey``, ``field`` (position and size),
        ``address``, ``date`` (when it was fetched), and for previews
        ``obs_id``.

    Raises
    ------
    QueryError
        If position, size or survey are not what they should be.
    ArchiveError
        If the service fails, or knows nothing there.
    """
    centre = resolve_position(position, cache=cache)
    size = _angle(size)
    survey = conf.hips_survey if survey is None else survey
    if survey.upper() in _ARCHIVES:
        image, facts = _newest_preview(centre, size, survey.upper(), cache)
    else:
        image, facts = _hips(centre, size, survey, image_format, pixels, cache)
    return image.with_meta(
        source=facts['address'],
        field=f'{centre.to_string(precision=6)} deg, {size.deg:g} deg wide',
        **facts,
    )


def _angle(size):
    try:
        angle = Angle(u.Quantity(size))
    except (u.UnitsError, TypeError, ValueError) as exc:
        msg = f'size={size!r} is no angle: give it a unit, as in 2*u.arcmin'
        raise QueryError(msg) from exc
    if not angle.isscalar or not 0 < angle.deg <= _MAX_SIZE.value:
        msg = f'size={size} is not one angle above 0 and up to {_MAX_SIZE}'
        raise QueryError(msg)
    return angle


def _hips(centre, size, survey, image_format, pixels, cache):
    from astroclip_search.images import SkyImage, read_image

    if image_format is None:
        image_format = 'jpg' if 'color' in survey.lower() else 'fits'
    if image_format not in ('jpg', 'fits'):
        msg = f'image_format={image_format!r} is neither "jpg" nor "fits"'
        raise QueryError(msg)
    if '/' not in survey:
        # The service would take any survey whose name matches.
        msg = (
            f'survey={survey!r} is no identifier of a HiPS: give it whole, '
            'as in "CDS/P/DSS2/color", or "HST" or "JWST"'
        )
        raise QueryError(msg)
    url = hips_address(centre, size, survey, image_format, pixels)
    path = cached_file(url, cache=cache)
    image = read_image(path)
    data = image.data
    if image_format == 'jpg':
        # The picture comes without its coordinates, which are those asked
        # for. North is up, and FITS counts rows from the bottom.
        image = SkyImage(data[::-1], wcs=_tangential(centre, size, data.shape))
    good = np.isfinite(data)
    if not good.any() or np.ptp(data[good]) == 0:
        msg = (
            f'{survey} shows nothing at {centre.to_string(precision=4)} deg: '
            'the survey does not reach there; choose another'
        )
        raise ArchiveError(msg)
    return image, _facts(survey, url, path)


def hips_address(centre, size, survey, image_format, pixels):
    """Return the address of a cutout, as astroquery.hips2fits asks for it."""
    # astroquery.hips2fits imports it to look at the colour map.
    require('matplotlib', extra='plots', purpose='ask for cutouts of a HiPS')
    # The names of the class are frozen when it is imported, conf is not.
    from astroquery.hips2fits import conf as hips_conf
    from astroquery.hips2fits import hips2fits

    payload = hips2fits.query(
        hips=survey,
        width=pixels,
        height=pixels,
        projection='TAN',
        ra=Longitude(centre.ra),
        dec=Latitude(centre.dec),
        fov=Angle(size),
        format=image_format,
        stretch='asinh',
        get_query_payload=True,
    )
    payload = {key: _number(value) for key, value in payload.items()}
    return f'{hips_conf.server}?{urlencode(payload)}'


def _number(value):
    return float(value) if isinstance(value, np.floating) else value


def _tangential(centre, size, shape):
    """Return the coordinates of a picture that hips2fits made."""
    height, width = shape[:2]
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ['RA---TAN', 'DEC--TAN']
    wcs.wcs.cunit = ['deg', 'deg']
    wcs.wcs.crval = [centre.ra.deg, centre.dec.deg]
    wcs.wcs.crpix = [(width + 1) / 2, (height + 1) / 2]
    step = size.to_value(u.deg) / max(width, height)
    wcs.wcs.cdelt = [-step, step]
    wcs.wcs.radesys = 'ICRS'
    wcs.array_shape = (height, width)
    wcs.wcs.set()
    return wcs


def _newest_preview(centre, size, survey, cache):
    from astroclip_search.images import read_image

    rows = mast_observations(
        obs_collection=survey,
        dataproduct_type='image',
        intentType='science',
        calib_level=[2, 3, 4],
        coordinates=centre,
        radius=size / 2,
        progress=False,
    )
    known = [
        row
        for row in as_rows(rows)
        if row.get('access_url') and row.get('t_min') is not None
    ]
    known.sort(key=lambda row: row['t_min'], reverse=True)
    reasons = []
    for row in known[:_TRIED]:
        url = row['access_url']
        try:
            path = cached_file(url, cache=cache)
        except ArchiveError as exc:
            reasons.append(str(exc))
            continue
        facts = _facts(survey, url, path)
        return read_image(path), {**facts, 'obs_id': row['obs_id']}
    tried = f' ({reasons[0]})' if reasons else ''
    msg = (
        f'MAST has no public preview of {survey} within {size / 2} of '
        f'{centre.to_string(precision=4)} deg{tried}: choose a larger size, '
        'or a survey such as "CDS/P/DSS2/color"'
    )
    raise ArchiveError(msg)


def _facts(survey, url, path):
    # When the file was fetched, which for a cached one is not now.
    date = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return {
        'survey': survey,
        'address': url,
        'date': date.isoformat(timespec='seconds'),
    }
