# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Measure collections against what they must beat.

Ratios are medians of interleaved pairs in one run::

    python benchmarks/collection.py --rows 100000 --dim 384

A million rows of 384 dimensions take 1.3 GB of disk and 3 GB of memory; the
collection lies in ``--folder`` and is removed at the end.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

BATCH = 25_000
PAIRS = 7


def rows_of(rng, n, dim, start, centers):
    """Rows in clusters, as embeddings are, anywhere on the sky."""
    from astropy.table import Table

    vectors = centers[rng.integers(len(centers), size=n)]
    vectors = vectors + rng.normal(size=(n, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    table = Table(
        {
            'id': [f'row-{i}' for i in range(start, start + n)],
            's_ra': rng.uniform(0, 360, n),
            's_dec': np.degrees(np.arcsin(rng.uniform(-1, 1, n))),
            'instrument_name': rng.choice(['NIRCam', 'MIRI', 'ACS'], n),
            'target_name': [f'target {i % 5000}' for i in range(n)],
            'proposal_id': [str(i % 997) for i in range(n)],
            't_min': rng.uniform(5e4, 6e4, n),
            't_exptime': rng.uniform(1, 1e4, n),
        }
    )
    return table, vectors


def build(folder, n, dim):
    """Add rows in batches; tell how the time of a row develops."""
    from astroclip_search import Collection

    rng = np.random.default_rng(0)
    centers = rng.normal(size=(2000, dim)).astype(np.float32)
    collection = Collection.create(folder, dim=dim, fingerprint='benchmark')
    times = []
    for start in range(0, n, BATCH):
        some = min(BATCH, n - start)
        table, vectors = rows_of(rng, some, dim, start, centers)
        begun, used = time.perf_counter(), time.process_time()
        collection.add(table, vectors=vectors)
        times.append((time.perf_counter() - begun, time.process_time() - used))
    times = 1e6 * np.array(times) / BATCH
    k = max(1, len(times) // 4)
    wall, cpu = np.median(times[-k:], 0) / np.median(times[:k], 0)
    say('add', f'{np.median(times, 0)[0]:.1f} us a row (wall)')
    say('add, last quarter / first', f'{wall:.2f} wall, {cpu:.2f} CPU')
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say('add, greatest memory', f'{peak:.0f} MB')
    return collection, centers


def say(what, value):
    sys.stdout.write(f'{what:45} {value}\n')
    sys.stdout.flush()


def pairs(what, ours, theirs, queries):
    """Medians of times and of their ratios, interleaved; wall and CPU."""
    times = []
    for query in queries:
        row = []
        for function in (ours, theirs):
            begun, used = time.perf_counter(), time.process_time()
            function(query)
            used = time.process_time() - used
            row.append((time.perf_counter() - begun, used))
        times.append(row)
    times = np.array(times)
    for k, clock in enumerate(('wall', 'CPU')):
        mine, others = 1e3 * np.median(times[:, :, k], 0)
        ratio = np.median(times[:, 0, k] / times[:, 1, k])
        say(
            f'{what}, {clock}',
            f'{mine:.2f} / {others:.2f} ms = {ratio:.2f} = 1/{1 / ratio:.1f}',
        )


def rank(collection, queries):
    """Rank against torch and faiss in memory."""
    import torch

    vectors = collection.vectors()
    matrix = torch.from_numpy(vectors)
    ids = np.asarray(collection.table('id')['id'])

    def ours(query):
        return collection.search(query, limit=10)

    def bare(query):
        return torch.topk(matrix @ torch.from_numpy(query), 10)

    recall = [
        len({*ours(q)['id']} & {*ids[bare(q).indices.numpy()]}) / 10
        for q in queries
    ]
    say('recall at 10', f'{np.mean(recall):.4f}')
    pairs('search / float32 torch', ours, bare, queries)
    try:
        import faiss
    except ImportError:
        return
    index = faiss.IndexFlatIP(collection.dim)
    index.add(vectors)
    pairs(
        'search / faiss IndexFlatIP',
        ours,
        lambda q: index.search(q[None], 10),
        queries,
    )


def cones(collection, queries):
    """Time of a cone of 1 % against none; rows against brute force."""
    import astropy.units as u
    from astropy.coordinates import SkyCoord

    from astroclip_search.collections._filters import Cone, cone_rows

    radius = np.arccos(1 - 2 * 0.01) * u.rad
    center = SkyCoord(10 * u.deg, 20 * u.deg)
    collection.search(queries[0], position=center, radius=radius)
    pairs(
        'cone of 1 % / all',
        lambda q: collection.search(q, position=center, radius=radius),
        collection.search,
        queries,
    )
    snapshot = collection._snapshot
    table = collection._snapshot.table(snapshot.all_rows(), ['s_ra', 's_dec'])
    ra, dec = (np.radians(np.asarray(table[k])) for k in ('s_ra', 's_dec'))
    rng = np.random.default_rng(1)
    wrong = 0
    number = 1000
    for k in range(number):
        lon = [0.0, rng.uniform(0, 2 * np.pi), 1e-9, 2 * np.pi - 1e-9][k % 4]
        lat = [np.pi / 2, -np.pi / 2, *[np.arcsin(rng.uniform(-1, 1))] * 6][
            k % 8
        ]
        size = 10 ** rng.uniform(-4, 0.4)
        found = cone_rows(snapshot, Cone(lon, lat, size))
        # Vincenty's formula, which is good at all distances.
        a = np.hypot(
            np.cos(dec) * np.sin(ra - lon),
            np.cos(lat) * np.sin(dec)
            - np.sin(lat) * np.cos(dec) * np.cos(ra - lon),
        )
        b = np.sin(lat) * np.sin(dec) + np.cos(lat) * np.cos(dec) * np.cos(
            ra - lon
        )
        gap = np.arctan2(a, b)
        inside = np.zeros(len(ra), bool)
        inside[found] = True
        differs = inside != (gap <= size)
        wrong += (differs & (np.abs(gap - size) > np.radians(1e-9))).any()
    say(f'cones that differ from brute force, of {number}', wrong)


_COLD = """
import time, sys
import numpy as np
{torch}
from astroclip_search import Collection
query = np.load(sys.argv[2])
Collection.open(sys.argv[3]).search(query)  # loads the libraries
def anonymous():
    with open('/proc/self/status') as file:
        return next(int(l.split()[1]) for l in file if 'RssAnon' in l) / 1024
before = anonymous()
begun, used = time.perf_counter(), time.process_time()
collection = Collection.open(sys.argv[1])
opened = time.perf_counter()
collection.search(query, limit=10)
done, used = time.perf_counter(), time.process_time() - used
print(f'{{1e3 * (opened - begun):.0f}} + {{1e3 * (done - opened):.0f}} ms, '
      f'{{1e3 * used:.0f}} ms of CPU, '
      f'{{anonymous() - before:.0f}} MB more (of {{anonymous():.0f}})')
"""


def cold(collection, query):
    """Open and first search in a new process with the libraries loaded."""
    from astroclip_search import Collection

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'query.npy'
        np.save(file, query)
        tiny = Path(folder) / 'tiny'
        few = rows_of(
            np.random.default_rng(0), 5000, len(query), 0, query[None]
        )
        Collection.create(tiny, dim=len(query)).add(few[0], vectors=few[1])
        for name, line in (('torch', 'import torch'), ('onnxruntime', '')):
            code = _COLD.format(torch=line)
            for _ in range(3):
                done = subprocess.run(
                    [sys.executable, '-c', code, collection.path, file, tiny],
                    check=True,
                    capture_output=True,
                    text=True,
                )
            say(f'open + first search, {name}', done.stdout.strip())


def calibration(collection, centers):
    """Rates of false pairs: rows with the vectors of other queries."""
    from astroclip_search.collections._find import background
    from astroclip_search.collections._rank import Scan
    from astroclip_search.collections.calibration import BackgroundRates

    rng = np.random.default_rng(2)
    snapshot = collection._snapshot
    rates = []
    for _ in range(200):
        query = centers[rng.integers(len(centers))]
        query = query + rng.normal(size=query.shape)
        query = (query / np.linalg.norm(query)).astype(np.float32)
        scan = Scan(snapshot, query)
        some = rng.choice(snapshot.all_rows(), 100)
        exact = snapshot.vectors(some) @ query
        rates.append(BackgroundRates(background(snapshot, scan))(exact))
    rates = np.concatenate(rates)
    for nominal in (0.01, 0.1):
        say(f'false-match rate, nominal {nominal}', np.mean(rates <= nominal))
    ordered = np.sort(rates)
    steps = np.arange(1, len(rates) + 1) / len(rates)
    say('Kolmogorov-Smirnov distance', np.abs(ordered - steps).max().round(4))


def approximate(collection, queries):
    """Recall and speed of the approximate index."""
    begun = time.perf_counter()
    facts = collection.build_index()
    say('index', f'{facts}, {time.perf_counter() - begun:.0f} s')
    pairs(
        'approximate / exact',
        lambda q: collection.search(q, limit=10, approximate=True),
        lambda q: collection.search(q, limit=10),
        queries,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--rows', type=int, default=100_000)
    parser.add_argument('--dim', type=int, default=384)
    parser.add_argument('--folder', type=Path, default=tempfile.gettempdir())
    parser.add_argument('--only', nargs='*')
    args = parser.parse_args()
    path = Path(args.folder) / f'benchmark-{os.getpid()}.astroclip'
    try:
        collection, centers = build(path, args.rows, args.dim)
        rng = np.random.default_rng(3)
        queries = centers[: 2 * PAIRS] + rng.normal(size=(2 * PAIRS, args.dim))
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        queries = queries.astype(np.float32)
        begun = time.perf_counter()
        collection.compact()
        say('compact', f'{time.perf_counter() - begun:.1f} s')
        parts = {
            'cold': lambda: cold(collection, queries[0]),
            'rank': lambda: rank(collection, queries),
            'cones': lambda: cones(collection, queries),
            'calibration': lambda: calibration(collection, centers),
            'approximate': lambda: approximate(collection, queries),
        }
        for name in args.only or parts:
            parts[name]()
    finally:
        shutil.rmtree(path, ignore_errors=True)


if __name__ == '__main__':
    main()
