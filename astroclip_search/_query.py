# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""What a query is made of, and its vector."""

import math
import numbers
import operator
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from astroclip_search.exceptions import QueryError

__all__ = [
    'Term',
    'check_angle',
    'check_columns',
    'check_limit',
    'check_size',
    'combine',
    'is_position',
    'parse_query',
]

_MINUS = ('-', '\N{MINUS SIGN}')
# A text that ends so is a file that is not there, not something to look for.
_SUFFIXES = tuple(
    f'.{suffix}'
    for suffix in (
        'fits', 'fit', 'fts', 'fz', 'gz', 'bz2', 'jpg', 'jpeg', 'png', 'gif',
        'tif', 'tiff', 'bmp', 'webp', 'txt',
    )
)  # fmt: skip


@dataclass(frozen=True)
class Term:
    """
    A part of a query.

    Parameters
    ----------
    kind : {'text', 'image', 'row', 'position'}
        What the value is.
    value : object
        A text, something that can be read as an image, the id of a row, or
        a `~astropy.coordinates.SkyCoord`.
    weight : float
        Factor of its unit vector; below 0, it is subtracted.
    label : str
        What a reader of the result sees.
    """

    kind: str
    value: object
    weight: float
    label: str

    def __str__(self):
        if self.weight == 1:
            return self.label
        return f'{self.weight:g} * {self.label}'


def parse_query(query):
    """
    Divide a query into terms.

    Parameters
    ----------
    query : object
        As `~astroclip_search.search` takes it.

    Returns
    -------
    terms : list of Term
        At least one.

    Raises
    ------
    QueryError
        If there is nothing to search for, or a part cannot be one.
    """
    # An HDUList is a list too, and it is one image.
    items = query if type(query) is list else [query]
    if not items:
        msg = 'the query is an empty list; give at least one text or image'
        raise QueryError(msg)
    return [_term(item) for item in items]


def is_position(item):
    """Whether something is a `~astropy.coordinates.SkyCoord`."""
    # If nobody imported astropy.coordinates, it cannot be one.
    module = sys.modules.get('astropy.coordinates')
    return module is not None and isinstance(item, module.SkyCoord)


def _term(item):
    """Make a term of one item of a query."""
    if isinstance(item, str):
        return _text(item)
    if isinstance(item, os.PathLike):
        return _file(Path(item))
    if (
        isinstance(item, tuple)
        and len(item) == 2
        and isinstance(item[1], numbers.Real)
    ):
        term, weight = _term(item[0]), float(item[1])
        if not math.isfinite(weight) or weight == 0:
            msg = f'weight {item[1]!r} of a term must be finite and not 0'
            raise QueryError(msg)
        return replace(term, weight=term.weight * weight)
    if item is None or isinstance(item, bool | numbers.Number | bytes):
        msg = (
            f'{item!r} cannot be searched for; give a text, an image, a '
            'SkyCoord, a row with an id, or a list of such'
        )
        raise QueryError(msg)
    if is_position(item):
        if not item.isscalar:
            msg = (
                f'a query takes one position, not {item.size}; call search '
                'for each of them'
            )
            raise QueryError(msg)
        return Term('position', item, 1.0, _coordinates(item))
    if isinstance(item, Mapping) or hasattr(item, 'colnames'):
        return _row(item)
    return Term('image', item, 1.0, f'<{type(item).__name__}>')


def _text(text):
    """A text, subtracted if it begins with a minus, or the path of a file."""
    text, weight = text.strip(), 1.0
    if text.startswith(_MINUS):
        text, weight = text[1:].strip(), -1.0
    if not text:
        msg = 'the query is an empty text; say what to search for'
        raise QueryError(msg)
    path = Path(text)
    suffix = path.suffix.lower()
    try:
        exists = path.is_file()
    except OSError:  # longer than a name of a file may be
        exists = False
    # A file called "dust" must not stand in the way of the word.
    if exists and (suffix or len(path.parts) > 1):
        return replace(_file(path), weight=weight)
    if suffix in _SUFFIXES and ' ' not in path.name:
        msg = f'there is no file {text!r}; check the path of the image'
        raise QueryError(msg)
    return Term('text', text, weight, text)


