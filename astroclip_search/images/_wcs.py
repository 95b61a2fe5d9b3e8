# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""World coordinates of images, from headers that may be wrong."""

import re
import warnings

from astropy.io import fits
from astropy.wcs import WCS

from astroclip_search.exceptions import AstroClipWarning
from astroclip_search.images._hdus import card
from astroclip_search.images._quiet import quiet

__all__ = []

MAX_SIP = 9
_TEXT = re.compile(r'(CTYPE|CUNIT)[1-4][A-Z]?|RADESYS[A-Z]?|RADECSYS')
_NUMBER = re.compile(
    r'(CRPIX|CRVAL|CDELT|CROTA)[1-4][A-Z]?|(PC|CD)[1-4]_[1-4][A-Z]?'
    r'|PC00[1-4]00[1-4]|PV[1-4]_\d\d?[A-Z]?|(LON|LAT)POLE[A-Z]?'
    r'|EQUINOX[A-Z]?|EPOCH|MJD-OBS|WCSAXES[A-Z]?'
)
_SIP = re.compile(r'(A|B|AP|BP)_(ORDER|DMAX|\d_\d)')
# Terms 14 to 20 are of magnitude and colour; wcslib crashes on them.
_PLATE = re.compile(
    r'AMD[XY]([1-9]|1[0-3])|PPO[1-6]|PLT(RA[HMS]|DEC(SN|[DMS])|SCALE)'
    r'|[XY]PIXELSZ|CNPIX[12]'
)
_PLATE_PARTS = (
    *(f'AMD{axis}{n}' for axis in 'XY' for n in range(1, 14)),
    *(f'PPO{n}' for n in range(1, 7)),
    *(f'PLT{part}' for part in ('RAH', 'RAM', 'RAS', 'DECSN', 'DECD', 'DECM',
                                'DECS')),
    'CNPIX1', 'CNPIX2', 'XPIXELSZ', 'YPIXELSZ',
)  # fmt: skip
_ANGLE = re.compile(r'CRVAL|CROTA|(LON|LAT)POLE')
_CELESTIAL = re.compile(
    r'(RA--|DEC-|[GESH]L(ON|AT)|[HC]P?L[NT]-|HPL[NT]|[A-Z]{2}L[NT]).?-*'
)


def read_wcs(header, extensions=(), *, table=None):
    """
    Celestial world coordinates of the first two axes of a header.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        The header of the image.

    extensions : list of `Extension`, optional
        Where lookup tables of the distortion are found.

    table : callable, optional
        Gives the data of one of ``extensions`` (a lookup table).

    Returns
    -------
    wcs : `~astropy.wcs.WCS` or None
        None where there is no celestial description, or a broken one.

    problem : str or None
        What is wrong with a description that had to be dropped, in words.
    """
    with quiet():
        clean, problem = _clean(header)
        if clean is None:
            return None, problem
        tables, lost = _lookup_tables(header, clean, extensions, table)
        # An old plate solution names no axes.
        for key in _celestial_keys(clean) or [' ']:
            try:
                wcs = WCS(clean, fobj=tables, key=key).sub(2)
                if wcs.has_celestial:
                    wcs.wcs.set()
                    return wcs, lost
            except Exception as exc:  # wcslib has many
                problem = f'{type(exc).__name__}: {str(exc).split(chr(10))[0]}'
    return None, problem


def warn_about(problem, source):
    """Tell the user that world coordinates could not be used."""
    msg = f'{source}: the world coordinates are not used ({problem})'
    warnings.warn(msg, AstroClipWarning, stacklevel=3)


def names_sky(header):
    """Whether the axes of a header are those of the sky."""
    return bool(_celestial_keys(header))


def _celestial_keys(header):
    """Versions of the description that name celestial axes, primary first."""
    keys = []
    for key in ' ABCDEFGHIJKLMNOPQRSTUVWXYZ':
        types = [card(header, f'CTYPE{n}{key}'.strip(), str, '') for n in '12']
        if all(_CELESTIAL.match(kind) for kind in types):
            keys.append(key)
    return keys


