# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""From an image to the picture that a model sees."""

import math

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter

from astroclip_search.exceptions import ImageError
from astroclip_search.images._pictures import PicturePixels
from astroclip_search.images._quiet import quiet
from astroclip_search.images._recipe import Rendering
from astroclip_search.images._reduce import block_means
from astroclip_search.images._types import SkyImage

__all__ = ['render']

# Images are averaged to between 2 and 4 times the size of the picture before
# the stretch, and resized after it: stretching the full frame is 15 times
# slower, and stretching at the final size makes stars too large.
OVERSAMPLE = 2
SAMPLE = 20_000
LEVELS = 1 << 16
MAX_ASPECT = 16


def render(
    image, *, size=224, rendering=None, fit=None, interval=None, stretch=None
):
    """
    Render an image as the picture that a model sees.

    Parameters
    ----------
    image : `SkyImage` or anything that `read_image` takes
        The image.

    size : int, optional
        Height and width of the picture in pixels. Ignored where a
        ``rendering`` is given.

    rendering : `Rendering`, optional
        The whole recipe, for example that of a model or a collection.

    fit : {'pad', 'crop', 'squash'}, optional
        See `Rendering`.

    interval : `~astropy.visualization.BaseInterval` or str, optional
        See `Rendering`.

    stretch : `~astropy.visualization.BaseStretch` or str, optional
        See `Rendering`.

    Returns
    -------
    picture : (size, size, 3) uint8 `~numpy.ndarray`
        The first row is the top of the image: the last row of a FITS image.
        North is where the image has it.

    Raises
    ------
    ImageError
        If the image has no usable pixel, or a setting is unknown.

    Notes
    -----
    Blocks of pixels are averaged without the unusable ones, limits come from
    a sample of the averages, and the stretch is applied last. Small holes are
    filled from their surroundings; large ones are black.
    """
    if not isinstance(image, SkyImage):
        from astroclip_search.images._read import read_image

        image = read_image(image)
    if rendering is None:
        given = {'fit': fit, 'interval': interval, 'stretch': stretch}
        given = {k: v for k, v in given.items() if v is not None}
        rendering = Rendering(size=size, **given)
    elif fit is not None or interval is not None or stretch is not None:
        msg = (
            'rendering= is the whole recipe: leave out fit, interval and '
            'stretch, or change them in the Rendering'
        )
        raise ImageError(msg)
    if image.is_rgb:
        picture, box = _colour_picture(image, rendering)
    else:
        picture, box = _grey_picture(image, rendering)
    return _fitted(picture, box, image, rendering)


def target_size(shape, rendering):
    """
    Size that an image is resized to before it is padded or cropped.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the image.

    rendering : `Rendering`
        The recipe.

    Returns
    -------
    width, height : int
        As open_clip's transforms compute them.
    """
    height, width = shape
    size = rendering.size
    if rendering.fit == 'squash':
        return size, size
    if rendering.fit == 'pad':
        ratio = max(height, width) / size
        return max(1, round(width / ratio)), max(1, round(height / ratio))
    if width <= height:
        return size, int(size * height / width)
    return int(size * width / height), size


def _colour_picture(image, rendering):
    pixels = image._pixels
    if isinstance(pixels, PicturePixels):
        width, height = target_size(image.shape, rendering)
        return pixels.picture(at_least=(2 * width, 2 * height))
    data = image.data
    if image.origin == 'lower':
        data = data[::-1]
    return Image.fromarray(np.ascontiguousarray(data)), None


def _grey_picture(image, rendering):
    """Average, stretch; return a picture and the box that is the image."""
    height, width = image.shape
    goal = target_size(image.shape, rendering)
    steps = (
        max(1, height // (OVERSAMPLE * goal[1])),
        max(1, width // (OVERSAMPLE * goal[0])),
    )
    means = block_means(image._pixels, steps, mask=image._flags)
    good = np.isfinite(means)
    if not good.any():
        msg = (
            f'{image.meta.get("source", "the image")} has no usable pixel: '
            'all are masked or not finite'
        )
        raise ImageError(msg)
    values = _stretched(means, good, rendering)
    bottom = 0.0
    if image.origin == 'lower':
        values = values[::-1]
        # The last block may be a partial one, and is now the first row.
        bottom = values.shape[0] - height / steps[0]
    box = (0, bottom, width / steps[1], bottom + height / steps[0])
    return Image.fromarray(np.ascontiguousarray(values)), box


def _stretched(means, good, rendering):
    """Apply interval and stretch; holes are filled first."""
    low, high = _limits(means[good], means.shape[1], rendering)
    if not good.all():
        means = _filled(means, good, low)
    if high <= low:
        return np.zeros(means.shape, np.uint8)
    with np.errstate(all='ignore'):
        scaled = (means - low) / (high - low)
        return _shades(scaled, rendering.stretch_object())


def _limits(values, width, rendering):
    """Black and white from a sample of the usable values."""
    step = max(1, values.size // SAMPLE)
    while math.gcd(step, width) > 1:
        step += 1  # or a few columns would stand for the image
    with quiet():
        limits = rendering.interval_object().get_limits(values[::step])
    low, high = (float(limit) for limit in limits)
    if not np.isfinite([low, high]).all():
        msg = f'{rendering.interval} found no limits in this image'
        raise ImageError(msg)
    if high <= low:
        # A flat image, or one star on a flat background.
        low, high = float(values.min()), float(values.max())
    return low, high


def _shades(scaled, stretch):
    """Stretch values of which 0 is black and 1 is white to 0 to 255."""
    if scaled.size <= LEVELS:
        shades = stretch(np.clip(scaled, 0, 1), clip=True)
        return np.rint(np.nan_to_num(shades) * 255).astype(np.uint8)
    # A table gives the same shades in a fourth of the time.
    table = _shades(np.linspace(0, 1, LEVELS), stretch)
    scaled *= LEVELS - 1
    scaled += 0.5
    np.clip(scaled, 0, LEVELS - 1, out=scaled)
    return table[scaled.astype(np.uint16)]


def _filled(means, good, low):
    """Fill small holes from around them, large ones with black."""
    values = np.where(good, means, 0)
    weight = good.astype(means.dtype)
    reach = max(3, max(means.shape) // 100 | 1)
    near = uniform_filter(weight, reach, mode='constant')
    total = uniform_filter(values, reach, mode='constant')
    with np.errstate(all='ignore'):
        around = total / near
    return np.where(good, means, np.where(near > 0.3, around, low))


def _fitted(picture, box, image, rendering):
    size = rendering.size
    goal = target_size(image.shape, rendering)
    if rendering.fit == 'crop' and max(goal) > MAX_ASPECT * size:
        # Most of a long strip would be made only to be thrown away.
        picture, box, goal = _central_square(picture, box), None, (size, size)
    resized = picture.resize(goal, Image.Resampling.BICUBIC, box=box)
    pixels = np.asarray(resized)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
    width, height = goal
    if rendering.fit == 'crop':
        top = round((height - size) / 2)
        left = round((width - size) / 2)
        return np.ascontiguousarray(
            pixels[top : top + size, left : left + size]
        )
    if (width, height) == (size, size):
        return np.array(pixels)
    canvas = np.zeros((size, size, 3), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    canvas[top : top + height, left : left + width] = pixels
    return canvas


def _central_square(picture, box):
    left, top, right, bottom = box or (0, 0, *picture.size)
    half = max(1, min(right - left, bottom - top) / 2)
    x, y = (left + right) / 2, (top + bottom) / 2
    return picture.crop(
        (round(x - half), round(y - half), round(x + half), round(y + half))
    )
