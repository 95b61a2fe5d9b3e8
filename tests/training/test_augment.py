# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Views: whole frames in all orientations, crops of the right size."""

import numpy as np
import pytest
from PIL import Image

from astroclip_search.images import Rendering, read_image, render
from astroclip_search.training.augment import view

RENDERING = Rendering(size=64, fit='pad')


@pytest.fixture
def path(tmp_path):
    """A square picture without any symmetry."""
    x, y = np.meshgrid(np.arange(512), np.arange(512))
    data = np.stack([x // 2, y // 2, (x + 2 * y) // 6], axis=2)
    name = tmp_path / 'picture.png'
    Image.fromarray(data.astype(np.uint8)).save(name)
    return name


def _views(path, augmentation, n=60, rendering=RENDERING):
    rng = np.random.default_rng(0)
    return [
        view(path, augmentation=augmentation, rendering=rendering, rng=rng)
        for _ in range(n)
    ]


def test_whole_frame_in_eight_orientations(path):
    plain = render(read_image(path), rendering=RENDERING)
    expected = {
        np.rot90(image, turns).tobytes()
        for image in (plain, plain[:, ::-1])
        for turns in range(4)
    }
    assert {v.tobytes() for v in _views(path, 'whole')} == expected


def test_no_augmentation(path):
    plain = render(read_image(path), rendering=RENDERING)
    for found in _views(path, 'none', 3):
        assert np.array_equal(found, plain)


def test_paper_crop_is_224_pixels_of_512_unscaled(path):
    views = _views(path, 'paper', 40, Rendering(size=224))
    corners = set()
    for pixels in views:
        assert pixels.shape == (224, 224, 3)
        # A gradient of 1/2 per pixel along one axis, 0 along the other.
        red = pixels[..., 0].astype(int)
        spans = sorted([np.ptp(red, axis=0).max(), np.ptp(red, axis=1).max()])
        assert spans[0] == 0
        assert spans[1] in (111, 112)
        corners.add((red.min(), pixels[..., 1].min()))
    assert len(corners) > 30
    lows = np.array(sorted(corners))
    # The crop starts anywhere from 0 to 288: red 0 to 144.
    assert lows.max() <= 144
    assert lows.max() > 100
    assert lows.min() < 40


def test_crops_differ_between_images_of_a_batch(path):
    # The paper's code shared one crop in a batch by mistake.
    first, second = _views(path, 'paper', 2, Rendering(size=224))
    assert not np.array_equal(first, second)


def test_multiscale_area_is_within_its_bounds(path):
    for pixels in _views(path, 'multiscale', 40):
        red = pixels[..., 0].astype(int)
        span = max(np.ptp(red, axis=0).max(), np.ptp(red, axis=1).max())
        share = (span / 255) ** 2
        assert 0.25 < share <= 1
