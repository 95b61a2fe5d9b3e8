# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""HATS catalogues become collections."""

import secrets
import shutil
from pathlib import Path

import numpy as np

from astroclip_search._progress import progress_bar
from astroclip_search.exceptions import CollectionError
from astroclip_search.scale._arrow import plain_values, vectors_of
from astroclip_search.scale._cells import in_order
from astroclip_search.scale._facts import (
    VECTOR,
    CatalogFacts,
    open_structure,
)

__all__ = ['from_hats']

# Rows that become a segment together: bounds the memory.
_ROWS = 1 << 17


def from_hats(source, path=None, *, overwrite=False, progress=None):
    """
    Make a collection of a HATS catalogue that `to_hats` wrote.

    Parameters
    ----------
    source : path-like
        Directory of the catalogue.
    path : path-like, optional
        Directory of the collection; by default it lies beside the catalogue
        and has its name, with ``.astroclip``.
    overwrite : bool, optional
        Whether a collection that is there is replaced.
    progress : bool, optional
        Whether to show progress; ``conf.progress`` by default.

    Returns
    -------
    collection : `~astroclip_search.Collection`
        The same rows, columns, units and vectors, bit by bit, in the order
        of the sky.

    Raises
    ------
    CollectionError
        If the catalogue has no vectors, does not say which model made them,
        or cannot be read. Nothing half-written is left.
    MissingDependencyError
        If the extra ``scale`` is not installed.
    """
    from astroclip_search.collections import Collection
    from astroclip_search.collections._change import writing

    source = Path(source).expanduser()
    structure = open_structure(source)
    facts = CatalogFacts.of(structure)
    if path is None:
        path = source.with_name(f'{source.stem}.astroclip')
    path = Path(path).expanduser()
    taken = (path / 'manifest.json').exists()
    if path.exists() and not (overwrite and taken):
        remedy = 'overwrite=True replaces it' if taken else 'choose another'
        msg = f'there is {str(path)!r} already; {remedy}'
        raise CollectionError(msg)
    part = path.with_name(f'.{path.name}.{secrets.token_hex(4)}.partial')
    try:
        made = Collection.create(
            part,
            dim=facts.dim,
            fingerprint=facts.fingerprint,
            rendering=facts.rendering_facts,
            meta=facts.meta,
        )
        with writing(made) as writer:
            segments = [
                info
                for rows in _batches(source, structure, facts, progress)
                for info in writer.write(rows)
            ]
            writer.commit(segments=segments, model=facts.model)
        del made, writer
        if taken:
            shutil.rmtree(path)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Collection.open(path)


def _batches(source, structure, facts, progress):
    """Rows of several partitions at a time, ready to be written."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from hats.io import paths

    known, tables, n = np.empty(0, np.uint64), [], 0
    cells = in_order(structure.get_healpix_pixels())
    bar = progress_bar(cells, show=progress, unit='partition', leave=False)
    for cell in bar:
        file = str(paths.pixel_catalog_file(source, cell))
        try:
            tables.append(pq.read_table(file, partitioning=None))
        except (OSError, pa.ArrowException) as exc:
            msg = (
                f'partition {file!r} cannot be read ({exc}); restore it, or '
                'write the catalogue again'
            )
            raise CollectionError(msg) from exc
        n += len(tables[-1])
        if n >= _ROWS or cell is cells[-1]:
            rows = to_rows(pa.concat_tables(tables), facts, source)
            known = _join(known, rows.keys, source)
            tables, n = [], 0
            yield rows


def _join(known, keys, source):
    """Hashes of all ids so far, which must differ."""
    joined = np.concatenate([known, keys])
    if len(np.unique(joined)) < len(joined):
        msg = f'an id is twice in {str(source)!r}; ids must be different'
        raise CollectionError(msg)
    return joined


def to_rows(table, facts, where):
    """
    Make rows of a collection of rows in Arrow.

    Parameters
    ----------
    table : `pyarrow.Table`
        Columns and vectors.
    facts : CatalogFacts
        What is known of them.
    where : path-like
        What a message names.

    Returns
    -------
    rows : Rows
        Ready to be written.
    """
    from astroclip_search.collections._healpix import place
    from astroclip_search.collections._write import Rows, hash_text

    missing = [
        n for n in (*facts.columns, VECTOR) if n not in table.schema.names
    ]
    if missing:
        msg = f'{str(where)!r} has no column {missing[0]!r}'
        raise CollectionError(msg)
    columns = {
        name: (*plain_values(table[name], known['kind']), known)
        for name, known in facts.columns.items()
    }
    n = len(table)
    unknown = (np.zeros(n), np.ones(n, bool), None)
    ra, no_ra, _ = columns.get('s_ra', unknown)
    dec, no_dec, _ = columns.get('s_dec', unknown)
    hpx, xyz = place(ra, dec, no_ra | no_dec)
    vectors = vectors_of(table[VECTOR], facts.dim, repr(str(where)))
    return Rows(columns, vectors, hash_text(columns['id'][0]), hpx, xyz)
