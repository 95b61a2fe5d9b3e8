# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Map what archives reply to the columns of ObsCore."""

import hashlib
import math
import mimetypes
import re
from collections import Counter
from pathlib import PurePosixPath
from urllib.parse import quote, urlsplit

import astropy.units as u
import numpy as np
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time

from astroclip_search.archive._flavours import FLAVOURS
from astroclip_search.archive._replies import as_columns
from astroclip_search.exceptions import ArchiveError
from astroclip_search.obscore import COLUMNS, annotate

__all__ = ['to_obscore']

_FACILITIES = {'HLA': 'HST', 'HST': 'HST', 'JWST': 'JWST', 'GALEX': 'GALEX'}
# Frames that agree with ICRS to 0.03 arcsec (J2000) or some arcsec (GSC1):
# no reader of STC-S knows them, and a footprint needs no better.
_FRAMES = re.compile(r'\b(GSC1|J2000|FK5)\b', re.IGNORECASE)
_OURS = frozenset(['rank', 'similarity', 'score', 'false_match_rate'])


def to_obscore(reply):
    """
    Turn a reply of an archive into a table with ObsCore columns.

    Understood are observations and products of MAST (CAOM and the mission
    search), of ESA's Hubble archive, tables of JWST observations made from
    MAST, and everything that has ObsCore's own names.

    Parameters
    ----------
    reply : `~astropy.table.Table`, dict, bytes, str or path-like
        A table of astroquery or pyvo, decoded JSON, or a stored reply
        (JSON, VOTable or CSV, compressed or not).

    Returns
    -------
    table : `~astropy.table.QTable`
        A row for each row of the reply, in order, with a unique ``id``, and
        those columns of ``astroclip_search.obscore.COLUMNS`` that the reply
        knows; times in MJD, wavelengths in m, unknown values masked. In
        ``s_region`` the frame reads ICRS where the reply has J2000, FK5 or
        GSC1. Addresses are ``https``; what cannot be fetched is masked.

    Raises
    ------
    ArchiveError
        If it is no list of observations or products.
    """
    if isinstance(reply, Table):
        units = {n.lower(): reply[n].unit for n in reply.colnames}
    else:
        units = {}
    columns = {k.lower(): v for k, v in as_columns(reply).items()}
    flavour = next((f for f in FLAVOURS if columns.keys() >= {*f.needs}), None)
    if flavour is None:
        msg = (
            'This reply is no list of observations or products: its columns '
            f'are {", ".join(list(columns)[:12])}'
        )
        raise ArchiveError(msg)
    size = len(next(iter(columns.values())))
    known = {}
    for name, values in columns.items():
        target = flavour.columns.get(name, name)
        target, unit = target if isinstance(target, tuple) else (target, None)
        info = COLUMNS.get(target)
        if info is None or target in _OURS or target in known:
            continue
        factor = _factor(units.get(name) or unit, info.unit)
        if info.kind == 'str':
            known[target] = [v if v is None else str(v) for v in values]
        else:
            known[target] = _numbers(values, info.kind, factor)
    for name, value in flavour.constants.items():
        known[name] = [value] * size
    _finish(known, columns, flavour, size)
    return _table(known)


def _factor(unit, target):
    """Return what the values are multiplied with; 1 for unknown units."""
    if not unit or not target:
        return 1.0
    try:
        return u.Unit(unit).to(target)
    except (ValueError, TypeError, u.UnitsError):
        return 1.0


def _numbers(values, kind, factor):
    """Convert to numbers in our unit; what is no number becomes None."""
    numbers = list(values)
    dates = {}
    for k, value in enumerate(values):
        if value is None:
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            # The only texts in columns of numbers are dates.
            numbers[k] = None
            if re.match(r'\d{4}-\d\d-\d\d[T ]\d', str(value)):
                dates[k] = str(value).rstrip('Z').replace(' ', 'T')
            continue
        if not math.isfinite(number):
            numbers[k] = None
            continue
        number = number if factor == 1.0 else number * factor
        numbers[k] = math.ceil(number) if kind == 'int' else number
    if dates:
        mjd = Time(list(dates.values()), format='isot', scale='utc').mjd
        for k, number in zip(dates, mjd.tolist(), strict=True):
            numbers[k] = number
    return numbers


