# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Measures against values worked out by hand or by brute force."""

import math

import numpy as np
import pytest

from astroclip_search.exceptions import TrainingError
from astroclip_search.training import metrics


def _axes(*angles):
    """Unit vectors in a plane, at angles in degrees."""
    a = np.radians(angles)
    return np.stack([np.cos(a), np.sin(a)], axis=1)


# Captions at 0, 40 and 90 degrees; images 0 and 1 belong to caption 0.
TEXTS = _axes(0, 40, 90)
IMAGES = _axes(5, 35, 45, 60)
IDS = np.array([0, 0, 1, 2])


def test_ranks_by_hand():
    # image at 35: caption 40 is nearer than its own at 0 -> rank 2
    # image at 60: 40 is nearer (20) than 90 (30) -> rank 2
    images, texts = metrics.rank_positives(IMAGES, TEXTS, IDS)
    assert images.tolist() == [1, 2, 1, 2]
    # caption 0: best image at 5 -> 1; caption 40: images 35 and 45 are
    # equally near, a tie counts against -> 2; caption 90: image 60 -> 1
    assert texts.tolist() == [1, 2, 1]


def test_twin_images_do_not_compete():
    images = _axes(0, 1, 50)
    texts = _axes(2, 50)
    result = metrics.top_k_retrieval(images, texts, [0, 0, 1], 1)
    assert result.image_to_text.value == 1
    assert result.text_to_image.value == 1


def test_constant_vectors_are_no_success():
    vectors = np.ones((100, 8))
    result = metrics.top_percent_retrieval(
        vectors, vectors, np.arange(100), 10
    )
    assert result.image_to_text.value == 0
    assert result.text_to_image.value == 0


@pytest.mark.parametrize('bad', [np.nan, np.inf, 0])
def test_vectors_without_direction_are_refused(bad):
    images = np.array(IMAGES)
    images[2] = bad
    with pytest.raises(TrainingError, match='first: row 2'):
        metrics.top_percent_retrieval(images, TEXTS, IDS)
    with pytest.raises(TrainingError, match='text_vectors'):
        metrics.retrieval(IMAGES, np.full((3, 2), bad), IDS)


def test_caption_without_image_is_refused():
    with pytest.raises(TrainingError, match='1 of 3 captions have no image'):
        metrics.rank_positives(IMAGES, TEXTS, [0, 0, 1, 1])


def test_percent_is_floored_but_never_zero():
    assert metrics.percent_count(10, 99) == 9
    assert metrics.percent_count(29, 100) == 29
    assert metrics.percent_count(10, 3) == 1


def test_random_vectors_are_at_chance():
    rng = np.random.default_rng(1)
    images = rng.normal(size=(4000, 16))
    texts = rng.normal(size=(4000, 16))
    result = metrics.top_percent_retrieval(images, texts, np.arange(4000), 10)
    for side in (result.image_to_text, result.text_to_image):
        assert side.value == pytest.approx(0.1, abs=0.015)
        assert side.low < 0.1 + 0.01
        assert side.high > 0.1 - 0.01


def _brute_ndcg(similarity, right):
    order = sorted(range(len(similarity)), key=lambda i: -similarity[i])
    dcg = sum(
        right[item] / math.log2(place + 2) for place, item in enumerate(order)
    )
    ideal = sum(1 / math.log2(place + 2) for place in range(sum(right)))
    return dcg / ideal


def test_ndcg_and_mrr_against_brute_force():
    rng = np.random.default_rng(2)
    images = rng.normal(size=(30, 4))
    texts = rng.normal(size=(7, 4))
    ids = np.concatenate([np.arange(7), rng.integers(7, size=23)])
    result = metrics.retrieval(images, texts, ids)
    unit = [v / np.linalg.norm(v, axis=1)[:, None] for v in (images, texts)]
    cosines = unit[1] @ unit[0].T
    ndcg = [
        _brute_ndcg(cosines[t].tolist(), (ids == t).tolist()) for t in range(7)
    ]
    assert result['ndcg'].text_to_image.value == pytest.approx(np.mean(ndcg))
    reciprocal = []
    for t in range(7):
        best = cosines[t][ids == t].max()
        reciprocal.append(1 / (1 + (cosines[t][ids != t] > best).sum()))
    mrr = result['mrr'].text_to_image.value
    assert mrr == pytest.approx(np.mean(reciprocal))


def test_interval_is_by_group():
    # Two groups of opposite values: a resample has 0, 1 or 2 of each, so
    # the ends are 0 and 1; by single values the interval is narrow.
    values = np.repeat([0.0, 1.0], 500)
    by_group = metrics.estimate(values, np.repeat(['a', 'b'], 500))
    assert (by_group.low, by_group.high) == (0, 1)
    assert by_group.n_groups == 2
    single = metrics.estimate(values)
    # binomial: 0.5 +- 1.96 * sqrt(0.25 / 1000)
    assert single.low == pytest.approx(0.469, abs=0.006)
    assert single.high == pytest.approx(0.531, abs=0.006)


def test_loss_at_chance_is_ln_n():
    rng = np.random.default_rng(3)
    images, texts = rng.normal(size=(2, 100, 64))
    loss = metrics.contrastive_loss(images, texts, np.arange(100), 1e-6)
    assert loss == pytest.approx(math.log(100), abs=1e-4)


def test_loss_equals_the_training_loss():
    torch = pytest.importorskip('torch')
    from astroclip_search.training.losses import info_nce_loss

    rng = np.random.default_rng(4)
    images = rng.normal(size=(12, 8))
    texts = rng.normal(size=(5, 8))
    ids = np.concatenate([np.arange(5), rng.integers(5, size=7)])
    ours = metrics.contrastive_loss(images, texts, ids, 20, batch_size=12)
    unit = [
        torch.tensor(v / np.linalg.norm(v, axis=1)[:, None])
        for v in (images, texts)
    ]
    theirs = info_nce_loss(unit[0], unit[1][ids], 20, torch.tensor(ids))
    assert ours == pytest.approx(float(theirs), rel=1e-5)


def test_shuffled_pairs_are_never_true_pairs():
    vectors = np.eye(20)
    true, shuffled = metrics.pair_similarities(vectors, vectors, np.arange(20))
    assert np.all(true == 1)
    assert np.all(shuffled == 0)


def test_macro_accuracy_by_hand():
    # class 0: 8 of 10 right, class 1: 1 of 5, class 2 too small
    classes = np.eye(3)
    labels = np.array([0] * 10 + [1] * 5 + [2])
    said = np.array([0] * 8 + [1] * 2 + [1] + [0] * 4 + [2])
    macro, per_class, skipped = metrics.zero_shot_accuracy(
        classes[said], classes, labels
    )
    assert macro.value == pytest.approx(0.5)
    assert per_class == {0: 0.8, 1: 0.2}
    assert skipped == [2]
    with pytest.raises(TrainingError, match='No class has 11 images'):
        metrics.zero_shot_accuracy(classes[said], classes, labels, minimum=11)


def test_precision_at_k_or_the_size_of_the_class():
    images = _axes(0, 10, 20, 30, 40)
    relevant = np.array([[1, 0, 1, 0, 0], [0, 0, 0, 0, 0]], dtype=bool)
    precision = metrics.precision_at_k(_axes(0, 0), images, relevant, 10)
    assert precision[0] == 0.5
    assert np.isnan(precision[1])
