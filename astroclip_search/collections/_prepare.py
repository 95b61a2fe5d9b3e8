# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Rows that a user gives are checked here before anything is written."""

import numpy as np

from astroclip_search.collections._columns import split_table
from astroclip_search.collections._healpix import place
from astroclip_search.collections._write import Rows, hash_text
from astroclip_search.exceptions import CollectionError

__all__ = []

_CHUNK = 1 << 15


def prepare(table, vectors, *, dim, known, ids=None):
    """
    Check rows and make them ready to be written.

    Parameters
    ----------
    table : `~astropy.table.Table` or None
        Columns of n rows.
    vectors : (n, d) array_like
        Their vectors, of any length but zero.
    dim : int
        Dimension that they must have.
    known : dict
        What is known of the columns of the collection.
    ids : (n,) sequence of str, optional
        Ids, in place of those of the table.

    Returns
    -------
    rows : Rows
        The rows.
    ids : list of str
        Their ids.

    Raises
    ------
    CollectionError
        If something is wrong with them; nothing has changed then.
    """
    vectors = check_vectors(vectors, dim)
    n = len(vectors)
    columns = {} if table is None else split_table(table)
    if table is not None and len(table) != n:
        msg = f'there are {n} vectors for {len(table)} rows; give one for each'
        raise CollectionError(msg)
    ids = check_ids(columns, ids, n)
    columns = {
        'id': (ids, np.zeros(n, bool), _ID),
        **{key: value for key, value in columns.items() if key != 'id'},
    }
    for name, (values, mask, facts) in columns.items():
        there = known.get(name)
        if there is not None and there['kind'] != facts['kind']:
            columns[name] = _agree(name, values, mask, facts, there)
    missing = (np.zeros(n), np.ones(n, bool), None)
    ra, no_ra, _ = columns.get('s_ra', missing)
    dec, no_dec, _ = columns.get('s_dec', missing)
    hpx, xyz = place(ra, dec, no_ra | no_dec)
    return Rows(columns, vectors, hash_text(ids), hpx, xyz), ids


_ID = {
    'kind': 'str',
    'unit': None,
    'description': 'Identifier of the row, unique in its collection',
    'ucd': 'meta.id;meta.main',
}


def check_vectors(vectors, dim):
    """
    Bring vectors to unit length and 16 bits.

    Parameters
    ----------
    vectors : (n, d) array_like
        Vectors.
    dim : int
        What d must be.

    Returns
    -------
    vectors : (n, d) `~numpy.ndarray`, float16
        Unit vectors.

    Raises
    ------
    CollectionError
        If one has not the dimension, is not finite, or has no length.
    """
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        msg = (
            f'vectors have the shape {vectors.shape}; this collection keeps '
            f'(n, {dim})'
        )
        raise CollectionError(msg)
    if vectors.dtype.kind not in 'fiu':
        msg = f'vectors have the type {vectors.dtype}; give floats'
        raise CollectionError(msg)
    out = np.empty(vectors.shape, np.float16)
    for start in range(0, len(vectors), _CHUNK):
        part = vectors[start : start + _CHUNK].astype(np.float32)
        lengths = np.sqrt(np.einsum('ij,ij->i', part, part))
        bad = ~((lengths > 0) & np.isfinite(lengths))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            what = 'zero' if lengths[row] == 0 else 'not finite'
            msg = (
                f'the vector of row {start + row} is {what}; leave such rows '
                'out, nothing was added'
            )
            raise CollectionError(msg)
        out[start : start + _CHUNK] = part / lengths[:, None]
    return out


def check_ids(columns, ids, n):
    """
    Find the ids of rows, and see that they are different.

    Parameters
    ----------
    columns : dict
        Columns of a table.
    ids : sequence or None
        Ids, in place of those of the table.
    n : int
        Number of rows.

    Returns
    -------
    ids : list of str
        The ids.

    Raises
    ------
    CollectionError
        If there are none, or not enough, or two are equal.
    """
    if ids is not None:
        ids = [str(i) for i in ids]
    else:
        for name in ('id', 'obs_id'):
            if name not in columns:
                continue
            values, mask, _ = columns[name]
            if name == 'obs_id' and (mask.any() or len(set(values)) < n):
                continue
            if mask.any():
                row = int(np.flatnonzero(mask)[0])
                msg = f'row {row} has no id; give every row one'
                raise CollectionError(msg)
            ids = [str(value) for value in values]
            break
    if ids is None:
        msg = (
            'the rows have no ids; give a column "id" of different strings, '
            'or ids='
        )
        raise CollectionError(msg)
    if len(ids) != n:
        msg = f'there are {len(ids)} ids for {n} rows; give one for each'
        raise CollectionError(msg)
    if len(set(ids)) < n:
        seen = set()
        twice = next(i for i in ids if i in seen or seen.add(i))
        msg = f'the id {twice!r} is there twice; ids must be different'
        raise CollectionError(msg)
    if '' in ids:
        msg = f'row {ids.index("")} has an empty id; give every row one'
        raise CollectionError(msg)
    return ids


def _agree(name, values, mask, facts, there):
    """Values as the kind that the collection has for a column already."""
    kinds = (facts['kind'], there['kind'])
    if kinds == ('int', 'float'):
        return values.astype(np.float64), mask, there
    if mask.all():
        empty = [''] * len(mask)
        if there['kind'] != 'str':
            dtype = {'float': np.float64, 'int': np.int64, 'bool': bool}
            empty = np.zeros(len(mask), dtype[there['kind']])
        return empty, mask, there
    msg = (
        f'column {name!r} holds {_KINDS[kinds[0]]}, but in this collection '
        f'it holds {_KINDS[kinds[1]]}; convert or rename it'
    )
    raise CollectionError(msg)


_KINDS = {
    'str': 'strings',
    'float': 'floats',
    'int': 'integers',
    'bool': 'booleans',
}
