# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""A collection, its catalogue and a cluster for tests of many machines."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from _sizes import DIM, N
from astropy import units as u
from astropy.table import MaskedColumn, Table


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            # What engines say to each other is not ours to mend.
            item.add_marker(
                pytest.mark.filterwarnings('ignore::DeprecationWarning')
            )


def rows(seed=1, n=N):
    rng = np.random.default_rng(seed)
    return Table(
        {
            'id': [f'r{i}' for i in range(n)],
            's_ra': MaskedColumn(
                rng.uniform(0, 360, n), mask=rng.random(n) < 0.01, unit='deg'
            ),
            's_dec': np.degrees(np.arcsin(rng.uniform(-1, 1, n))) * u.deg,
            'instrument_name': MaskedColumn(
                rng.choice(['ACS', 'WFC3', 'NIRCam'], n),
                mask=rng.random(n) < 0.1,
            ),
            'obs_title': [f'título {i} \N{GREEK SMALL LETTER ALPHA}' * 3
                          for i in range(n)],
            'calib_level': MaskedColumn(
                rng.integers(0, 4, n), mask=rng.random(n) < 0.2
            ),
            't_exptime': rng.random(n) * u.s,
            'flag': rng.random(n) < 0.5,
            'flux': MaskedColumn(
                rng.random(n), mask=rng.random(n) < 0.3, unit='Jy'
            ),
        }
    )  # fmt: skip


def vectors(seed=2, n=N):
    return np.random.default_rng(seed).normal(size=(n, DIM))


@pytest.fixture(scope='session')
def lsdb():
    with warnings.catch_warnings():
        # What the engine warns of when it is imported is not ours.
        warnings.simplefilter('ignore')
        return pytest.importorskip('lsdb')


@pytest.fixture(scope='session')
def collection(tmp_path_factory):
    from astroclip_search import Collection

    path = tmp_path_factory.mktemp('scale') / 'some.astroclip'
    made = Collection.create(
        path,
        dim=DIM,
        fingerprint='sha256:abc',
        meta={'title': 'Some "rows" = \N{GREEK SMALL LETTER BETA}'},
    )
    table, some = rows(), vectors()
    made.add(table[:3000], vectors=some[:3000])
    made.add(table[3000:], vectors=some[3000:])
    made.remove(['r3', 'r17', 'r4000'])
    made.compact()
    return made


@pytest.fixture(scope='session')
def catalog(collection, lsdb, tmp_path_factory):
    path = tmp_path_factory.mktemp('hats') / 'some.hats'
    return collection.to_hats(path, partition_rows=200)


@pytest.fixture(scope='session')
def cluster(lsdb):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        from distributed import LocalCluster

        made = LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            memory_limit=None,
        )
        yield made
        made.close()


@pytest.fixture
def client(cluster):
    from distributed import Client

    # Only tests that ask for a cluster find one.
    with Client(cluster) as made:
        made.wait_for_workers(2, timeout=120)
        yield made
