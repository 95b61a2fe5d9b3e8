# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The settings of the paper, stated one by one, and ours."""

import json

import pytest

from astroclip_search.exceptions import TrainingError
from astroclip_search.training import TrainingConfig

# arXiv:2403.08851, sections 3.1 to 3.3 and appendix.
PAPER = {
    'model': 'ViT-B-16-quickgelu/openai',
    'method': 'full',
    'loss': 'infonce',
    'positives': 'pair',
    'captions': (('abstract', 1.0),),
    'images_per_caption': None,
    'augmentation': 'paper',
    'batch_size': 32,
    'steps': 20_000,
    'learning_rate': 1e-5,
    'warmup': 2_000,
    'schedule': 'constant',
    'weight_decay': 1e-3,
    'decay_all': True,
    'gradient_clip': None,
    'average': None,
    'precision': 'fp32',
    'validation_batch': 100,
    'validation_augmented': True,
    'select': 'loss',
    'patience': None,
    'keep': 3,
    'head_width': 1024,
    'images_per_proposal': 20,
    'padded': 512,
    'test': 0.0,
    'split_radius': None,
}


@pytest.mark.parametrize(('name', 'value'), PAPER.items())
def test_paperclip_has_the_value_of_the_paper(name, value):
    assert getattr(TrainingConfig.paperclip(), name) == value


def test_paperclip_holds_out_about_what_the_paper_does():
    # 429 of 4,438 abstracts, 3,194 of 31,859 images.
    share = TrainingConfig.paperclip().validation
    assert share == pytest.approx(3194 / 31859, abs=0.005)


@pytest.mark.parametrize(
    ('step', 'rate'),
    [(0, 0.0), (1_000, 5e-6), (2_000, 1e-5), (20_000, 1e-5)],
)
def test_schedule_of_the_paper(step, rate):
    assert TrainingConfig.paperclip().rate(step) == pytest.approx(rate)


def test_cosine_schedule():
    config = TrainingConfig(steps=100, warmup=20, learning_rate=1.0)
    assert [config.rate(s) for s in (0, 10, 20, 60, 100)] == pytest.approx(
        [0, 0.5, 1, 0.5, 0]
    )


def test_json_round_trip():
    config = TrainingConfig(
        captions={'title': 1, 'summary': 2}, rate_factors={'visual': 0.1}
    )
    assert TrainingConfig.from_json(config.to_json()) == config
    assert json.loads(config.to_json())['captions'] == [
        ['title', 1.0],
        ['summary', 2.0],
    ]


@pytest.mark.parametrize(
    ('changes', 'match'),
    [
        ({'loss': 'triplet'}, "loss='triplet' is unknown"),
        ({'batch_size': 0}, 'batch_size=0 must be above 0'),
        ({'average': 1.0}, 'between 0 and 1'),
        ({'batch_norm': 'batch', 'accumulate': 2}, 'accumulate=2'),
    ],
)
def test_values_out_of_range(changes, match):
    with pytest.raises(TrainingError, match=match):
        TrainingConfig(**changes)


def test_unknown_settings():
    with pytest.raises(TrainingError, match='learning_rat'):
        TrainingConfig.from_json('{"learning_rat": 1}')
    with pytest.raises(TrainingError, match='no JSON'):
        TrainingConfig.from_json('nothing')