def _finish(known, columns, flavour, size):
    """Fill in what follows from the rest."""
    missing = [None] * size
    if 'access_url' in known:
        paths = known['access_url']
        known['access_url'] = [_address(v, flavour) for v in paths]
        picture = 'jpegurl' in columns or 'jpeg' in columns
        known.setdefault(
            'access_format',
            [_format(v, picture) for v in known['access_url']],
        )
        names = columns.get('productfilename') or columns.get('filename')
        names = names or [v and v.rsplit('/', 1)[-1] for v in paths]
    else:
        names = missing
    if 'obs_collection' not in known and 'access_url' in known:
        known['obs_collection'] = [
            _collection(v) for v in columns.get('jpegurl') or paths
        ]
    if 'obs_id' not in known:
        known['obs_id'] = [
            v and re.sub(r'_i2d(_thumb)?$', '', PurePosixPath(v).stem)
            for v in names
        ]
    collections = known.get('obs_collection', missing)
    known.setdefault(
        'facility_name', [_FACILITIES.get(v) for v in collections]
    )
    if 'em_min' in known and 'em_max' in known:
        # CAOM writes 0 to 0 where it does not know the band.
        for k, end in enumerate(known['em_max']):
            if not end:
                known['em_min'][k] = known['em_max'][k] = None
    for name, change in (
        ('filters', lambda v: ' '.join(re.split(r'[;,\s]+', v))),
        ('s_region', lambda v: ' '.join(_FRAMES.sub('ICRS', v).split())),
    ):
        if name in known:
            known[name] = [v and change(v) for v in known[name]]
    if 'id' not in known:
        known['id'] = _identifiers(known, names, columns)


def _address(path, flavour):
    """Return the address of a product, or None if it is no web address."""
    from astroquery.mast import conf as mast_conf

    if not path:
        return None
    scheme = urlsplit(path).scheme.lower()
    if scheme in ('http', 'https'):
        return path
    if scheme == 'mast' or (not scheme and flavour.address.endswith('name=')):
        return mast_conf.server + flavour.address + quote(path, safe=':/')
    return None


def _format(address, picture):
    if address is None:
        return None
    path = address.lower()
    if re.search(r'\.(fits|fit|fz)(\.gz|\.bz2)?$', path):
        return 'image/fits'
    kind = mimetypes.guess_type(PurePosixPath(path).name)[0]
    return kind or ('image/jpeg' if picture else None)


def _collection(path):
    match = re.match(r'mast:([A-Z0-9]+)/', path or '')
    return match[1] if match else None


def _identifiers(known, names, columns):
    """Make identifiers: file or observation, and unique at any cost."""
    products = 'producttype' in columns or 'product_key' in columns
    first = names if products or 'obs_id' not in columns else None
    ids = [
        (first and first[k] and PurePosixPath(first[k]).stem)
        or known['obs_id'][k]
        or f'row{k}'
        for k in range(len(known['obs_id']))
    ]
    urls = known.get('access_url', ids)
    extra = columns.get('obsid') or urls
    filters = known.get('filters', ids)
    for distinguish in (filters, extra, urls, range(len(ids))):
        counts = Counter(ids)
        ids = [
            v if counts[v] == 1 else f'{v}-{_short(distinguish[k])}'
            for k, v in enumerate(ids)
        ]
    return ids


def _short(value):
    text = str(value)
    if text.isalnum() and len(text) <= 12:
        return text
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _table(known):
    table = Table()
    for name, info in COLUMNS.items():
        values = known.get(name)
        if values is None or set(values) == {None}:
            continue
        mask = np.array([v is None for v in values], dtype=bool)
        blank = '' if info.kind == 'str' else 0
        dtype = {'str': str, 'float': np.float64, 'int': np.int64}[info.kind]
        data = np.array(
            [blank if v is None else v for v in values], dtype=dtype
        )
        table[name] = MaskedColumn(data, mask=mask) if mask.any() else data
    return QTable(annotate(table))
