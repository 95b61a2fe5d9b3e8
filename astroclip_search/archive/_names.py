# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""File names and positions from what archives and users write."""

import hashlib
import re
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from astropy.coordinates import SkyCoord
from astropy.coordinates.name_resolve import NameResolveError

from astroclip_search.exceptions import ArchiveError, QueryError

__all__ = ['resolve_position', 'safe_name', 'url_name']

_DEVICES = frozenset(
    ['con', 'prn', 'aux', 'nul']
    + [f'{name}{n}' for name in ('com', 'lpt') for n in range(10)]
)


def safe_name(text, *, length=120):
    """
    Make a file name that is harmless in any folder of any system.

    Parameters
    ----------
    text : str
        A name as an archive gives it; what stands before the last slash or
        backslash is dropped.
    length : int, optional
        Most characters that the name may have; the suffix is kept.

    Returns
    -------
    name : str
        ASCII letters, digits, and ``._+-``; never empty, never hidden, never
        a device of Windows.
    """
    name = re.split(r'[/\\]', unquote(str(text)))[-1]
    name = re.sub(r'[^A-Za-z0-9._+-]+', '_', name.strip()).strip('.')
    if not re.search('[A-Za-z0-9]', name):
        name = 'file'
    if name.partition('.')[0].lower() in _DEVICES:
        name = f'_{name}'
    if len(name) > length:
        suffix = PurePosixPath(name).suffix
        suffix = suffix if len(suffix) <= 10 else ''
        name = name[: length - len(suffix)].rstrip('.') + suffix
    return name


def url_name(url):
    """
    Name the file of an address, always in the same way.

    Parameters
    ----------
    url : str
        The address.

    Returns
    -------
    name : str
        A safe name with eight digits of a hash of the whole address, since
        the same last part does not make two addresses the same file.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # refused later; it needs a name until then
        parts = urlsplit('')
    # MAST and its like serve every file from one path with ?uri=...
    values = [v[-1] for v in parse_qs(parts.query).values() if '.' in v[-1]]
    path = PurePosixPath(safe_name(values[-1] if values else parts.path))
    digest = hashlib.sha256(url.encode('utf-8', 'surrogatepass'))
    return f'{path.stem}-{digest.hexdigest()[:8]}{path.suffix}'


def resolve_position(position, *, cache=True):
    """
    Turn a position or the name of an object into coordinates.

    Parameters
    ----------
    position : `~astropy.coordinates.SkyCoord` or str
        One position, or a name that Sesame (CDS) resolves.
    cache : bool, optional
        Whether a name may be answered from Astropy's cache.

    Returns
    -------
    coordinates : `~astropy.coordinates.SkyCoord`
        The position in ICRS.

    Raises
    ------
    QueryError
        If it is neither a position nor a name, or more than one position.
    ArchiveError
        If the name cannot be resolved.
    """
    if isinstance(position, str):
        position = _resolve(position.strip(), cache=cache)
    if not isinstance(position, SkyCoord):
        shown = ' '.join(repr(position).split())[:80]
        msg = (
            f'{shown} is not a position: give a SkyCoord, or the name of an '
            'object as a str'
        )
        raise QueryError(msg)
    if not position.isscalar:
        msg = (
            f'{position.size} positions were given where one is needed: '
            'call once for each'
        )
        raise QueryError(msg)
    return position.icrs


def _resolve(name, *, cache):
    if not name:
        msg = 'An empty name is no object: give a name such as "M 31"'
        raise QueryError(msg)
    try:
        return SkyCoord.from_name(name, cache=cache)
    except NameResolveError as exc:
        msg = (
            f'The name {name!r} was not resolved ({exc}). Without a network, '
            'or for a name that the resolver does not know, give the '
            'position: SkyCoord(ra, dec, unit="deg")'
        )
        raise ArchiveError(' '.join(msg.split())) from exc
