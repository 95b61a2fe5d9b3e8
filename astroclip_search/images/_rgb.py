# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Three images into one of three colours."""

import numpy as np
from astropy.visualization import (
    ManualInterval,
    make_lupton_rgb,
    make_rgb,
)

from astroclip_search._optional import require
from astroclip_search.exceptions import ImageError
from astroclip_search.images._quiet import quiet
from astroclip_search.images._read import read_image
from astroclip_search.images._recipe import Rendering
from astroclip_search.images._types import SkyImage

__all__ = ['compose_rgb']


def compose_rgb(r, g, b, *, method='lupton', interval=None, stretch=None):
    """
    Combine three images into one of three colours.

    Parameters
    ----------
    r, g, b : `SkyImage` or anything that `read_image` takes
        Images of long, middle and short wavelength. Those on other grids are
        brought onto the grid of ``r`` with ``reproject`` (bilinear).

    method : {'lupton', 'simple'}, optional
        ``'lupton'`` keeps colours where it stretches brightness (Lupton et
        al. 2004), ``'simple'`` stretches every colour by itself.

    interval : `~astropy.visualization.BaseInterval` or str, optional
        What finds black and white of each image; as in `Rendering`.

    stretch : `~astropy.visualization.BaseStretch` or str, optional
        Stretch of ``'simple'``; as in `Rendering`.

    Returns
    -------
    image : `SkyImage`
        ``uint8`` of three colours on the grid of ``r``. Pixels that are
        unusable in all three are masked.

    Raises
    ------
    ImageError
        If an image has colours already, or the grids differ and an image has
        no world coordinates.

    References
    ----------
    Lupton R. et al. 2004, PASP 116, 133.
    """
    if method not in ('lupton', 'simple'):
        msg = f'method={method!r} is unknown; choose from lupton, simple'
        raise ImageError(msg)
    given = {'interval': interval, 'stretch': stretch}
    recipe = Rendering(**{k: v for k, v in given.items() if v is not None})
    images = [read_image(item) for item in (r, g, b)]
    if any(image.is_rgb for image in images):
        msg = 'compose_rgb takes three images of one colour each'
        raise ImageError(msg)
    planes = [_usable(images[0])]
    planes += [_on_grid(image, images[0]) for image in images[1:]]
    lost = np.logical_and.reduce([~np.isfinite(plane) for plane in planes])
    if lost.all():
        msg = 'the three images have no usable pixel in common'
        raise ImageError(msg)
    scaled = [_scaled(plane, recipe) for plane in planes]
    with quiet(), np.errstate(all='ignore'):
        if method == 'lupton':
            data = make_lupton_rgb(*scaled, minimum=0, stretch=0.5, Q=8)
        else:
            data = make_rgb(
                *scaled,
                interval=ManualInterval(0, 1),
                stretch=recipe.stretch_object(),
            )
    sources = [image.meta.get('source') for image in images]
    meta = {
        **images[0].meta,
        'source': ' + '.join(str(item) for item in sources),
        'method': method,
    }
    return SkyImage(
        data,
        wcs=images[0].wcs,
        mask=lost if lost.any() else None,
        meta=meta,
        origin=images[0].origin,
    )


def _usable(image):
    data = image.data.astype(np.float32)
    if image.mask is not None:
        data[image.mask] = np.nan
    return data


def _on_grid(image, target):
    """Bring an image onto the grid of another."""
    same = image.shape == target.shape
    if same and (image.wcs is None or target.wcs is None):
        return _usable(image)
    if image.wcs is None or target.wcs is None:
        msg = (
            f'images of {image.shape} and {target.shape} pixels can only be '
            'aligned if both have world coordinates'
        )
        raise ImageError(msg)
    if same and target.wcs.wcs.compare(image.wcs.wcs, tolerance=1e-9):
        return _usable(image)
    reproject = require(
        'reproject', extra='images', purpose='align images on other grids'
    )
    with quiet():
        return reproject.reproject_interp(
            (_usable(image), image.wcs),
            target.wcs,
            shape_out=target.shape,
            return_footprint=False,
        )


def _scaled(plane, recipe):
    """Bring black and white of a plane to 0 and 1; unusable pixels to 0."""
    good = plane[np.isfinite(plane)]
    if good.size == 0:
        return np.zeros_like(plane)
    low, high = recipe.interval_object().get_limits(good)
    if not high > low:
        low, high = good.min(), good.max()
    if not high > low:
        return np.zeros_like(plane)
    return np.nan_to_num((plane - low) / (high - low), nan=0.0)
