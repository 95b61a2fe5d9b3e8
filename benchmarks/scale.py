# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Measure searches of HATS catalogues on a local cluster of two workers.

    python benchmarks/scale.py --rows 1000000

Random vectors stand for those of images; the positions cover the sky evenly.
The catalogue and the collection it is made of take some 2 kB a row in a
temporary directory. Everything that is compared is checked, too.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

# A circle of 1 % of the sky.
CONE = np.degrees(np.arccos(1 - 2 * 0.01)) * u.deg
CHUNK = 100_000


def build(path, rows, dim, rng):
    """Make a collection of random rows."""
    from astroclip_search import Collection

    made = Collection.create(path, dim=dim, fingerprint='sha256:benchmark')
    for start in range(0, rows, CHUNK):
        n = min(CHUNK, rows - start)
        table = Table(
            {
                'id': [f'row-{start + i}' for i in range(n)],
                'obs_id': [f'obs-{(start + i) // 3}' for i in range(n)],
                's_ra': rng.uniform(0, 360, n) * u.deg,
                's_dec': np.degrees(np.arcsin(rng.uniform(-1, 1, n))) * u.deg,
                'instrument_name': rng.choice(['ACS/WFC', 'WFC3/UVIS'], n),
                't_exptime': rng.uniform(10, 3000, n) * u.s,
                'access_url': [
                    f'https://archive.example/preview/{start + i}.jpg'
                    for i in range(n)
                ],
            }
        )
        vectors = rng.normal(size=(n, dim)).astype(np.float32)
        made.add(table, vectors=vectors)
    made.compact()
    return made


def timed(function, *args, **kwargs):
    """Seconds and value of a call."""
    start = time.perf_counter()
    value = function(*args, **kwargs)
    return time.perf_counter() - start, value


def peak():
    """Greatest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def differences(found, wanted):
    """Rows that are not the same, or not in the same place."""
    return sum(
        a != b
        for one, other in zip(found, wanted, strict=True)
        for a, b in zip(one['id'], other['id'], strict=True)
    )


def check_round_trip(made, back, rng):
    """Rows and vectors of which a sample is not the same."""
    ids = [f'row-{i}' for i in rng.choice(len(made), 2000, replace=False)]
    same = np.array_equal(made.vectors(ids), back.vectors(ids))
    return len(made) == len(back) and same


def measure(folder, args):
    """Do everything once."""
    from distributed import Client, LocalCluster

    from astroclip_search import Collection
    from astroclip_search.scale import search_hats

    rng = np.random.default_rng(args.seed)
    out = {'rows': args.rows, 'dim': args.dim, 'queries': args.queries}
    out['build_s'], made = timed(
        build, folder / 'c.astroclip', args.rows, args.dim, rng
    )
    before = peak()
    out['to_hats_s'], path = timed(made.to_hats, folder / 'c.hats')
    out['to_hats_memory_mb'] = peak() - before
    files = [f for f in path.rglob('*') if f.is_file()]
    out['hats_bytes'] = sum(f.stat().st_size for f in files)
    out['partitions'] = len([*path.glob('dataset/**/Npix=*.parquet')])
    before = peak()
    out['from_hats_s'], back = timed(
        Collection.from_hats, path, folder / 'back.astroclip'
    )
    out['from_hats_memory_mb'] = peak() - before
    out['round_trip_same'] = bool(check_round_trip(made, back, rng))
    queries = rng.normal(size=(args.queries, args.dim)).astype(np.float32)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        # Workers import what they need once.
        search_hats(path, queries[0], position=at(0, 0), radius=1 * u.deg)
        idle = max(client.run(peak).values())
        singles, cones = [], []
        for query in queries[: args.singles]:
            singles.append(timed(search_hats, path, query, limit=100)[0])
            place = at(rng.uniform(0, 360), rng.uniform(-60, 60))
            seconds, found = timed(
                search_hats, path, query, limit=100,
                position=place, radius=CONE,
            )  # fmt: skip
            wanted = made.search(query, limit=100, position=place, radius=CONE)
            out['cone_differences'] = out.get(
                'cone_differences', 0
            ) + differences([found], [wanted])
            cones.append(seconds)
        out['all_sky_s'] = float(np.median(singles))
        out['cone_s'] = float(np.median(cones))
        out['cone_to_all_sky'] = out['cone_s'] / out['all_sky_s']
        out['batch_s'], found = timed(search_hats, path, queries, limit=100)
        out['batch_to_singles'] = out['batch_s'] / (
            np.mean(singles) * args.queries
        )
        wanted = made.search(queries, limit=100)
        out['all_sky_differences'] = differences(found, wanted)
        out['worker_memory_mb'] = max(client.run(peak).values()) - idle
    return out


def at(ra, dec):
    """Position of degrees."""
    return SkyCoord(ra, dec, unit='deg')


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rows', type=int, default=100_000)
    parser.add_argument('--dim', type=int, default=384)
    parser.add_argument('--queries', type=int, default=100)
    parser.add_argument('--singles', type=int, default=10)
    parser.add_argument('--seed', type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), args), indent=1))


if __name__ == '__main__':
    main()
