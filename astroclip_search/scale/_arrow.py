# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Columns of Arrow and of LSDB as columns of a collection."""

import numpy as np

from astroclip_search.exceptions import CollectionError
from astroclip_search.scale._facts import VECTOR

__all__ = []

_DTYPES = {'float': np.float64, 'int': np.int64, 'bool': bool}


def vectors_of(column, dim, where):
    """
    View a column of vectors as an array.

    Parameters
    ----------
    column : `pyarrow.ChunkedArray`
        Lists of numbers, of one length.
    dim : int
        That length.
    where : str
        What a message names.

    Returns
    -------
    vectors : (n, dim) `~numpy.ndarray`
        float16, or what the column holds.

    Raises
    ------
    CollectionError
        If a vector is missing or has another length.
    """
    parts = [
        chunk.flatten().to_numpy(zero_copy_only=False)
        for chunk in column.chunks
    ] or [np.empty(0, np.float16)]
    values = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if column.null_count or len(values) != len(column) * dim:
        msg = (
            f'the column {VECTOR!r} of {where} does not hold {dim} numbers '
            'in each row; write the catalogue again'
        )
        raise CollectionError(msg)
    return values.reshape(-1, dim)


def plain_values(column, kind):
    """
    Read a column of Arrow.

    Parameters
    ----------
    column : `pyarrow.ChunkedArray`
        The column.
    kind : str
        What it holds: 'str', 'float', 'int' or 'bool'.

    Returns
    -------
    values : list of str or (n,) `~numpy.ndarray`
        Anything where there is no value.
    mask : (n,) `~numpy.ndarray` of bool
        True where there is none.
    """
    mask = column.is_null().to_numpy(zero_copy_only=False)
    mask = np.asarray(mask, bool)
    if kind == 'str':
        return ['' if v is None else v for v in column.to_pylist()], mask
    values = column.fill_null(False if kind == 'bool' else 0)
    values = values.to_numpy(zero_copy_only=False).astype(_DTYPES[kind])
    return values, mask


def no_values(kind):
    """
    Make a column without rows.

    Parameters
    ----------
    kind : str
        What it holds.

    Returns
    -------
    values, mask : object
        As `plain_values` returns them.
    """
    values = [] if kind == 'str' else np.empty(0, _DTYPES[kind])
    return values, np.empty(0, bool)


def arrow_column(frame, name):
    """
    Take a column as Arrow.

    Parameters
    ----------
    frame : `pandas.DataFrame`
        Rows of LSDB.
    name : str
        The column.

    Returns
    -------
    column : `pyarrow.ChunkedArray`
        Its values.
    """
    import pyarrow as pa

    array = pa.array(frame[name])
    if isinstance(array, pa.ChunkedArray):
        return array
    return pa.chunked_array([array])


def plain_array(frame, name, kind):
    """
    Take a column as one Arrow array without an offset.

    Parameters
    ----------
    frame : `pandas.DataFrame`
        Rows of LSDB.
    name : str
        The column.
    kind : str
        What it holds.

    Returns
    -------
    array : `pyarrow.Array`
        Its values.
    """
    import pyarrow as pa

    kinds = {
        'str': pa.string(),
        'float': pa.float64(),
        'int': pa.int64(),
        'bool': pa.bool_(),
    }
    array = arrow_column(frame, name).cast(kinds[kind]).combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks or [pa.nulls(0, kinds[kind])])
    # Only a copy is sure to begin where its buffers do.
    return array.take(pa.array(np.arange(len(array))))


def kind_of(dtype):
    """
    Tell what a column holds that is known by its type only.

    Parameters
    ----------
    dtype : `pandas.api.types.ExtensionDtype` or `~numpy.dtype`
        Its type.

    Returns
    -------
    kind : str or None
        'str', 'float', 'int' or 'bool'; None for lists and such.
    """
    import pyarrow as pa

    try:
        arrow = getattr(dtype, 'pyarrow_dtype', None) or pa.from_numpy_dtype(
            np.dtype(dtype)
        )
    except (TypeError, pa.ArrowException):
        return None
    tests = {
        'str': (pa.types.is_string, pa.types.is_large_string),
        'float': (pa.types.is_floating,),
        'int': (pa.types.is_integer,),
        'bool': (pa.types.is_boolean,),
    }
    for kind, several in tests.items():
        if any(test(arrow) for test in several):
            return kind
    return None


def new_columns(dtypes, known):
    """
    Tell what columns hold that were joined to a catalogue.

    Parameters
    ----------
    dtypes : `pandas.Series`
        Types by name.
    known : dict
        What is known of the other columns.

    Returns
    -------
    columns : dict
        Kind of each, and unit of ``_dist_arcsec``, the distance that LSDB
        adds. Lists and such are left out.
    """
    columns = {}
    for name, dtype in dtypes.items():
        kind = kind_of(dtype)
        if name not in known and name != VECTOR and kind is not None:
            columns[name] = {'kind': kind}
    if '_dist_arcsec' in columns:
        columns['_dist_arcsec']['unit'] = 'arcsec'
    return columns
