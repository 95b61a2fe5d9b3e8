# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""What header and world coordinates tell of an image, in ObsCore's words."""

import numpy as np
from astropy.time import Time

from astroclip_search.images._hdus import card
from astroclip_search.images._place import to_sky
from astroclip_search.images._quiet import quiet

__all__ = ['image_facts']

_TEXT = {
    'facility_name': ('TELESCOP', 'OBSERVAT'),
    'instrument_name': ('INSTRUME', 'DETECTOR'),
    'target_name': ('TARGNAME', 'TARGPROP', 'OBJECT'),
    'obs_id': ('OBS_ID', 'ROOTNAME', 'OBSID', 'EXPID'),
    'proposal_id': ('PROPOSID', 'PROGRAM', 'PROP_ID', 'PROPID'),
    'proposal_pi': ('PR_INV_L', 'PI_NAME'),
}
_FILTERS = (
    'FILTER', 'FILTER1', 'FILTER2', 'FILTER3', 'FILTNAM1', 'FILTNAM2',
    'PUPIL', 'BAND',
)  # fmt: skip
_NO_FILTER = ('', 'CLEAR', 'CLEAR1L', 'CLEAR2L', 'CLEAR1S', 'CLEAR2S', 'N/A',
              'NONE', 'UNKNOWN')  # fmt: skip
_EXPOSURE = ('EXPTIME', 'EFFEXPTM', 'XPOSURE', 'TEXPTIME', 'EXPOSURE',
             'ITIME')  # fmt: skip
_MJD = ('EXPSTART', 'MJD-OBS', 'MJD-BEG', 'MJD_OBS')
_DATE = ('DATE-BEG', 'DATE-OBS', 'DATE_OBS')
_CLOCK = ('TIME-OBS', 'TIME_OBS', 'UT')
KEYWORDS = (
    *(key for keys in _TEXT.values() for key in keys),
    *_FILTERS, *_EXPOSURE, *_MJD, *_DATE, *_CLOCK,
)  # fmt: skip


def header_facts(*headers):
    """
    Cards that facts are drawn from; later headers win.

    Parameters
    ----------
    *headers : `~astropy.io.fits.Header`
        Primary header and that of the extension.

    Returns
    -------
    cards : dict
        Plain values by keyword.
    """
    found = {}
    with quiet():
        for header in headers:
            for key in KEYWORDS:
                if key in header:
                    value = card(header, key, (str, int, float))
                    if value is not None and value != '':
                        found[key] = value
    return found


def image_facts(image):
    """
    Return what is known of an image, under the column names of ObsCore.

    Parameters
    ----------
    image : `SkyImage`
        The image.

    Returns
    -------
    facts : dict
        Of ``s_ra``, ``s_dec``, ``s_fov`` (deg), ``s_region`` (STC-S, ICRS),
        ``target_name``, ``facility_name``, ``instrument_name``, ``filters``,
        ``t_min`` (MJD), ``t_exptime`` (s), ``obs_id``, ``proposal_id`` and
        ``proposal_pi``, those that are known.

    Notes
    -----
    ``s_region`` is the polygon of the outer corners of the four corner
    pixels, counter-clockwise on the sky (east of north), as ObsCore 1.1
    (section B.6.2.3) takes it from STC-S; ``s_fov`` is the diameter of the
    circle around the centre that holds them.
    """
    facts = _from_cards(image.meta.get('header', {}))
    if image.wcs is not None:
        facts |= _place(image.wcs, image.shape)
    return facts


def _from_cards(cards):
    facts = {}
    for name, keys in _TEXT.items():
        for key in keys:
            text = str(cards.get(key, '')).strip()
            if text and text.upper() not in ('UNKNOWN', 'N/A', 'NONE'):
                facts[name] = text
                break
    filters = []
    for key in _FILTERS:
        text = str(cards.get(key, '')).strip()
        if text.upper() not in _NO_FILTER and text not in filters:
            filters.append(text)
    if filters:
        facts['filters'] = ' '.join(filters)
    for key in _EXPOSURE:
        value = cards.get(key)
        if isinstance(value, int | float) and value > 0:
            facts['t_exptime'] = float(value)
            break
    start = _start(cards)
    if start is not None:
        facts['t_min'] = start
    return facts


def _start(cards):
    for key in _MJD:
        value = cards.get(key)
        if isinstance(value, int | float) and 0 < value < 200_000:
            return float(value)
    for key in _DATE:
        text = str(cards.get(key, '')).strip()
        if not text:
            continue
        clock = next(
            (cards[k] for k in _CLOCK if isinstance(cards.get(k), str)), ''
        )
        if 'T' not in text and clock:
            text = f'{text}T{clock.strip()}'
        with quiet():
            for attempt in (text, text[:10]):
                try:
                    return float(Time(attempt, scale='utc').mjd)
                except Exception:  # dates of all spellings
                    continue
    return None


def _place(wcs, shape):
    height, width = shape
    x = np.array([-0.5, width - 0.5, width - 0.5, -0.5, (width - 1) / 2])
    y = np.array([-0.5, -0.5, height - 0.5, height - 0.5, (height - 1) / 2])
    sky = to_sky(wcs, x, y)
    if sky is None:
        return {}
    ra, dec = sky.ra.deg, sky.dec.deg
    facts = {}
    if np.isfinite(ra[4]) and np.isfinite(dec[4]):
        facts |= {'s_ra': float(ra[4]), 's_dec': float(dec[4])}
        if np.isfinite(ra).all():
            corners, centre = sky[:4], sky[4]
            radius = centre.separation(corners).deg.max()
            facts['s_fov'] = float(2 * radius)
            if radius < 45:
                facts['s_region'] = _polygon(corners, centre)
    return facts


def _polygon(corners, centre):
    """Write corners as STC-S, counter-clockwise seen from inside."""
    offset = corners.transform_to(centre.skyoffset_frame())
    lon, lat = offset.lon.wrap_at('180d').deg, offset.lat.deg
    area = np.sum(lon * np.roll(lat, -1) - np.roll(lon, -1) * lat)
    # DALI wants the direction from north over east. As longitude grows to
    # the left on the sky, that is the clockwise one in plain axes.
    order = range(4) if area < 0 else range(3, -1, -1)
    text = ' '.join(
        f'{corners[n].ra.deg:.7f} {corners[n].dec.deg:.7f}' for n in order
    )
    return f'POLYGON ICRS {text}'
