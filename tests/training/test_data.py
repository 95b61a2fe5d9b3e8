# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Batches depend on seed and step, and on nothing else."""

from collections import Counter

import numpy as np
import pytest
from _sets import small_config

from astroclip_search.embedding.bundles import read_bundle
from astroclip_search.exceptions import TrainingError
from astroclip_search.training._data import Batches, PairDataset, loader


@pytest.fixture(scope='module')
def source(tiny):
    return read_bundle(tiny)


def _dataset(pairs, source, **changes):
    config = small_config('tiny', **changes)
    return PairDataset(pairs, config, source.tokenizer(), source.rendering)


def test_an_epoch_shows_every_image_once(pairs):
    batches = Batches(pairs, small_config('tiny', batch_size=17))
    assert batches.steps_per_epoch == 2
    rows = np.concatenate([batches(0)[1], batches(1)[1]])
    assert sorted(rows) == sorted(pairs.part('train'))
    assert batches(2)[0] == 1
    assert not np.array_equal(batches(2)[1], batches(0)[1])


def test_steps_can_be_asked_for_in_any_order(pairs):
    config = small_config('tiny')
    forward = [Batches(pairs, config)(s)[1].tolist() for s in range(9)]
    batches = Batches(pairs, config)
    assert [batches(s)[1].tolist() for s in range(8, -1, -1)] == forward[::-1]


def test_images_per_caption(pairs):
    config = small_config('tiny', images_per_caption=2, batch_size=1)
    batches = Batches(pairs, config)
    seen = []
    for epoch in range(2):
        steps = range(
            epoch * batches.steps_per_epoch,
            (epoch + 1) * batches.steps_per_epoch,
        )
        rows = np.concatenate([batches(s)[1] for s in steps])
        counts = Counter(pairs.captions[rows].tolist())
        assert max(counts.values()) == 2
        captions = pairs.captions[pairs.part('train')]
        assert set(counts) == set(captions.tolist())
        seen.append(set(rows.tolist()))
    assert seen[0] != seen[1]


def test_batch_larger_than_the_set(pairs):
    with pytest.raises(TrainingError, match='batch_size=1000 is more'):
        Batches(pairs, small_config('tiny', batch_size=1000))


def test_workers_make_no_difference(pairs, source):
    dataset = _dataset(pairs, source)
    rows = pairs.part('train')
    items = [[(0, r) for r in rows[:5]], [(3, r) for r in rows[5:9]]]
    alone = list(loader(dataset, items))
    shared = list(loader(dataset, items, workers=2))
    for one, two in zip(alone, shared, strict=True):
        assert one['ids'] == two['ids']
        assert one['texts'] == two['texts']
        assert one['image'].equal(two['image'])
        assert one['words'].equal(two['words'])


def test_views_repeat(pairs, source):
    fresh = _dataset(pairs, source)
    row = pairs.part('train')[0]
    images = [fresh[epoch, row]['image'].tobytes() for epoch in range(12)]
    assert len(set(images)) > 2
    two = _dataset(pairs, source, views=2)
    images = [two[epoch, row]['image'].tobytes() for epoch in range(6)]
    assert images[:2] == images[2:4] == images[4:]


def test_unreadable_image_is_named(pairs, source, tmp_path):
    class Missing:
        captions = pairs.captions

        def __getitem__(self, row):
            return pairs[row]

        def image(self, pair):
            return tmp_path / 'gone.png'

    dataset = _dataset(Missing(), source)
    with pytest.raises(TrainingError, match=pairs[3]['id']):
        dataset[0, 3]