def _file(path):
    """An image in a file."""
    if not path.is_file():
        what = 'is a directory' if path.is_dir() else 'does not exist'
        msg = f'image {str(path)!r} {what}; give the path of a file'
        raise QueryError(msg)
    return Term('image', path, 1.0, f'image {path.name}')


def _row(item):
    """A row of a collection or of a result, by its id."""
    names = list(getattr(item, 'colnames', item))
    if 'id' not in names:
        msg = (
            'a row given as an example needs an "id"; this one has '
            f'{", ".join(map(str, names)) or "nothing"}'
        )
        raise QueryError(msg)
    name = item['id']
    if np.ndim(name):
        msg = (
            'a table is no example; give a row of it, as result[0], or a '
            'list of rows'
        )
        raise QueryError(msg)
    return Term('row', str(name), 1.0, f'row {name}')


def _coordinates(position):
    """A position as a reader sees it."""
    icrs = position.icrs
    return f'cutout at {icrs.ra.deg:.5f} {icrs.dec.deg:+.5f}'


def check_size(terms, size):
    """
    See that a cutout has a size, and that a size has a cutout.

    Parameters
    ----------
    terms : list of Term
        The parts of the query.
    size : `~astropy.units.Quantity` or None
        Size of the cutout.

    Raises
    ------
    QueryError
        If one is there without the other.
    """
    cutout = any(term.kind == 'position' for term in terms)
    if cutout and size is None:
        msg = (
            'a position as the query needs size=, the width of the picture, '
            'as 2 * u.arcmin; to filter rows by place use position= and '
            'radius='
        )
        raise QueryError(msg)
    if size is not None:
        check_angle('size', size)
    if size is not None and not cutout:
        msg = (
            f'size={size} is for a SkyCoord as the query; to filter rows by '
            'place use position= and radius='
        )
        raise QueryError(msg)


def check_angle(name, value):
    """
    See that an argument is an angle with a unit.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : object
        What was given.

    Raises
    ------
    QueryError
        If it has no unit, is no angle, or is not one positive number.
    """
    unit = getattr(value, 'unit', None)
    if unit is None:
        msg = f'{name}={value!r} has no unit; give an angle, as 5 * u.arcmin'
        raise QueryError(msg)
    if unit.physical_type != 'angle':
        msg = f'{name}={value} is no angle; give one, as 5 * u.arcmin'
        raise QueryError(msg)
    if not value.isscalar or not value.value > 0 or not np.isfinite(value):
        msg = f'{name}={value} must be one positive angle'
        raise QueryError(msg)


def check_columns(collection, where, group_by):
    """
    See that a collection has the columns a query names.

    Parameters
    ----------
    collection : `~astroclip_search.Collection`
        The collection.
    where : dict or None
        Conditions by column.
    group_by : str or None
        A column.

    Raises
    ------
    QueryError
        If it has not.
    """
    # The ranking sees to it as well, but after a model has been loaded.
    from astroclip_search.collections._where import check_name

    names = list(where) if isinstance(where, Mapping) else []
    names = [name for name in names if name not in ('time', 'wavelength')]
    for name in names if group_by is None else [*names, group_by]:
        check_name(collection._snapshot, name)


def check_limit(limit):
    """
    See that a number of rows is one.

    Parameters
    ----------
    limit : int or None
        What was given; None is the default.

    Raises
    ------
    QueryError
        If it is not a whole number above 0.
    """
    try:
        good = limit is None or operator.index(limit) > 0
    except TypeError:
        good = False
    if not good or isinstance(limit, bool):
        msg = f'limit={limit!r} must be a whole number above 0'
        raise QueryError(msg)


def combine(vectors, weights):
    """
    Add the vectors of the parts of a query.

    Parameters
    ----------
    vectors : (n, d) array_like
        Unit vectors.
    weights : (n,) array_like
        Their weights.

    Returns
    -------
    vector : (d,) `~numpy.ndarray`, float32
        Weighted sum, of unit length.

    Raises
    ------
    QueryError
        If the terms cancel each other.
    """
    total = np.asarray(weights, float) @ np.asarray(vectors, float)
    length = np.linalg.norm(total)
    if length < 1e-3 * np.abs(weights).sum():
        msg = 'the terms of the query cancel each other; change a weight'
        raise QueryError(msg)
    return (total / length).astype(np.float32)
