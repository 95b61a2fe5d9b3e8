# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Read and render many images while something else uses the pictures."""

import io
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from astroclip_search.config import conf
from astroclip_search.exceptions import AstroClipError, ImageError
from astroclip_search.images._facts import image_facts
from astroclip_search.images._read import read_image
from astroclip_search.images._recipe import Rendering
from astroclip_search.images._render import render

__all__ = ['Loaded', 'load']


@dataclass(frozen=True, eq=False)
class Loaded:
    """
    One image as `load` gives it.

    Parameters
    ----------
    index : int
        Place in the input, from 0.

    source : object
        The item of the input.

    pixels : (S, S, 3) uint8 `~numpy.ndarray` or None
        The picture; None where there is an error.

    facts : dict
        What `image_facts` tells.

    thumbnail : bytes or None
        A JPEG, if one was asked for.

    error : `~astroclip_search.exceptions.AstroClipError` or None
        Why there is no picture.
    """

    index: int
    source: object
    pixels: np.ndarray | None = None
    facts: dict = field(default_factory=dict)
    thumbnail: bytes | None = None
    error: AstroClipError | None = None


def load(
    sources, *, rendering=None, workers=None, thumbnail=None, prefetch=None
):
    """
    Read and render images in a few threads, in order.

    Parameters
    ----------
    sources : iterable
        Anything that `read_image` takes. It is drawn from only as far ahead
        as needed, so it may be a generator.

    rendering : `Rendering`, optional
        The recipe.

    workers : int, optional
        Threads; ``conf.workers`` by default, where 0 is one for each core.

    thumbnail : int, optional
        Make JPEG thumbnails of this size in pixels as well.

    prefetch : int, optional
        Pictures that are made ahead of the one in use; by default 16 for
        each thread.

    Yields
    ------
    item : `Loaded`
        One for each source. A bad one has an ``error`` and does not stop the
        others.
    """
    rendering = Rendering() if rendering is None else rendering
    workers = conf.workers if workers is None else workers
    if workers < 0 or (prefetch is not None and prefetch < 1):
        msg = (
            f'workers={workers} and prefetch={prefetch} are no numbers of '
            'threads and pictures; give 1 or more'
        )
        raise ImageError(msg)
    workers = workers or os.cpu_count() or 1
    prefetch = prefetch or 16 * workers
    pool = ThreadPoolExecutor(workers, thread_name_prefix='astroclip-load')
    waiting = deque()
    try:
        for index, source in enumerate(sources):
            waiting.append(
                pool.submit(_load_one, index, source, rendering, thumbnail)
            )
            if len(waiting) > prefetch:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _load_one(index, source, rendering, thumbnail):
    try:
        image = read_image(source)
        pixels = render(image, rendering=rendering)
        small = None
        if thumbnail is not None:
            small = _thumbnail(image, pixels, rendering, thumbnail)
        return Loaded(index, source, pixels, image_facts(image), small)
    except AstroClipError as exc:
        return Loaded(index, source, error=exc)
    except Exception as exc:  # one bad item must not end a night's run
        msg = f'item {index} failed ({type(exc).__name__}: {exc})'
        return Loaded(index, source, error=ImageError(msg))


def _thumbnail(image, pixels, rendering, size):
    """Encode a JPEG that shows the whole image, without bars."""
    picture = Image.fromarray(pixels)
    if rendering.fit == 'pad':
        height, width = image.shape
        scale = rendering.size / max(height, width)
        wide, tall = round(width * scale), round(height * scale)
        left, top = (rendering.size - wide) // 2, (rendering.size - tall) // 2
        picture = picture.crop((left, top, left + wide, top + tall))
    picture.thumbnail((size, size), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, 'JPEG', quality=85)
    return file.getvalue()
