# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Collections to and from files of other formats."""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
from astropy.table import Column, MaskedColumn, QTable, Table

from astroclip_search._optional import require
from astroclip_search.collections._columns import VECTOR, to_field
from astroclip_search.exceptions import CollectionError

__all__ = []

_TABLES = {
    '.fits': 'fits',
    '.ecsv': 'ascii.ecsv',
    '.vot': 'votable',
    '.xml': 'votable',
}
_KEY = 'ASTROCLP'  # fits into a FITS header
_BATCH = 1 << 15


def write_file(collection, path, *, vectors, overwrite):
    """
    Do what `Collection.to_file` promises.

    Parameters
    ----------
    collection : Collection
        The collection.
    path, vectors, overwrite : object
        As there.
    """
    path = Path(path).expanduser()
    kind = path.suffix.lower()
    if kind not in (*_TABLES, '.parquet', '.npz'):
        raise _unknown(path)
    if path.exists() and not overwrite:
        msg = f'{str(path)!r} is there already; give overwrite=True'
        raise CollectionError(msg)
    new = path.with_name(f'.{os.getpid()}.{path.name}')
    try:
        if kind == '.parquet':
            _write_parquet(collection, new, vectors)
        elif kind == '.npz':
            _write_npz(collection, new, vectors)
        else:
            table = collection.table()
            if vectors:
                table[VECTOR] = collection.vectors()
            table.meta[_KEY] = json.dumps(_facts(collection))
            table.write(new, format=_TABLES[kind])
        new.replace(path)
    except OSError as exc:
        msg = f'{str(path)!r} cannot be written ({exc.strerror or exc})'
        raise CollectionError(msg) from exc
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)


def read_file(cls, source, path, *, vectors=None, **options):
    """
    Do what `Collection.from_file` promises.

    Parameters
    ----------
    cls : type
        The class of collections.
    source, path, vectors, **options : object
        As there.

    Returns
    -------
    collection : Collection
        The new collection.
    """
    source = Path(source).expanduser()
    kind = source.suffix.lower()
    readers = {'.parquet': _read_parquet, '.npz': _read_npz}
    if kind not in (*_TABLES, *readers):
        raise _unknown(source)
    try:
        facts, batches = readers.get(kind, _read_table)(source)
        first = next(batches)
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as exc:
        msg = f'{str(source)!r} cannot be read ({exc})'
        raise CollectionError(msg) from exc
    if options.get('embedder') is None:
        for key in ('fingerprint', 'rendering', 'meta'):
            options.setdefault(key, facts.get(key))
    elif facts.get('fingerprint') not in (
        None,
        options['embedder'].fingerprint,
    ):
        msg = (
            f'{str(source)!r} was made by the model {facts.get("model")}, '
            f'not by {options["embedder"].name}; leave embedder out'
        )
        raise CollectionError(msg)
    if vectors is None and first[1] is None:
        msg = f'{str(source)!r} has no vectors; give vectors='
        raise CollectionError(msg)
    dim = np.shape(first[1] if vectors is None else vectors)[1]
    collection = cls.create(path, dim=dim, **options)
    try:
        done = 0
        for table, stored in (first, *batches):
            if vectors is not None:
                stored = vectors[done : done + len(table)]
            done += len(table)
            collection.add(table, vectors=stored)
    except BaseException:
        shutil.rmtree(collection.path, ignore_errors=True)
        raise
    return collection


def to_datasets(collection, *, vectors=True):
    """
    Do what `Collection.to_datasets` promises.

    Parameters
    ----------
    collection : Collection
        The collection.
    vectors : bool, optional
        Whether vectors come along.

    Returns
    -------
    dataset : `datasets.Dataset`
        The rows.
    """
    import pyarrow as pa

    datasets = require(
        'datasets', extra='datasets', purpose='make a Hugging Face data set'
    )
    batches = list(_arrow_batches(collection, vectors))
    table = pa.Table.from_batches(batches) if batches else pa.table({})
    # Its own description of our fields would be taken for that of features.
    table = table.replace_schema_metadata(None)
    return datasets.Dataset(datasets.table.InMemoryTable(table))


def _unknown(path):
    msg = (
        f'{path.name!r} has no ending that is known; use .parquet, .npz, '
        f'{", ".join(_TABLES)}'
    )
    return CollectionError(msg)


def _facts(collection):
    manifest = collection._snapshot.manifest
    return {
        'model': manifest.model,
        'fingerprint': manifest.fingerprint,
        'rendering': manifest.rendering,
        'meta': manifest.meta,
    }


