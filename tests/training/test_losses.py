# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Losses against open_clip's and against sums written out."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from astroclip_search.training.losses import (  # noqa: E402
    info_nce_loss,
    sigmoid_loss,
)


def _batch(n=6, d=5):
    rng = np.random.default_rng(0)
    vectors = torch.tensor(rng.normal(size=(2, n, d)), dtype=torch.float32)
    return torch.nn.functional.normalize(vectors, dim=-1)


def test_plain_loss_by_hand():
    # Two orthogonal pairs with scale s: -log(e^s / (e^s + 1)).
    loss = info_nce_loss(torch.eye(2), torch.eye(2), 3.0)
    assert float(loss) == pytest.approx(np.log1p(np.exp(-3.0)), rel=1e-6)


def test_keys_without_repeats_change_nothing():
    images, texts = _batch()
    keys = torch.tensor([5, 3, 8, 1, 0, 2])
    plain = info_nce_loss(images, texts, 10.0)
    assert torch.equal(plain, info_nce_loss(images, texts, 10.0, keys))


def test_repeated_keys_by_hand():
    # One caption for both: the right answer is even odds, ln 2 at best.
    ones = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    loss = info_nce_loss(ones, ones, 50.0, torch.tensor([7, 7]))
    assert float(loss) == pytest.approx(np.log(2), rel=1e-6)


def test_pulls_twins_together():
    images = torch.eye(6, requires_grad=True)
    keys = torch.tensor([0, 0, 1, 2, 3, 4])
    for key, sign in ((None, 1), (keys, -1)):
        loss = info_nce_loss(images, torch.eye(6), 1.0, key)
        (grad,) = torch.autograd.grad(loss, images)
        # Descent moves image 0 away from the text of its twin, or to it.
        assert np.sign(float(grad[0, 1])) == sign


def test_sigmoid_loss_by_hand():
    images, texts = _batch()
    keys = torch.tensor([0, 0, 1, 2, 3, 4])
    total = 0.0
    for i in range(6):
        for j in range(6):
            z = 1 if keys[i] == keys[j] else -1
            x = z * (4.0 * float(images[i] @ texts[j]) - 2.0)
            total += np.log1p(np.exp(-x)) / 6
    loss = sigmoid_loss(images, texts, 4.0, -2.0, keys)
    assert float(loss) == pytest.approx(total, rel=1e-5)
