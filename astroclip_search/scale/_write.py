# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Collections become HATS catalogues."""

import os
import secrets
import shutil
from pathlib import Path

import numpy as np

from astroclip_search._progress import progress_bar
from astroclip_search.exceptions import CollectionError
from astroclip_search.scale._cells import divide
from astroclip_search.scale._facts import (
    BACKGROUND,
    INDEX,
    ORDER,
    VECTOR,
    CatalogFacts,
    require_hats,
)

__all__ = ['to_hats']

# Rows that Parquet compresses together.
_ROW_GROUP = 1 << 14


def to_hats(
    collection, path, *, partition_rows=50_000, overwrite=False, progress=None
):
    """
    Write a collection as a HATS catalogue.

    Every column, the vectors, the model, the rendering and what was kept
    with the collection are written; thumbnails are not. One partition is
    in memory at a time. ``lsdb.open_catalog`` opens the result.

    Rows without a position have null positions and stand in the cell of
    HEALPix index 0, so that no search by place finds them.

    Parameters
    ----------
    collection : `~astroclip_search.Collection`
        The collection.
    path : path-like
        Directory of the catalogue.
    partition_rows : int, optional
        Most rows of a partition. The default, 50000, is some 50 MB with 384
        dimensions.
    overwrite : bool, optional
        Whether a catalogue that is there is replaced.
    progress : bool, optional
        Whether to show progress; ``conf.progress`` by default.

    Returns
    -------
    path : `~pathlib.Path`
        The directory.

    Raises
    ------
    CollectionError
        If the directory is taken, the collection is empty or damaged, or the
        disk is full. Nothing half-written is left.
    MissingDependencyError
        If the extra ``scale`` is not installed.
    """
    require_hats('write HATS catalogues')
    snapshot = collection._snapshot
    path = Path(path).expanduser()
    _check(collection, path, partition_rows, overwrite)
    part = path.with_name(f'.{path.name}.{secrets.token_hex(4)}.partial')
    try:
        cells = _write_cells(snapshot, part, partition_rows, progress)
        _write_facts(collection, part, path.name, cells)
        _move(part, path)
    except OSError as exc:
        msg = f'the catalogue {str(path)!r} cannot be written ({exc})'
        raise CollectionError(msg) from exc
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return path


def _check(collection, path, partition_rows, overwrite):
    if not isinstance(partition_rows, int | np.integer) or partition_rows < 1:
        msg = f'partition_rows={partition_rows!r} is no number of rows'
        raise CollectionError(msg)
    if path.exists() and not overwrite:
        msg = f'there is {str(path)!r} already; overwrite=True replaces it'
        raise CollectionError(msg)
    if path.exists() and not (path / 'hats.properties').exists():
        msg = f'{str(path)!r} is no HATS catalogue; it is not replaced'
        raise CollectionError(msg)
    if collection._snapshot.damaged:
        msg = (
            f'collection {collection.name!r} is damaged; restore it, or give '
            'its damaged rows up with compact(drop_damaged=True)'
        )
        raise CollectionError(msg)
    if not len(collection):
        msg = f'collection {collection.name!r} has no rows to write'
        raise CollectionError(msg)


def _move(part, path):
    """Put the finished directory in its place."""
    old = part.with_suffix('.old')
    if path.exists():
        path.rename(old)
    try:
        part.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write_cells(snapshot, folder, partition_rows, progress):
    from hats.io import paths
    from hats.pixel_math import HealpixPixel

    # Rows without a place have the index -1: they join the first cell.
    places = [np.maximum(s.hpx, 0) for s in snapshot.segments]

    def counts(low, high):
        return sum(
            np.subtract(*np.searchsorted(hpx, [high, low])) for hpx in places
        )

    pixels = []
    cells = divide(counts, partition_rows)
    for order, pixel, _ in progress_bar(
        cells, show=progress, unit='partition', leave=False
    ):
        shift = 2 * (ORDER - order)
        bounds = [pixel << shift, (pixel + 1) << shift]
        rows = np.concatenate(
            [
                np.arange(*np.searchsorted(hpx, bounds)) + start
                for hpx, start in zip(places, snapshot.starts, strict=False)
            ]
        )
        rows = snapshot.without_removed(rows)
        if not len(rows):
            continue
        cell = HealpixPixel(order, pixel)
        file = paths.new_pixel_catalog_file(folder, cell, create_dirs=True)
        _write_rows(snapshot, rows, Path(str(file)))
        pixels.append(cell)
    return pixels


def _write_rows(snapshot, rows, file):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from astroclip_search.collections._change import read_rows
    from astroclip_search.collections._columns import to_arrow

    index = np.concatenate([[], *_index_of(snapshot, rows)]).astype(np.int64)
    order = np.argsort(index, kind='stable')
    ready = read_rows(snapshot, rows[order], pictures=False)
    columns = {INDEX: pa.array(index[order])}
    for name, (values, mask, facts) in ready.columns.items():
        _, array = to_arrow(name, values, mask, facts)
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        columns[name] = array
    for name in ('s_ra', 's_dec'):
        if name not in columns:
            columns[name] = pa.nulls(len(rows), pa.float64())
    vectors = np.ascontiguousarray(ready.vectors, np.float16)
    columns[VECTOR] = pa.FixedSizeListArray.from_arrays(
        pa.array(vectors.ravel()), vectors.shape[1]
    )
    names = [name for name in columns if name != VECTOR]
    # Vectors are noise to a compressor, and reading them must be quick.
    packing = dict.fromkeys(names, 'zstd')
    packing[f'{VECTOR}.list.element'] = 'none'
    with file.open('wb') as target:
        pq.write_table(
            pa.table(columns),
            target,
            row_group_size=_ROW_GROUP,
            compression=packing,
            use_dictionary=names,
            write_statistics=names,
        )
        target.flush()
        os.fsync(target.fileno())


def _index_of(snapshot, rows):
    out = np.empty(len(rows), np.int64)
    for segment, places, mine in snapshot.parts(rows):
        out[places] = np.maximum(segment.hpx[mine], 0)
    return [out]


def _write_facts(collection, folder, name, pixels):
    from hats.catalog import CatalogType, PartitionInfo, TableProperties
    from hats.io.parquet_metadata import write_parquet_metadata

    snapshot = collection._snapshot
    manifest = snapshot.manifest
    PartitionInfo.from_healpix(pixels).write_to_file(catalog_path=folder)
    total = write_parquet_metadata(folder)
    facts = CatalogFacts(
        manifest.dim,
        manifest.fingerprint,
        manifest.model,
        manifest.rendering,
        collection.meta,
        snapshot.facts,
    )
    if snapshot.sample is None:
        vectors = snapshot.vectors(snapshot.all_rows())
        background = {'vectors': vectors.astype(np.float16)}
    else:
        codes, scales = snapshot.sample_codes
        background = {'codes': codes, 'scales': scales}
    np.savez(folder / BACKGROUND, **background)
    TableProperties(
        catalog_name=name,
        catalog_type=CatalogType.OBJECT,
        total_rows=total,
        ra_column='s_ra',
        dec_column='s_dec',
        healpix_column=INDEX,
        healpix_order=ORDER,
        **facts.properties(),
    ).to_properties_file(folder)
