# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Pictures as the model sees them, and altered ones to train on."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from astroclip_search.images import Rendering, read_image, render

__all__ = ['RENDERING', 'altered', 'batches']

RENDERING = Rendering(size=224, fit='pad')


def altered(picture, rng, *, gentle=False):
    """
    Alter a picture in ways that leave its caption true.

    Parameters
    ----------
    picture : `PIL.Image.Image`
        RGB picture.
    rng : `~numpy.random.Generator`
        Source of the draws.
    gentle : bool, optional
        Keep what lies in the middle, and the colours nearly as they are:
        for cutouts around one object.

    Returns
    -------
    pixels : (224, 224, 3) `~numpy.ndarray` of uint8
        The picture.
    """
    size = RENDERING.size
    if rng.random() < 0.7:
        picture = _crop(picture, rng, 0.5 if gentle else 0.3, gentle)
    scale = size / max(picture.size)
    shape = [max(1, round(side * scale)) for side in picture.size]
    if rng.random() < 0.3:
        # Not in proportion, by up to a quarter.
        shape[rng.integers(2)] *= rng.uniform(0.75, 1)
        shape = [max(1, round(side)) for side in shape]
    picture = picture.resize(shape, Image.Resampling.BICUBIC)
    canvas = Image.new('RGB', (size, size))
    canvas.paste(picture, ((size - shape[0]) // 2, (size - shape[1]) // 2))
    if rng.random() < 0.35:
        canvas = canvas.rotate(
            rng.uniform(-180, 180), Image.Resampling.BILINEAR
        )
    canvas = _colours(canvas, rng, 0.15 if gentle else 0.3)
    pixels = np.rot90(np.asarray(canvas), rng.integers(4))
    if rng.integers(2):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _crop(picture, rng, area, centred):
    side = np.sqrt(rng.uniform(area, 1))
    width, height = (round(n * side) for n in picture.size)
    spare = picture.width - width, picture.height - height
    x, y = (
        rng.uniform(0.25, 0.75) if centred else rng.random() for _ in spare
    )
    left, top = round(x * spare[0]), round(y * spare[1])
    return picture.crop((left, top, left + width, top + height))


def _colours(picture, rng, strength):
    if rng.random() < 0.7:
        for kind in (
            ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color
        ):  # fmt: skip
            factor = rng.uniform(1 - strength, 1 + strength)
            picture = kind(picture).enhance(factor)
    draw = rng.random()
    if draw < 0.08:
        picture = picture.convert('L').convert('RGB')
    elif draw < 0.2 and strength > 0.2:
        bands = picture.split()
        order = rng.permutation(3)
        picture = Image.merge('RGB', [bands[k] for k in order])
    return picture


def batches(paths, *, seeds=None, gentle=None, size=64, workers=2):
    """
    Read pictures and prepare them for the model, in order.

    Parameters
    ----------
    paths : list of path-like
        The pictures.
    seeds : list of int, optional
        Seed of the alterations of each; None for the rendering that search
        uses.
    gentle : list of bool, optional
        See `altered`.
    size : int, optional
        Pictures at a time.
    workers : int, optional
        Threads.

    Yields
    ------
    pixels : (n, 224, 224, 3) `~numpy.ndarray` of uint8
        A batch.
    """

    def one(i):
        path = Path(paths[i])
        if seeds is None:
            return render(read_image(path), rendering=RENDERING)
        with Image.open(path) as file:
            picture = file.convert('RGB')
        rng = np.random.default_rng(seeds[i])
        return altered(picture, rng, gentle=gentle[i])

    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(paths), size):
            rows = range(start, min(start + size, len(paths)))
            yield np.stack(list(pool.map(one, rows)))
