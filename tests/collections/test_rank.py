# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Ranking is exact, whatever scans the rows."""

import sys

import numpy as np
import pytest
from _make import DIM, make_rows
from astropy import units as u
from astropy.coordinates import SkyCoord

from astroclip_search import Collection
from astroclip_search.collections import _kernels
from astroclip_search.collections._rank import Scan
from astroclip_search.exceptions import QueryError


def unit(rng, dim=DIM):
    vector = rng.normal(size=dim)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture(params=['onnxruntime', 'torch'])
def kernel(request, monkeypatch):
    if request.param == 'torch':
        pytest.importorskip('torch')
    else:
        monkeypatch.setitem(sys.modules, 'torch', None)
    return request.param


def test_best_rows_are_those_of_brute_force(sky, kernel):
    rng = np.random.default_rng(1)
    vectors = sky.vectors().astype(np.float64)
    ids = np.asarray(sky.table('id')['id'])
    for limit in (1, 10, 300):
        query = unit(rng)
        result = sky.search(query, limit=limit)
        similarity = vectors @ query
        best = np.argsort(-similarity)[:limit]
        assert list(result['id']) == list(ids[best])
        assert np.allclose(result['similarity'], similarity[best], atol=2e-6)
        assert list(result['rank']) == list(range(1, limit + 1))


def test_scan_is_off_by_less_than_its_bound(sky, kernel):
    rng = np.random.default_rng(2)
    vectors = sky.vectors()
    for _ in range(20):
        query = unit(rng)
        scan = Scan(sky._snapshot, query)
        exact = vectors @ query
        bound = scan.error + scan._relative * np.abs(exact)
        assert scan.error > 0
        assert (np.abs(scan.values - exact) <= bound).all()


def test_nearly_equal_rows_are_ranked_exactly(tmp_path, kernel):
    """Thousands of rows closer to each other than the codes can tell."""
    rng = np.random.default_rng(3)
    n = 6000
    vectors = unit(rng) + 1e-3 * rng.normal(size=(n, DIM))
    table, _ = make_rows(n)
    made = Collection.create(tmp_path / 'c', dim=DIM)
    made.add(table, vectors=vectors)
    query = unit(rng)
    similarity = made.vectors() @ query
    best = np.sort(similarity)[::-1][:20]
    result = made.search(query, limit=20)
    assert np.allclose(result['similarity'], best, atol=1e-6)


def test_kernels_agree():
    pytest.importorskip('torch')
    rng = np.random.default_rng(4)
    codes = rng.integers(-127, 128, (100, 48), dtype=np.int8)
    scales = rng.uniform(0, 1e-3, 100).astype(np.float32)
    query = unit(rng, 48)
    exact = (codes * scales[:, None].astype(float)) @ query
    rounded = _kernels.Query(query)
    out = np.empty(100, np.float32)
    rounded.products(codes, scales, out)
    assert rounded._torch is sys.modules['torch']
    bound = rounded.error * 2 + rounded.rounding * np.abs(exact) + 1e-6
    assert (np.abs(out - exact) <= bound).all()


def test_removed_rows_do_not_come_back(small):
    query = small.vectors(['row-3'])[0]
    assert small.search(query, limit=1)['id'][0] == 'row-3'
    small.remove('row-3')
    assert len(small) == 99
    assert 'row-3' not in list(small.search(query, limit=99)['id'])


def test_limit_beyond_the_rows(small):
    result = small.search(np.ones(DIM), limit=1000)
    assert len(result) == 100
    assert (np.diff(result['similarity']) <= 0).all()


def test_several_queries_are_several_results(sky):
    queries = np.random.default_rng(5).normal(size=(3, DIM))
    results = sky.search(queries, limit=4)
    assert len(results) == 3
    for query, result in zip(queries, results, strict=True):
        assert list(result['id']) == list(sky.search(query, limit=4)['id'])


def test_group_by_keeps_the_best_of_each(sky):
    query = unit(np.random.default_rng(6))
    everything = sky.search(query, limit=len(sky))
    seen, expected = set(), []
    for row in everything:
        if row['proposal_id'] not in seen:
            seen.add(row['proposal_id'])
            expected.append(row['id'])
    result = sky.search(query, limit=50, group_by='proposal_id')
    assert len(result) == 13
    assert list(result['id']) == expected


def test_near_duplicates_are_left_out(tmp_path):
    table, vectors = make_rows(40)
    vectors[20:] = vectors[:20] * 2 + 1e-3
    made = Collection.create(tmp_path / 'c', dim=DIM)
    made.add(table, vectors=vectors)
    result = made.search(vectors[0], limit=40, max_similarity=0.99)
    assert len(result) == 20


def test_min_separation(sky):
    query = unit(np.random.default_rng(7))
    result = sky.search(query, limit=30, min_separation=20 * u.deg)
    places = result.coordinates
    places = places[np.isfinite(places.ra.deg)]
    for k in range(len(places)):
        gaps = places[k].separation(places[k + 1 :])
        assert (gaps >= 20 * u.deg).all()


def test_stream_gives_all_rows_in_order(sky):
    query = unit(np.random.default_rng(8))
    chunks = list(sky.iter_search(query, chunk_size=2000))
    assert [len(chunk) for chunk in chunks] == [2000, 2000, 2000, 1500]
    similarity = np.concatenate([chunk['similarity'] for chunk in chunks])
    assert (np.diff(similarity) <= 0).all()
    ranks = np.concatenate([chunk['rank'] for chunk in chunks])
    assert list(ranks) == list(range(1, 7501))


@pytest.mark.parametrize(
    ('vector', 'match'),
    [
        (np.ones(5), 'shape'),
        (np.zeros(DIM), 'zero'),
        (np.full(DIM, np.nan), 'finite'),
        ('spiral', 'no vector'),
    ],
)
def test_bad_queries(sky, vector, match):
    with pytest.raises(QueryError, match=match):
        sky.search(vector)


@pytest.mark.parametrize(
    'options',
    [
        {'limit': 0},
        {'limit': 2.5},
        {'group_by': 'propsal_id'},
        {'max_false_match_rate': 2},
        {'min_separation': 3},
        {'max_similarity': 1.5},
    ],
)
def test_bad_options(sky, options):
    with pytest.raises(QueryError):
        sky.search(np.ones(DIM), **options)


def test_result_tells_where_it_comes_from(sky):
    result = sky.search(
        np.ones(DIM),
        position=SkyCoord(10 * u.deg, 20 * u.deg),
        radius=30 * u.deg,
        where={'instrument_name': 'miri'},
    )
    counts = result.meta['counts']
    assert counts['collection'] == 7500
    assert counts['collection'] > counts['cone'] > 0
    assert counts['cone'] > counts['where instrument_name'] >= len(result)
    assert result.meta['fingerprint'] == 'sha256:test'
    assert (result['separation'] <= 30 * u.deg).all()
