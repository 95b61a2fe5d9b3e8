# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Searches of catalogues give what searches of collections give."""

import os
import shutil
import signal
import threading
import time

import numpy as np
import pytest
from _sizes import DIM
from astropy import units as u
from astropy.coordinates import Latitude, Longitude, SkyCoord

from astroclip_search.exceptions import (
    CollectionError,
    ModelError,
    QueryError,
)
from astroclip_search.results import SearchResult
from astroclip_search.scale import search_hats

pytestmark = pytest.mark.usefixtures('lsdb')

QUERIES = np.random.default_rng(7).normal(size=(6, DIM)).astype(np.float32)


def at(ra, dec):
    return SkyCoord(ra, dec, unit='deg')


def same(found, wanted):
    assert isinstance(found, SearchResult)
    assert list(found['id']) == list(wanted['id'])
    assert found.colnames == wanted.colnames
    for name in ('similarity', 'false_match_rate', 'score'):
        np.testing.assert_allclose(
            np.asarray(found[name], float),
            np.asarray(wanted[name], float),
            rtol=1e-4,
            atol=2e-7,
        )
    for name in wanted.colnames:
        assert found[name].unit == wanted[name].unit
        np.testing.assert_array_equal(
            getattr(found[name], 'mask', False) | np.zeros(len(found), bool),
            getattr(wanted[name], 'mask', False) | np.zeros(len(found), bool),
        )


FILTERS = {
    'all-sky': {},
    'cone': {'position': at(10, 10), 'radius': 20 * u.deg},
    'pole': {'position': at(10, 89), 'radius': 30 * u.deg},
    'wide': {'position': at(0, -40), 'radius': 170 * u.deg},
    'where': {'where': {'instrument_name': 'a*', 'flux': (0.2, None)}},
    'unknown': {'where': {'instrument_name': None}},
    'region': {'region': 'RANGE 350 20 -30 30'},
    'all': {
        'position': at(200, -60),
        'radius': 40 * u.deg,
        'where': {'flag': True, 'calib_level': [1, 2]},
        'max_false_match_rate': 0.2,
    },
}


@pytest.mark.parametrize('filters', FILTERS.values(), ids=FILTERS)
def test_same_as_the_collection(collection, catalog, filters):
    found = search_hats(catalog, QUERIES, limit=30, **filters)
    wanted = collection.search(QUERIES, limit=30, **filters)
    assert len(found) == len(wanted) == 6
    for one, other in zip(found, wanted, strict=True):
        assert len(other) > 5
        same(one, other)
        assert one.meta['counts'] == other.meta['counts']
        assert one.meta['fingerprint'] == 'sha256:abc'


def test_moc(collection, catalog):
    from mocpy import MOC

    moc = MOC.from_cone(
        Longitude(40 * u.deg),
        Latitude(5 * u.deg),
        radius=25 * u.deg,
        max_depth=6,
    )
    found = search_hats(catalog, QUERIES[0], moc=moc)
    same(found, collection.search(QUERIES[0], moc=moc))
    assert found.meta['partitions'] < 15


def test_cone_reads_few_partitions(catalog):
    whole = search_hats(catalog, QUERIES[0])
    cone = search_hats(
        catalog, QUERIES[0], position=at(10, 10), radius=1 * u.deg
    )
    assert whole.meta['partitions'] > 20
    assert cone.meta['partitions'] <= 4


def test_empty_cone(collection, catalog):
    where = {'position': at(10, 10), 'radius': 1e-6 * u.arcsec}
    found = search_hats(catalog, QUERIES, **where)
    wanted = collection.search(QUERIES, **where)
    assert [len(r) for r in found] == [0] * 6
    same(found[0], wanted[0])


def test_cone_without_partitions(tmp_path, collection):
    from astroclip_search import Collection

    some = Collection.create(tmp_path / 'c', dim=DIM)
    table = collection.select(position=at(10, 10), radius=10 * u.deg, limit=9)
    some.add(table, vectors=collection.vectors(table['id']))
    path = some.to_hats(tmp_path / 'h')
    found = search_hats(
        path, QUERIES[0], position=at(200, -60), radius=1 * u.deg
    )
    assert len(found) == 0
    assert 'instrument_name' in found.colnames


