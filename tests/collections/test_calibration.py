# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""False-match rates are the rates of false matches."""

import numpy as np
import pytest
from _make import DIM, make_collection

from astroclip_search.collections.calibration import (
    tail_rate,
)


def test_rates_count_the_background():
    background = np.arange(1000.0)
    rate = tail_rate([900.0, 500.0, 100.0], background)
    assert np.allclose(rate, [0.1, 0.5, 0.9], atol=1e-3)


@pytest.mark.parametrize('n', [50, 1200, 16384])
def test_rates_of_new_values_are_nominal(n):
    """Values of the same distribution reach a rate as often as it says."""
    rng = np.random.default_rng(0)
    shares = {0.01: [], 0.1: []}
    for _ in range(400):
        rates = tail_rate(rng.normal(size=500), rng.normal(size=n))
        for nominal, share in shares.items():
            share.append((rates <= nominal).mean())
    tolerance = 0.2 if n > 50 else 0.5
    for nominal, share in shares.items():
        assert abs(np.mean(share) / nominal - 1) < tolerance


def test_tail_is_that_of_an_exponential():
    rng = np.random.default_rng(1)
    rate = np.mean(
        [tail_rate([12.0], rng.exponential(size=10000)) for _ in range(100)]
    )
    assert 0.3 < rate / np.exp(-12) < 3


@pytest.mark.parametrize(
    'background',
    [[0.3], [0.3] * 100, [0.1, 0.2], np.round(np.linspace(-1, 1, 5000), 2)],
    ids=['one', 'equal', 'two', 'ties'],
)
def test_rates_fall_strictly(background):
    values = np.linspace(-1.2, 1.2, 401)
    rate = tail_rate(values, background)
    assert (rate > 0).all()
    assert (rate < 1).all()
    inside = rate < 1 - 1e-12
    assert (np.diff(rate[inside]) < 0).all()
    assert (np.diff(rate) <= 0).all()


def test_scores_of_shuffled_pairs_are_uniform(sky):
    rng = np.random.default_rng(3)
    vectors = sky.vectors()
    rates = []
    for _ in range(15):
        query = rng.normal(size=DIM)
        result = sky.search(query, limit=len(sky))
        some = rng.integers(len(vectors), size=400)
        rates += list(result['false_match_rate'][some])
        assert np.array_equal(
            result['score'], 1 - np.asarray(result['false_match_rate'])
        )
    for nominal in (0.01, 0.1):
        share = np.mean(np.array(rates) <= nominal)
        assert abs(share / nominal - 1) < 0.25  # 6000 pairs


def test_filters_do_not_change_a_rate(sky):
    query = np.random.default_rng(4).normal(size=DIM)
    best = sky.search(query, limit=1)
    alone = sky.search(query, where={'id': best['id'][0]})
    assert len(alone) == 1
    assert np.isclose(
        alone['false_match_rate'][0], best['false_match_rate'][0], rtol=1e-6
    )


def test_max_false_match_rate(sky):
    query = np.random.default_rng(5).normal(size=DIM)
    result = sky.search(query, limit=1000, max_false_match_rate=0.01)
    assert 60 <= len(result) <= 90
    assert (result['false_match_rate'] <= 0.01).all()


def test_small_backgrounds_say_so(tmp_path):
    few = make_collection(tmp_path / 'few', 20)
    result = few.search(np.ones(DIM))
    assert 'too few' in result.meta['calibration']
    assert np.isfinite(result['score']).all()
