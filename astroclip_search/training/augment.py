# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Views of an image for training."""

import numpy as np

from astroclip_search.images import SkyImage, read_image, render

__all__ = ['view']

PAPER_SIZE = 512  # px, section 3.1 of the paper
CROP_AREA = (0.3, 1.0)


def view(path, *, augmentation, rendering, rng):
    """
    Render one view of an image.

    The picture itself is made by `~astroclip_search.images.render`, as for
    indexing and search.

    Parameters
    ----------
    path : path-like
        The image.
    augmentation : {'whole', 'multiscale', 'paper', 'none'}
        See `TrainingConfig`.
    rendering : `~astroclip_search.images.Rendering`
        Rendering of the model.
    rng : `~numpy.random.Generator`
        Source of the draws; not used by ``'none'``.

    Returns
    -------
    pixels : (S, S, 3) `~numpy.ndarray` of uint8
        The view, S being the size of the rendering.
    """
    image = read_image(path)
    if augmentation == 'none':
        return render(image, rendering=rendering)
    if augmentation == 'paper':
        size = rendering.size
        side = max(PAPER_SIZE, size)
        pixels = render(image, size=side, fit='pad')
        y, x = rng.integers(side - size + 1, size=2)
        pixels = pixels[y : y + size, x : x + size]
    else:
        if augmentation == 'multiscale':
            image = _crop(image, rng)
        pixels = render(image, rendering=rendering)
    # A turn by 90 degrees and one flip reach all eight orientations.
    pixels = np.rot90(pixels, rng.integers(4))
    if rng.integers(2):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _crop(image, rng):
    """Crop to a random share of the area, of the frame's proportions."""
    scale = np.sqrt(rng.uniform(*CROP_AREA))
    height, width = (max(1, round(scale * n)) for n in image.shape)
    y = rng.integers(image.shape[0] - height + 1)
    x = rng.integers(image.shape[1] - width + 1)
    box = np.s_[y : y + height, x : x + width]
    mask = None if image.mask is None else image.mask[box]
    return SkyImage(
        data=image.data[box], mask=mask, meta=image.meta, origin=image.origin
    )