def _clean(header):
    """
    Copy the cards that describe the sky, if each is sane.

    wcslib loops for ever on angles of 1e30, and reads beyond its arrays where
    the order of a polynomial is absurd; so nothing else is handed to it.
    """
    clean = fits.Header()
    lengths = []
    for key in list(header):
        sip = _SIP.fullmatch(key)
        plate = _PLATE.fullmatch(key)
        if _TEXT.fullmatch(key) or key == 'PLTDECSN':
            value = card(header, key, str)
        elif sip or plate or _NUMBER.fullmatch(key):
            value = card(header, key, float)
            limit = 720.0 if _ANGLE.match(key) else 1e20
            if value is not None and abs(value) > limit:
                if key[:5] == 'CRVAL' and not _celestial_axis(header, key):
                    continue
                return None, f'{key} = {value} is out of range'
            if sip and sip[2] == 'ORDER':
                if value is None or not 0 <= value <= MAX_SIP:
                    return None, f'{key} = {value} is no polynomial order'
                value = int(value)
            if key.startswith('WCSAXES') and value is not None:
                if not 2 <= value <= 4:
                    return None, f'{key} = {value} is no number of axes'
                value = int(value)
        elif key in ('NAXIS1', 'NAXIS2', 'ZNAXIS1', 'ZNAXIS2'):
            value = None
            lengths.append(card(header, key, int, 0))
        else:
            continue
        if value is not None:
            clean[key] = value
    _complete_plate(clean)
    if not _celestial_keys(clean) and 'AMDX1' not in clean:
        return None, None
    order = max(
        (clean.get(f'{name}_ORDER', 0) for name in ('A', 'B', 'AP', 'BP')),
        default=0,
    )
    types = [clean.get(f'CTYPE{n}', '') for n in '12']
    if order and all(kind[4:] in ('-TAN', '-TAN-SIP') for kind in types):
        for n, kind in zip('12', types, strict=True):
            clean[f'CTYPE{n}'] = f'{kind[:8]}-SIP'
    else:
        for key in [k for k in clean if _SIP.fullmatch(k)]:
            del clean[key]
    return clean, None


def _complete_plate(clean):
    """Drop an old plate solution if a part is missing."""
    # wcslib writes beyond its memory where only some of the cards are there.
    kinds = {clean.get(f'CTYPE{n}', '') for n in '12'}
    if kinds in ({''}, {'RA---TAN', 'DEC--TAN'}) and all(
        key in clean for key in _PLATE_PARTS
    ):
        return
    for key in [key for key in clean if _PLATE.fullmatch(key)]:
        del clean[key]


def _celestial_axis(header, key):
    return _CELESTIAL.match(card(header, f'CTYPE{key[5:]}', str, ''))


def _lookup_tables(header, clean, extensions, table):
    """Distortion tables as an HDUList, if they are there and sane."""
    wanted = [
        key
        for axis in '12'
        for key in (f'CPDIS{axis}', f'D2IMDIS{axis}')
        if card(header, key, str, '').upper() == 'LOOKUP'
    ]
    if not wanted:
        return None, None
    by_name = {(ext.name, ext.version): ext for ext in extensions}
    tables = fits.HDUList([fits.PrimaryHDU()])
    lost = 'a distortion table is missing or damaged'
    records = []
    for key in wanted:
        axis = key[-1]
        kind, name = (
            ('D2IM', 'D2IMARR') if key[0] == 'D' else ('DP', 'WCSDVARR')
        )
        version = card(header, f'{kind}{axis}.EXTVER', float)
        ext = by_name.get((name, int(version or 1)))
        data = None if ext is None or table is None else table(ext)
        if data is None or data.ndim != 2 or not _sane_table(ext.header):
            return None, lost
        tables.append(
            fits.ImageHDU(data, _table_header(ext), name=name, ver=ext.version)
        )
        records.append((key, kind, axis, ext.version))
    for key, kind, axis, version in records:
        clean[key] = 'LOOKUP'
        error = f'{"D2IMERR" if kind == "D2IM" else "CPERR"}{axis}'
        clean[error] = card(header, error, float, 0.0)
        clean[f'{kind}{axis}.EXTVER'] = float(version)
        clean[f'{kind}{axis}.NAXES'] = 2.0
        clean[f'{kind}{axis}.AXIS.1'] = 1.0
        clean[f'{kind}{axis}.AXIS.2'] = 2.0
    return tables, None


def _sane_table(header):
    steps = [card(header, f'CDELT{n}', float, 1.0) for n in '12']
    places = [
        card(header, f'{name}{n}', float, 0.0)
        for name in ('CRPIX', 'CRVAL')
        for n in '12'
    ]
    return all(1e-6 < abs(s) < 1e6 for s in steps) and all(
        abs(p) < 1e7 for p in places
    )


def _table_header(ext):
    header = fits.Header()
    for name, default in (('CRPIX', 0.0), ('CRVAL', 0.0), ('CDELT', 1.0)):
        for n in '12':
            header[f'{name}{n}'] = card(
                ext.header, f'{name}{n}', float, default
            )
    return header