def test_order_of_equals(tmp_path):
    from astropy.table import Table

    from astroclip_search import Collection

    made = Collection.create(tmp_path / 'c', dim=DIM)
    ra = np.linspace(1, 359, 50)
    made.add(
        Table(
            {'id': [f'i{i}' for i in range(50)], 's_ra': ra, 's_dec': ra / 9}
        ),
        vectors=np.tile(QUERIES[:1], (50, 1)),
    )
    path = made.to_hats(tmp_path / 'h', partition_rows=5)
    found = search_hats(path, QUERIES[0], limit=9)
    # Rows lie in the order of the sky.
    assert list(found['id']) == list(made.table()['id'][:9])


def test_filtered_by_the_engine(collection, catalog, lsdb):
    opened = lsdb.open_catalog(catalog).query(
        "flag and instrument_name == 'ACS'"
    )
    found = search_hats(opened, QUERIES[0], limit=10)
    wanted = collection.search(
        QUERIES[0], limit=10, where={'flag': True, 'instrument_name': 'ACS'}
    )
    same(found, wanted)


def test_on_a_cluster(collection, catalog, client):
    found = search_hats(catalog, QUERIES, limit=100)
    for one, other in zip(
        found, collection.search(QUERIES, limit=100), strict=True
    ):
        same(one, other)


def test_a_killed_worker(collection, catalog, client):
    pids = client.run(os.getpid)
    victim = next(iter(pids.values()))
    stop = threading.Timer(0.3, os.kill, (victim, signal.SIGKILL))
    stop.start()
    wanted = collection.search(QUERIES, limit=50)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = search_hats(catalog, QUERIES, limit=50)
        for one, other in zip(found, wanted, strict=True):
            same(one, other)
        if not stop.is_alive():
            break
    client.wait_for_workers(2, timeout=60)
    assert victim not in client.run(os.getpid).values()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'where': {'nothing': 1}}, "no column 'nothing'"),
        ({'radius': 1 * u.deg}, 'needs position='),
        ({'position': at(1, 1), 'radius': 3}, 'no angle'),
        ({'limit': 0}, 'limit=0'),
        ({'max_false_match_rate': 2}, 'max_false_match_rate=2'),
    ],
)
def test_bad_filters(catalog, options, message):
    with pytest.raises(QueryError, match=message):
        search_hats(catalog, QUERIES[0], **options)


def test_bad_queries(catalog):
    with pytest.raises(QueryError, match=r'needs \(16,\)'):
        search_hats(catalog, np.ones(5, np.float32))
    with pytest.raises(QueryError, match='zero or not finite'):
        search_hats(catalog, np.zeros(DIM, np.float32))


class Other:
    name, dim, fingerprint, rendering = 'other', DIM, 'sha256:xyz', None
    embed_text = embed_images = None


def test_other_model(catalog):
    with pytest.raises(ModelError, match='sha256:xyz'):
        search_hats(catalog, 'spiral galaxy', embedder=Other())
    with pytest.raises(ModelError, match='sha256:xyz'):
        search_hats(catalog, QUERIES[0], embedder=Other())
    with pytest.raises(ModelError, match='does not say which model'):
        search_hats(catalog, 'spiral galaxy')


def test_columns_that_are_not_open(catalog, lsdb):
    opened = lsdb.open_catalog(catalog, columns=['id', 's_ra', 's_dec'])
    with pytest.raises(CollectionError, match="no column 'vector'"):
        search_hats(opened, QUERIES[0])
    with pytest.raises(CollectionError, match='dict is no HATS catalogue'):
        search_hats({}, QUERIES[0])


def test_unreadable_partition(catalog, tmp_path):
    path = tmp_path / 'broken.hats'
    shutil.copytree(catalog, path)
    file = sorted(path.glob('dataset/**/Npix=*.parquet'))[3]
    data = bytearray(file.read_bytes())
    data[len(data) // 3 : -len(data) // 6] = bytes(
        len(data) - len(data) // 6 - len(data) // 3
    )
    file.write_bytes(data)
    with pytest.raises(CollectionError, match=r'Npix=\d+\.parquet'):
        search_hats(path, QUERIES[0])
