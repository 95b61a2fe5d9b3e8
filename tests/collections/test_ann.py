# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The approximate index is measured, and not used where it would not do."""

import numpy as np
import pytest
from _make import DIM, make_collection, make_rows

from astroclip_search import Collection
from astroclip_search.exceptions import CollectionError


@pytest.fixture
def indexed(tmp_path):
    pytest.importorskip('faiss')
    made = make_collection(tmp_path / 'c', 6000)
    made.build_index(recall=0.9)
    return made


def test_recall_is_what_was_measured(indexed):
    told = indexed.info()['index']
    assert told['recall_at_10'] >= 0.9
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(40, DIM))
    hits = 0
    for query in queries:
        fast = indexed.search(query, limit=10, approximate=True)
        exact = indexed.search(query, limit=10)
        assert fast.meta['exact'] is False
        assert exact.meta['exact'] is True
        assert fast.meta['recall_at_10'] == told['recall_at_10']
        both = set(fast['id']) & set(exact['id'])
        hits += len(both)
        known = dict(zip(exact['id'], exact['similarity'], strict=True))
        for row in fast:
            if row['id'] in known:
                assert np.isclose(row['similarity'], known[row['id']])
    assert hits / 400 > 0.6  # of queries that are not like the rows


def test_filters_are_always_exact(indexed):
    query = np.ones(DIM)
    for options in (
        {'where': {'instrument_name': 'miri'}},
        {'group_by': 'proposal_id'},
        {'mask': np.arange(6000) % 2 == 0},
    ):
        result = indexed.search(query, approximate=True, **options)
        assert result.meta['exact'] is True


def test_index_goes_when_rows_change(indexed):
    again = Collection.open(indexed.path)
    assert not again.search(np.ones(DIM), approximate=True).meta['exact']
    again.remove('row-1')
    assert again.info()['index'] is None
    assert again.search(np.ones(DIM), approximate=True).meta['exact']
    again.add(make_rows(1, start=7000)[0], vectors=np.ones((1, DIM)))
    assert not list(again.path.glob('segments/*.faiss'))


def test_damaged_index_is_named(indexed):
    file = next(indexed.path.glob('segments/*.faiss'))
    file.write_bytes(b'nonsense')
    with pytest.raises(CollectionError, match='build_index'):
        Collection.open(indexed.path).search(np.ones(DIM), approximate=True)


def test_few_rows_need_none(small):
    pytest.importorskip('faiss')
    with pytest.raises(CollectionError, match='4000 rows'):
        small.build_index()
