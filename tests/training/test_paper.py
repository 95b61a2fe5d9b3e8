# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The preset of the paper follows a plain loop of its settings."""

import csv

import pytest
from _plain import plain_losses
from _sets import small_set

from astroclip_search.embedding.backends import load_open_clip
from astroclip_search.embedding.bundles import read_bundle
from astroclip_search.training import TrainingConfig, fine_tune
from astroclip_search.training._data import Batches, PairDataset, loader


@pytest.mark.parametrize(
    'steps', [15, pytest.param(200, marks=pytest.mark.slow)]
)
def test_preset_follows_a_plain_loop(tiny, tmp_path, steps):
    pairs = small_set(tmp_path, padded=512)
    config = TrainingConfig.paperclip(
        model=str(tiny), captions={'caption': 1}, batch_size=8, steps=steps,
        warmup=steps // 2, learning_rate=1e-3, evaluate_every=steps,
    )  # fmt: skip
    fine_tune(pairs, output=tmp_path / 'r', config=config, device='cpu')
    with (tmp_path / 'r' / 'log.csv').open(newline='') as file:
        ours = [float(r['loss']) for r in csv.DictReader(file) if r['loss']]

    source = read_bundle(tiny)
    dataset = PairDataset(pairs, config, source.tokenizer(), source.rendering)
    order = Batches(pairs, config)
    items = []
    for step in range(steps):
        epoch, rows = order(step)
        items.append([(epoch, row) for row in rows])
    model, _, _ = load_open_clip(tiny, device='cpu')
    theirs = plain_losses(
        model, loader(dataset, items), steps=steps, rate=1e-3,
        warmup=steps // 2,
    )  # fmt: skip
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert abs(ours[-1] - ours[0]) > 1e-3