def _arrow_batches(collection, vectors):
    """The rows as Arrow, some at a time, all with the same columns."""
    import pyarrow as pa

    from astroclip_search.collections._change import read_rows

    snapshot = collection._snapshot
    everything = snapshot.all_rows()
    for start in range(0, len(everything), _BATCH):
        chosen = everything[start : start + _BATCH]
        rows = read_rows(snapshot, chosen, pictures=False)
        arrays = [values for values, _, _ in rows.columns.values()]
        fields = [
            to_field(name, values.type, facts)
            for name, (values, _, facts) in rows.columns.items()
        ]
        if vectors:
            flat = rows.vectors.astype(np.float32).ravel()
            array = pa.FixedSizeListArray.from_arrays(
                pa.array(flat), snapshot.manifest.dim
            )
            arrays.append(array)
            fields.append(pa.field(VECTOR, array.type))
        schema = pa.schema(
            fields, metadata={_KEY: json.dumps(_facts(collection))}
        )
        yield pa.record_batch(arrays, schema=schema)


def _write_parquet(collection, path, vectors):
    import pyarrow.parquet as pq

    writer = None
    try:
        for batch in _arrow_batches(collection, vectors):
            if writer is None:
                writer = pq.ParquetWriter(path, batch.schema)
            writer.write_batch(batch)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        msg = 'the collection has no rows to be written'
        raise CollectionError(msg)


def _read_parquet(source):
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(source)
    except pa.ArrowException as exc:
        raise ValueError(str(exc)) from exc
    known = (file.schema_arrow.metadata or {}).get(_KEY.encode(), b'{}')
    return json.loads(known), (
        _from_arrow(batch) for batch in file.iter_batches(_BATCH)
    )


def _from_arrow(batch):
    """Table and vectors of a batch of Arrow."""
    table, vectors = Table(), None
    for field, array in zip(batch.schema, batch.columns, strict=True):
        if field.name == VECTOR:
            flat = array.flatten().to_numpy(zero_copy_only=False)
            vectors = flat.reshape(len(array), -1)
            continue
        told = json.loads((field.metadata or {}).get(b'astroclip', b'{}'))
        values = array.to_pylist()
        mask = np.array([value is None for value in values], bool)
        there = [value for value in values if value is not None]
        blank = '' if not there or isinstance(there[0], str) else 0
        table[field.name] = MaskedColumn(
            [blank if value is None else value for value in values],
            mask=mask,
            unit=told.get('unit'),
            description=told.get('description'),
        )
        if not there and told.get('kind') in ('float', 'int', 'bool'):
            table[field.name] = MaskedColumn(
                np.zeros(len(values), told['kind']), mask=True
            )
    return table, vectors


def _write_npz(collection, path, vectors):
    table = Table(collection._snapshot.table(collection._snapshot.all_rows()))
    arrays = {_KEY: np.array(json.dumps(_facts(collection)))}
    for name in table.colnames:
        column = table[name]
        arrays[f'column:{name}'] = np.asarray(np.ma.getdata(column))
        if column.unit is not None:
            arrays[f'unit:{name}'] = np.array(column.unit.to_string('vounit'))
        if hasattr(column, 'mask'):
            arrays[f'mask:{name}'] = np.asarray(column.mask)
    if vectors:
        arrays['vectors'] = collection.vectors()
    with path.open('wb') as file:
        np.savez(file, **arrays)


def _read_npz(source):
    with np.load(source, allow_pickle=False) as data:
        facts = json.loads(str(data[_KEY])) if _KEY in data else {}
        vectors = data.get('vectors')
        table = Table()
        for key in data.files:
            kind, _, name = key.partition(':')
            if kind != 'column':
                continue
            unit = f'unit:{name}'
            options = {'unit': str(data[unit]) if unit in data else None}
            mask = f'mask:{name}'
            table[name] = (
                MaskedColumn(data[key], mask=data[mask], **options)
                if mask in data
                else Column(data[key], **options)
            )
    return facts, iter([(table, vectors)])


def _read_table(source):
    table = QTable.read(
        source,
        format=_TABLES[source.suffix.lower()],
        **(
            {'unit_parse_strict': 'silent'} if source.suffix == '.fits' else {}
        ),
    )
    if _TABLES[source.suffix.lower()] == 'votable':
        _mask_blanks(table)
    known = {k.upper(): v for k, v in table.meta.items()}.get(_KEY)
    vectors = None
    if VECTOR in table.colnames:
        vectors = np.asarray(getattr(table[VECTOR], 'value', table[VECTOR]))
        table.remove_column(VECTOR)
    return json.loads(known) if known else {}, iter([(table, vectors)])


def _mask_blanks(table):
    """VOTable cannot tell an unknown string from an empty one."""
    for name in table.colnames:
        if table[name].dtype.kind in 'UO':
            values = np.ma.filled(table[name], '').astype(str)
            blank = values == ''
            if blank.any():
                table[name] = MaskedColumn(values, mask=blank)
