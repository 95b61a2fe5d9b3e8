# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Columns of tables as columns of Arrow, and back.

A column holds strings, 64-bit floats, 64-bit integers or booleans. Unknown
values (masked, None, not-a-number) are nulls. Reading goes through buffers
alone: the conversions of pyarrow would import pandas where it is installed.
"""

import json

import numpy as np

from astroclip_search.exceptions import CollectionError
from astroclip_search.obscore import COLUMNS

__all__ = []

# What a search adds, and what belongs to the store.
ADDED = frozenset(
    {'rank', 'similarity', 'score', 'false_match_rate', 'separation'}
)
VECTOR = 'vector'

# Strings of at most this share of distinct values are stored once each.
_DICTIONARY_SHARE = 0.5


def split_table(table):
    """
    Take the columns of a table that a collection can keep.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Any table; columns that a search adds are left out.

    Returns
    -------
    columns : dict
        For each name an array or list of values, a mask, and a dictionary
        of 'kind', 'unit', 'description' and 'ucd'.

    Raises
    ------
    CollectionError
        If a column cannot be kept, with the reason.
    """
    columns = {}
    for name in table.colnames:
        if name in ADDED or name == VECTOR:
            continue
        if name.startswith('_'):
            msg = (
                f'column {name!r} cannot be kept: names that begin with an '
                'underscore belong to the collection; rename it'
            )
            raise CollectionError(msg)
        if type(table[name]).__name__ == 'SkyCoord':
            position = table[name].icrs
            for key, angle in (('s_ra', position.ra), ('s_dec', position.dec)):
                if key in table.colnames:
                    msg = (
                        f'column {name!r} holds positions and so does '
                        f'{key!r}; remove one of them'
                    )
                    raise CollectionError(msg)
                columns[key] = _take(key, angle)
        else:
            columns[name] = _take(name, table[name])
    return columns


def _take(name, column):
    """Values, mask and description of one column."""
    info = getattr(column, 'info', None)
    known = COLUMNS.get(name)
    facts = {
        'unit': known.unit if known else None,
        'description': getattr(info, 'description', None)
        or (known.description if known else None),
        'ucd': (getattr(info, 'meta', None) or {}).get('ucd')
        or (known.ucd if known else None),
    }
    if type(column).__name__ == 'Time':
        facts['unit'] = 'd'
        column = column.mjd
    unit = getattr(column, 'unit', None)
    if unit is not None:
        column = _in_unit(name, column, unit, facts)
    mask = getattr(column, 'mask', None)
    values = getattr(column, 'unmasked', column)
    values = np.ma.getdata(getattr(values, 'value', values))
    values = np.asarray(values)
    if values.ndim != 1:
        msg = (
            f'column {name!r} has {values.ndim} dimensions; a collection '
            'keeps one value for each row'
        )
        raise CollectionError(msg)
    mask = np.zeros(len(values), bool) if mask is None else np.array(mask)
    mask = np.broadcast_to(mask, values.shape).copy()
    values, kind = _plain(name, values, mask)
    if known and known.kind != kind:
        values, kind = _as_kind(name, values, mask, known.kind)
    return values, mask, {'kind': kind, **facts}


def _in_unit(name, column, unit, facts):
    """Values in the unit that the collection keeps the column in."""
    from astropy import units as u

    if facts['unit'] is None:
        facts['unit'] = unit.to_string('vounit')
        return column
    if unit == u.Unit(facts['unit']):
        return column
    try:
        factor = unit.to(facts['unit'])
    except u.UnitConversionError as exc:
        msg = (
            f'column {name!r} has the unit {unit}, which is not convertible '
            f'to {facts["unit"]}; convert or rename it'
        )
        raise CollectionError(msg) from exc
    data = getattr(column, 'value', column)
    return np.ma.MaskedArray(
        np.asarray(np.ma.getdata(getattr(data, 'unmasked', data))) * factor,
        getattr(column, 'mask', False),
    )


def _plain(name, values, mask):
    """Values as one of the four kinds; the mask is completed in place."""
    if values.dtype.kind == 'O':
        empty = [value is None for value in values]
        mask |= np.array(empty, bool)
        there = [v for v, gone in zip(values, mask, strict=True) if not gone]
        if all(isinstance(v, str | bytes) for v in there):
            values = [
                '' if gone else v.decode() if isinstance(v, bytes) else v
                for v, gone in zip(values, mask, strict=True)
            ]
            return values, 'str'
        try:
            filled = [
                0 if gone else v for v, gone in zip(values, mask, strict=True)
            ]
            values = np.array(filled)
        except ValueError:
            values = np.array([None], object)
    kind = values.dtype.kind
    if kind in 'fc' and kind == 'f':
        values = values.astype(np.float64)
        mask |= np.isnan(values)
        return values, 'float'
    if kind in 'iu' and (kind == 'i' or values.max(initial=0) < 2**63):
        return values.astype(np.int64), 'int'
    if kind == 'b':
        return values.astype(bool), 'bool'
    if kind == 'U':
        return values.tolist(), 'str'
    if kind == 'S':
        return [value.decode('utf-8', 'replace') for value in values], 'str'
    msg = (
        f'column {name!r} of type {values.dtype} cannot be kept; a '
        'collection keeps strings, numbers and booleans'
    )
    raise CollectionError(msg)


def _as_kind(name, values, mask, kind):
    """Values of a known column as what that column holds."""
    try:
        if kind == 'str':
            if isinstance(values, np.ndarray) and values.dtype.kind == 'f':
                whole = np.where(mask, 0, values)
                if (whole == np.round(whole)).all():
                    values = whole.astype(np.int64)
            values = [
                '' if gone else str(value)
                for value, gone in zip(values, mask, strict=True)
            ]
        else:
            if isinstance(values, list):
                blank = [not value.strip() for value in values]
                mask |= np.array(blank, bool)
                values = [
                    '0' if gone else v
                    for v, gone in zip(values, mask, strict=True)
                ]
            values = np.asarray(values).astype(np.float64)
            mask |= ~np.isfinite(values)
            if kind == 'int':
                values = np.where(mask, 0, values).astype(np.int64)
    except ValueError as exc:
        msg = f'column {name!r} must hold numbers ({exc})'
        raise CollectionError(msg) from exc
    return values, kind


def to_arrow(name, values, mask, facts):
    """
    Make an Arrow column.

    Parameters
    ----------
    name : str
        Name of the column.
    values, mask, facts : object
        As `split_table` gives them.

    Returns
    -------
    field : `pyarrow.Field`
        Its name, type and description.
    array : `pyarrow.Array`
        Its values.
    """
    import pyarrow as pa

    kind = facts['kind']
    if kind == 'str':
        array = values
        if isinstance(values, list):
            array = pa.array(
                [
                    None if gone else value
                    for value, gone in zip(values, mask, strict=True)
                ],
                pa.string(),
            )
        coded = array.dictionary_encode()
        if len(coded.dictionary) <= _DICTIONARY_SHARE * len(array):
            array = coded
    elif isinstance(values, pa.Array):
        array = values
    else:
        types = {'float': pa.float64(), 'int': pa.int64(), 'bool': pa.bool_()}
        array = pa.array(
            values, types[kind], mask=mask if mask.any() else None
        )
    return to_field(name, array.type, facts), array


def to_field(name, kind, facts):
    """
    Describe an Arrow column.

    Parameters
    ----------
    name : str
        Its name.
    kind : `pyarrow.DataType`
        Its type.
    facts : dict
        What is known of it.

    Returns
    -------
    field : `pyarrow.Field`
        All of that.
    """
    import pyarrow as pa

    told = {key: value for key, value in facts.items() if value}
    return pa.field(name, kind, metadata={'astroclip': json.dumps(told)})


def choose(values, chosen):
    """
    Choose values of a column.

    Parameters
    ----------
    values : list, `~numpy.ndarray` or `pyarrow.Array`
        The values.
    chosen : (k,) `~numpy.ndarray` of int
        Which.

    Returns
    -------
    values : same type
        The chosen ones.
    """
    if isinstance(values, list):
        return [values[i] for i in chosen.tolist()]
    if isinstance(values, np.ndarray):
        return values[chosen]
    import pyarrow as pa

    return values.take(pa.array(chosen))


def bits(buffer, n):
    """
    Read a buffer of bits.

    Parameters
    ----------
    buffer : `pyarrow.Buffer`
        The bits, least significant first.
    n : int
        Their number.

    Returns
    -------
    values : (n,) `~numpy.ndarray` of bool
        The bits.
    """
    data = np.frombuffer(buffer, np.uint8)
    return np.unpackbits(data, count=n, bitorder='little').view(bool)


class StoredColumn:
    """
    A column of a segment, read where it lies.

    Parameters
    ----------
    array : `pyarrow.Array`
        The column, without an offset.
    field : `pyarrow.Field`
        Its description.
    """

    def __init__(self, array, field):
        self.array = array
        self.facts = json.loads((field.metadata or {})[b'astroclip'])
        self.kind = self.facts['kind']
        n = self._n = len(array)
        buffers = array.buffers()
        self.valid = None if buffers[0] is None else bits(buffers[0], n)
        self.codes = None
        if self.kind == 'str':
            strings = array
            if len(buffers) == 2:  # a dictionary
                self.codes = np.frombuffer(buffers[1], np.int32, n)
                strings = array.dictionary
                buffers = strings.buffers()
            self._offsets = np.frombuffer(
                buffers[1], np.int32, len(strings) + 1
            )
            self._data = memoryview(buffers[2] or b'')
            self.n_strings = len(strings)
        elif self.kind == 'bool':
            self.values = bits(buffers[1], n)
        else:
            dtype = np.float64 if self.kind == 'float' else np.int64
            self.values = np.frombuffer(buffers[1], dtype, n)

    def __len__(self):
        return self._n

    def mask(self, rows):
        """
        Tell which rows have no value.

        Parameters
        ----------
        rows : (k,) `~numpy.ndarray` of int
            Rows of the segment.

        Returns
        -------
        mask : (k,) `~numpy.ndarray` of bool
            True where the value is unknown.
        """
        if self.valid is None:
            return np.zeros(len(rows), bool)
        return ~self.valid[rows]

    def take(self, rows):
        """
        Read values.

        Parameters
        ----------
        rows : (k,) `~numpy.ndarray` of int
            Rows of the segment.

        Returns
        -------
        values : (k,) `~numpy.ndarray` or list of str
            Anything where there is no value.
        """
        if self.kind != 'str':
            return self.values[rows]
        if self.codes is not None:
            rows = self.codes[rows]
            mine, where = np.unique(rows, return_inverse=True)
            known = self.decode(mine)
            return [known[i] for i in where.tolist()]
        return self.decode(rows)

    def decode(self, rows):
        """
        Read strings as they are stored.

        Parameters
        ----------
        rows : (k,) `~numpy.ndarray` of int
            Places in the dictionary, or rows where there is none.

        Returns
        -------
        strings : list of str
            The strings.
        """
        starts = self._offsets[rows].tolist()
        ends = self._offsets[rows + 1].tolist()
        data = self._data
        return [
            str(data[start:end], 'utf-8', 'replace')
            for start, end in zip(starts, ends, strict=True)
        ]


def to_column(parts, n, facts):
    """
    Join values of several segments to a column of a table.

    Parameters
    ----------
    parts : list of tuple
        For each segment: places in the column, values (or None where the
        segment lacks the column), mask.
    n : int
        Length of the column.
    facts : dict
        Kind, unit, description, UCD.

    Returns
    -------
    column : `~astropy.table.Column`
        Masked where a value is unknown.
    """
    from astropy.table import Column, MaskedColumn

    kind = facts['kind']
    mask = np.ones(n, bool)
    if kind == 'str':
        joined = [''] * n
        for places, values, gone in parts:
            if values is None:
                continue
            mask[places] = gone
            for place, value in zip(places.tolist(), values, strict=True):
                joined[place] = value
        data = np.array(joined, dtype=np.str_)
        if mask.any():
            data[mask] = ''
    else:
        dtype = {'float': np.float64, 'int': np.int64, 'bool': bool}[kind]
        data = np.zeros(n, dtype)
        for places, values, gone in parts:
            if values is not None:
                data[places] = values
                mask[places] = gone
        if kind == 'float':
            data[mask] = np.nan
    options = {'unit': facts.get('unit')}
    options['description'] = facts.get('description')
    if facts.get('ucd'):
        options['meta'] = {'ucd': facts['ucd']}
    if mask.any():
        return MaskedColumn(data, mask=mask, **options)
    return Column(data, **options)
