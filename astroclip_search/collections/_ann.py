# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
An approximate index for millions of rows.

Vectors are divided among cells around centroids, and a query looks into the
nearest few of them (inverted file; Jegou, Douze & Schmid 2011, IEEE TPAMI 33,
117). What it finds is computed again from the vectors, so similarities are
exact and only rows can be missing. How many are, is measured when the index
is made. It serves queries without filters alone: few of the rows that pass a
filter lie in the cells that are nearest to the query.
"""

import secrets

import numpy as np

from astroclip_search._optional import require
from astroclip_search.collections._change import writing
from astroclip_search.collections._files import digest_of
from astroclip_search.collections._manifest import SEGMENTS
from astroclip_search.collections._rank import Ranking, Scan
from astroclip_search.exceptions import CollectionError, QueryError

__all__ = []

_CHUNK = 1 << 16
_PER_CELL = 40  # vectors for each centroid, as faiss advises
_QUERIES = 100
_K = 10  # recall at 10


def build(collection, *, recall=0.95, seed=0):
    """
    Do what `Collection.build_index` promises.

    Parameters
    ----------
    collection : Collection
        The collection.
    recall, seed : object
        As there.

    Returns
    -------
    facts : dict
        What the index is and what was measured.
    """
    faiss = _faiss()
    if not 0 < recall < 1:
        msg = f'recall={recall!r} is not between 0 and 1'
        raise QueryError(msg)
    with writing(collection) as writer:
        snapshot = writer.snapshot
        rows = snapshot.all_rows()
        if len(rows) < 100 * _PER_CELL:
            msg = (
                f'{len(rows)} rows are searched exactly in no time; an index '
                f'is made from {100 * _PER_CELL} rows on'
            )
            raise CollectionError(msg)
        rng = np.random.default_rng(seed)
        cells = int(min(2 * np.sqrt(len(rows)), len(rows) / _PER_CELL))
        index = faiss.index_factory(
            snapshot.manifest.dim,
            f'IVF{cells},SQ8',
            faiss.METRIC_INNER_PRODUCT,
        )
        some = rng.choice(
            rows, min(len(rows), _PER_CELL * cells), replace=False
        )
        index.train(snapshot.vectors(np.sort(some)))
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            index.add_with_ids(snapshot.vectors(part), part)
        found = _measure(snapshot, index, rng, rows, recall)
        path = writer.folder / SEGMENTS / f'{secrets.token_hex(8)}.faiss'
        try:
            faiss.write_index(index, str(path))
        except RuntimeError as exc:
            path.unlink(missing_ok=True)
            raise OSError(28, str(exc)) from exc
        facts = {'cells': cells, 'rows': len(rows), **found}
        writer.commit(
            index={
                'file': path.name,
                'sha256': digest_of(path),
                **facts,
            }
        )
    return facts


def best(snapshot, query, k):
    """
    Find rows that are probably the best.

    Parameters
    ----------
    snapshot : Snapshot
        A collection that has an index.
    query : (d,) `~numpy.ndarray`, float32
        Unit vector.
    k : int
        How many.

    Returns
    -------
    ranking : Ranking
        Rows, with exact similarities.
    """
    index = getattr(snapshot, 'ann', None)
    if index is None:
        index = snapshot.ann = _load(snapshot)
    return _search(snapshot, index, query, k)


def _search(snapshot, index, query, k):
    _, found = index.search(query[None], 4 * k)
    rows = found[0][found[0] >= 0]
    similarity = snapshot.vectors(rows) @ query
    order = np.lexsort((rows, -similarity))[:k]
    return Ranking(rows[order], similarity[order], len(rows))


def _measure(snapshot, index, rng, rows, wanted):
    """Look into as many cells as the recall needs, and say what it is."""
    noise = 0.5 / np.sqrt(snapshot.manifest.dim)
    queries = snapshot.vectors(rng.choice(rows, _QUERIES, replace=False))
    queries += noise * rng.normal(size=queries.shape).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    exact = [set(Scan(snapshot, q).best(_K).rows.tolist()) for q in queries]
    probes = 1
    while True:
        index.nprobe = probes
        hits = [
            len(set(_search(snapshot, index, q, _K).rows.tolist()) & best_)
            for q, best_ in zip(queries, exact, strict=True)
        ]
        found = float(np.sum(hits) / (_K * _QUERIES))
        if found >= wanted or probes >= index.nlist:
            return {
                'probes': int(index.nprobe),
                'recall_at_10': round(found, 4),
            }
        probes = min(2 * probes, index.nlist)


def _load(snapshot):
    facts = snapshot.manifest.index
    path = snapshot.folder / SEGMENTS / facts['file']
    if not path.is_file() or digest_of(path) != facts['sha256']:
        msg = (
            f'the index {str(path)!r} is missing or damaged; make it again '
            'with build_index()'
        )
        raise CollectionError(msg)
    faiss = _faiss()
    index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    index.nprobe = facts['probes']
    return index


def _faiss():
    return require(
        'faiss', extra='ann', purpose='search collections approximately'
    )
