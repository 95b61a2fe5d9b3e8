# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Images of the sky: from anything that has pixels to what a model sees.

`read_image` is the only place that opens FITS files and pictures; `render`
turns what it returns into the picture that is embedded.
"""

from astroclip_search.images._cutout import cutout
from astroclip_search.images._facts import image_facts
from astroclip_search.images._loader import Loaded, load
from astroclip_search.images._read import read_image
from astroclip_search.images._recipe import Rendering
from astroclip_search.images._render import render
from astroclip_search.images._rgb import compose_rgb
from astroclip_search.images._tiles import tiles
from astroclip_search.images._types import SkyImage

__all__ = [
    'Loaded',
    'Rendering',
    'SkyImage',
    'compose_rgb',
    'cutout',
    'image_facts',
    'load',
    'read_image',
    'render',
    'tiles',
]
