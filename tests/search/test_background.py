# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Calibration of descriptions on vectors whose statistics are known."""

import numpy as np
import pytest
from scipy import stats

from astroclip_search._background import (
    Background,
    background_texts,
    text_store,
)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture(scope='module')
def world():
    """Images and texts in cones of their own, some texts near all images."""
    rng = np.random.default_rng(1)
    d = 24
    image_axis, text_axis = unit(rng.normal(size=(2, d)))
    images = unit(rng.normal(size=(800, d)) + 4 * image_axis)
    hubs = rng.uniform(-2, 4, size=(600, 1))
    texts = unit(rng.normal(size=(600, d)) + 4 * text_axis + hubs * image_axis)
    return images, texts


def test_standardize_is_mean_and_deviation_over_images(world):
    images, texts = world
    background = Background(images[:500], texts)
    z = background.standardize(texts[:7], images[600])
    cosines = texts[:7] @ images[:500].T
    expected = texts[:7] @ images[600] - cosines.mean(1)
    np.testing.assert_allclose(z, expected / cosines.std(1), rtol=1e-3)


def test_scores_of_strangers_are_uniform(world):
    images, texts = world
    background = Background(images[:400], texts[:300])
    rates = np.concatenate(
        [
            background.false_match_rate(texts[300:], image)
            for image in images[400:500]
        ]
    )
    assert stats.kstest(rates, 'uniform').statistic < 0.03


def test_hubs_do_not_win(world):
    """Texts near every image fill the top of raw cosines, not of ours."""
    images, texts = world
    background = Background(images[:400], texts[:300])
    plain = Background(None, texts[:300])
    hub = np.argmax(texts[300:] @ images.mean(0)) + 300
    rates, raw = (
        np.mean(
            [b.false_match_rate(texts[hub : hub + 1], v) for v in images[400:]]
        )
        for b in (background, plain)
    )
    assert raw < 0.1
    assert 0.4 < rates < 0.6


def test_pairs_that_belong_together_score_high(world):
    images, texts = world
    background = Background(images[:400], texts[:300])
    rng = np.random.default_rng(2)
    own = unit(images[500] + 0.2 * rng.normal(size=images.shape[1]))
    (rate,) = background.false_match_rate(own[None], images[500])
    assert rate < 0.02


def test_background_texts_are_distinct_and_short():
    texts = background_texts()
    assert len(texts) > 800
    assert len(set(texts)) == len(texts)
    assert not any(text.startswith('#') for text in texts)


class Model:
    """Something that embeds texts, and counts how often it is asked."""

    fingerprint = 'sha256:one'
    dim = 3

    def __init__(self):
        self.calls = 0

    def embed_text(self, texts):
        self.calls += 1
        rng = np.random.default_rng(0)
        return unit(rng.normal(size=(len(texts), 3)))


def test_texts_are_embedded_once(tmp_path):
    model = Model()
    first = text_store(model, ['a', 'b'], folder=tmp_path / 'new')
    again = text_store(model, ['a', 'b'], folder=tmp_path / 'new')
    assert model.calls == 1
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, rtol=1e-6)


def test_other_texts_and_models_are_embedded_anew(tmp_path):
    model = Model()
    text_store(model, ['a', 'b'], folder=tmp_path)
    text_store(model, ['ab'], folder=tmp_path)
    model.fingerprint = 'sha256:two'
    text_store(model, ['a', 'b'], folder=tmp_path)
    assert model.calls == 3
    assert len(list(tmp_path.iterdir())) == 3


def test_damaged_store_is_replaced(tmp_path):
    model = Model()
    vectors = text_store(model, ['a', 'b'], folder=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    np.testing.assert_array_equal(
        text_store(model, ['a', 'b'], folder=tmp_path), vectors
    )
    assert model.calls == 2
