# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Rows for the tests, without any model."""

import numpy as np
from astropy.table import MaskedColumn, QTable

from astroclip_search import Collection

DIM = 32


def make_rows(n, *, seed=0, start=0, dim=DIM):
    """A table and vectors; every tenth row has no position."""
    rng = np.random.default_rng(seed)
    nowhere = np.arange(n) % 10 == 9
    table = QTable(
        {
            'id': [f'row-{i}' for i in range(start, start + n)],
            's_ra': MaskedColumn(rng.uniform(0, 360, n), mask=nowhere),
            's_dec': MaskedColumn(
                np.degrees(np.arcsin(rng.uniform(-1, 1, n))), mask=nowhere
            ),
            'instrument_name': MaskedColumn(
                rng.choice(['NIRCam', 'MIRI', 'ACS/WFC'], n),
                mask=np.arange(n) % 7 == 6,
            ),
            'proposal_id': [str(1000 + i % 13) for i in range(n)],
            't_min': rng.uniform(55000, 60000, n),
            't_exptime': rng.uniform(1, 1000, n),
            'em_min': rng.uniform(1e-6, 2e-6, n),
            'number': np.arange(start, start + n),
        }
    )
    table['t_max'] = table['t_min'] + 1
    table['em_max'] = table['em_min'] + 1e-7
    return table, rng.normal(size=(n, dim)).astype(np.float32)


def make_collection(path, *sizes, dim=DIM, seed=0):
    """A collection of one segment for each size, and its rows by id."""
    collection = Collection.create(path, dim=dim, fingerprint='sha256:test')
    start = 0
    for k, n in enumerate(sizes):
        table, vectors = make_rows(n, seed=seed + k, start=start, dim=dim)
        collection.add(table, vectors=vectors)
        start += n
    return collection
