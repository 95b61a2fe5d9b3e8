# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""An image of the sky, whatever it came from."""

from dataclasses import dataclass, field, replace

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.units import UnitBase
from astropy.wcs import WCS

from astroclip_search.exceptions import ImageError
from astroclip_search.images._pixels import ArrayPixels

__all__ = ['SkyImage']


def _none():
    return None


@dataclass(frozen=True, eq=False, repr=False)
class SkyImage:
    """
    An image of the sky: pixels, and what is known of them.

    `~astroclip_search.images.read_image` makes one from anything. Pixels of
    files stay where they are until `data` is asked for; rendering, cutouts
    and tiles take only what they need.

    Parameters
    ----------
    data : (H, W) or (H, W, 3) `~numpy.ndarray`
        Pixel values in the machine's byte order with BSCALE and BZERO
        applied; ``uint8`` where there are three colours.

    wcs : `~astropy.wcs.WCS` or None
        Celestial world coordinates of the two image axes.

    mask : (H, W) bool `~numpy.ndarray` or None
        `True` where a pixel is unusable: flagged by a data-quality array,
        saturated, BLANK, or not finite.

    unit : `~astropy.units.Unit` or None
        Unit of the pixel values.

    meta : dict
        ``'source'`` says where the image came from, ``'hdu'`` which
        extension was read, ``'header'`` holds header cards from which facts
        are drawn, ``'notes'`` lists choices that were made on reading.

    origin : {'lower', 'upper'}
        Whether the first row is at the bottom, as in FITS, or at the top, as
        in pictures.
    """

    data: np.ndarray = field(default_factory=_none)
    wcs: WCS | None = None
    mask: np.ndarray | None = field(default_factory=_none)
    unit: UnitBase | None = None
    meta: dict = field(default_factory=dict)
    origin: str = 'lower'

    def __post_init__(self):
        if self.origin not in ('lower', 'upper'):
            msg = (
                f'origin={self.origin!r} is unknown; the first row is at the '
                "'lower' or the 'upper' edge"
            )
            raise ImageError(msg)
        pixels = self.data
        if not hasattr(pixels, 'rows'):
            pixels = ArrayPixels(np.asanyarray(pixels))
        shape = pixels.shape
        if not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)):
            msg = (
                f'pixels of shape {shape} are no image: (height, width) or '
                '(height, width, 3) is needed'
            )
            raise ImageError(msg)
        flags = self.mask
        if flags is not None and np.shape(flags) != shape[:2]:
            msg = (
                f'a mask of shape {np.shape(flags)} does not fit an image of '
                f'shape {shape[:2]}'
            )
            raise ImageError(msg)
        # `data` and `mask` are computed by __getattr__ when first asked for:
        # a mosaic must not be read only because somebody looks at its shape.
        for name, value in (('_pixels', pixels), ('_flags', flags)):
            object.__setattr__(self, name, value)
        object.__delattr__(self, 'data')
        object.__delattr__(self, 'mask')

    def __getattr__(self, name):
        if name == 'data':
            value = self._pixels.read()
        elif name == 'mask':
            value = self._full_mask()
        else:
            msg = f'{type(self).__name__!r} has no attribute {name!r}'
            raise AttributeError(msg)
        object.__setattr__(self, name, value)
        return value

    def _full_mask(self):
        """Flagged pixels together with those that are not finite."""
        data = self.data
        bad = None
        if data.dtype.kind == 'f':
            bad = ~np.isfinite(data)
            if not bad.any():
                bad = None
        if self._flags is None or bad is None:
            return bad if self._flags is None else np.asarray(self._flags)
        return bad | self._flags

    @property
    def shape(self):
        """Height and width in pixels (tuple of two int)."""
        return tuple(self._pixels.shape[:2])

    @property
    def is_rgb(self):
        """Whether the image has three colours (bool)."""
        return len(self._pixels.shape) == 3

    @property
    def coordinates(self):
        """ICRS position of the centre (`SkyCoord`), or None if unknown."""
        from astroclip_search.images._place import centre

        return None if self.wcs is None else centre(self.wcs, self.shape)

    def with_meta(self, **items):
        """
        Return the same image with more metadata.

        Parameters
        ----------
        **items
            Entries that are added to `meta` or replace those there.

        Returns
        -------
        image : `SkyImage`
            A new image that shares the pixels.
        """
        return replace(
            self,
            data=self._pixels,
            mask=self._flags,
            meta={**self.meta, **items},
        )

    def __repr__(self):
        height, width = self.shape
        colours = ' RGB' if self.is_rgb else ''
        source = self.meta.get('source', 'memory')
        place = ''
        centre = self.coordinates
        if isinstance(centre, SkyCoord):
            place = f' at {centre.to_string(precision=4)} deg'
        return f'<SkyImage {width} x {height}{colours} from {source}{place}>'
