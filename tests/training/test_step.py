# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Gradients of a step against plain automatic differentiation."""

import pytest
import torch
from _sets import small_config

from astroclip_search.exceptions import TrainingError
from astroclip_search.training import losses
from astroclip_search.training._data import PairDataset
from astroclip_search.training._distributed import World
from astroclip_search.training._learner import Learner
from astroclip_search.training._step import contrastive_step

ALONE = World(0, 1, 'cpu', False)


def _batch(pairs, learner, n=8):
    dataset = PairDataset(
        pairs,
        learner.config,
        learner.source.tokenizer(),
        learner.source.rendering,
    )
    rows = pairs.part('train')[:n]
    return dataset.collate([dataset[0, row] for row in rows])


def _gradients(learner):
    return {n: p.grad.clone() for n, p in learner.trained.items()}


@pytest.mark.parametrize('loss', ['infonce', 'sigmoid'])
@pytest.mark.parametrize('accumulate', [1, 3])
def test_step_equals_plain_differentiation(tiny, pairs, loss, accumulate):
    config = small_config(tiny, loss=loss, accumulate=accumulate)
    learner = Learner(config, 'cpu')
    batch = _batch(pairs, learner)
    value = contrastive_step(learner, batch, ALONE, seed=0)
    ours = _gradients(learner)

    for parameter in learner.trained.values():
        parameter.grad = None
    model = learner.model
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    pixels = batch['image'].permute(0, 3, 1, 2) / 255
    images = model.encode_image((pixels - mean) / std, normalize=True)
    texts = model.encode_text(batch['words'], normalize=True)
    names = {text: i for i, text in enumerate(sorted(set(batch['texts'])))}
    # Captions and texts: here one caption has one text of each kind.
    keys = batch['caption']
    assert len(names) >= len(set(keys.tolist()))
    scale = model.logit_scale.exp()
    if loss == 'infonce':
        expected = losses.info_nce_loss(images, texts, scale, keys)
    else:
        expected = losses.sigmoid_loss(
            images, texts, scale, learner.module.logit_bias, keys
        )
    expected.backward()
    theirs = _gradients(learner)
    assert value == pytest.approx(expected.item(), abs=1e-5)
    largest = max(float(g.abs().max()) for g in theirs.values())
    for name, gradient in theirs.items():
        assert torch.allclose(
            ours[name], gradient, atol=1e-5 * largest, rtol=1e-4
        ), name


def test_plain_positives(tiny, pairs):
    learner = Learner(small_config(tiny, positives='pair'), 'cpu')
    batch = _batch(pairs, learner)
    with torch.no_grad():
        logits = learner.vectors(batch)[0] @ learner.vectors(batch)[1].T
        logits = logits * learner.logit_scale
    labels = torch.arange(len(logits))
    expected = (
        torch.nn.functional.cross_entropy(logits, labels)
        + torch.nn.functional.cross_entropy(logits.T, labels)
    ) / 2
    value = contrastive_step(learner, batch, ALONE, seed=0)
    assert value == pytest.approx(expected.item(), abs=1e-5)


def test_equal_texts_are_positives_whatever_their_caption(tiny, pairs):
    learner = Learner(small_config(tiny), 'cpu')
    batch = _batch(pairs, learner, 4)
    batch['texts'] = ['Same  text', 'same text', 'b', 'c']
    batch['words'] = batch['words'][[0, 0, 2, 3]]
    batch['caption'] = torch.arange(4)
    with torch.no_grad():
        vectors = learner.vectors(batch)
        keys = torch.tensor([0, 0, 2, 3])
        expected = learner.loss(*vectors, keys)
    value = contrastive_step(learner, batch, ALONE, seed=0)
    assert value == pytest.approx(expected.item(), abs=1e-5)


def test_loss_that_is_not_finite_names_the_pairs(tiny, pairs):
    learner = Learner(small_config(tiny), 'cpu')
    batch = _batch(pairs, learner)
    pixels = batch['image'].float()
    pixels[3] = float('nan')
    batch['image'] = pixels
    with pytest.raises(TrainingError, match=batch['ids'][3]) as error:
        contrastive_step(learner, batch, ALONE, seed=0)
    assert batch['ids'][2] not in str(error.value)


def test_what_is_trained_by_each_method(tiny):
    full = Learner(small_config(tiny), 'cpu')
    assert len(full.trained) == len(list(full.model.parameters()))
    head = Learner(small_config(tiny, method='head'), 'cpu')
    assert {n.split('.')[0] for n in head.trained} == {
        'image_head',
        'text_head',
        'model',
    }
    assert [n for n in head.trained if n.startswith('model.')] == [
        'model.logit_scale'
    ]
    assert head.module['image_head'][0].out_features == 1024
    assert head.frozen('image')
    assert head.frozen('text')
    lora = Learner(small_config(tiny, method='lora'), 'cpu')
    names = [n for n in lora.trained if not n.endswith('logit_scale')]
    assert names
    assert all('lora_' in n for n in names)
    part = Learner(
        small_config(tiny, rate_factors={'visual.': 0, 'logit_scale': 0.1}),
        'cpu',
    )
    assert part.frozen('image')
    assert not part.frozen('text')
    assert part.factors['model.logit_scale'] == 0.1
    with pytest.raises(TrainingError, match='vision'):
        Learner(small_config(tiny, rate_factors={'vision': 0}), 'cpu')


def test_head_of_a_timm_tower_is_part_of_the_tower(tiny, monkeypatch):
    from astroclip_search.training import _learner

    load = _learner.torch_model

    def renamed(source, *, device):
        model = load(source, device=device)
        model.visual.add_module('head', torch.nn.Linear(2, 2))
        return model

    monkeypatch.setattr(_learner, 'torch_model', renamed)
    learner = Learner(small_config(tiny, method='head'), 'cpu')
    assert not any('visual' in name for name in learner.trained)
    assert learner.frozen('image')


def test_low_rank_adapters_start_as_the_model(tiny, pairs):
    full = Learner(small_config(tiny), 'cpu')
    lora = Learner(small_config(tiny, method='lora'), 'cpu')
    batch = _batch(pairs, full)
    with torch.no_grad():
        for one, two in zip(
            full.vectors(batch), lora.vectors(batch), strict=True
        ):
            assert torch.allclose(one, two, atol=1e-6)


def test_clamp_at_one_hundred(tiny):
    learner = Learner(small_config(tiny), 'cpu')
    with torch.no_grad():
        learner.model.logit_scale.fill_(9.0)
    learner.clamp()
    assert learner.logit_scale == pytest.approx(100, rel=1e-6)
