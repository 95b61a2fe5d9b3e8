# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""JPEG, PNG, TIFF and PIL pictures."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from astroclip_search.exceptions import ImageError
from astroclip_search.images._quiet import quiet
from astroclip_search.images._types import SkyImage

__all__ = []

# A press picture has up to 1e9 pixels; decoded that is 3 GB, which a file of
# a few bytes must not be able to ask for.
MAX_PIXELS = 1_200_000_000
MAX_PER_BYTE = 2000
_ORIENTATION = 0x0112
_TAIL = 4096


class PicturePixels:
    """
    Pixels of a picture that are decoded when they are asked for.

    Parameters
    ----------
    source : bytes, path or `PIL.Image.Image`
        The picture.

    name : str
        What it is called in errors.
    """

    def __init__(self, source, name):
        self._source = source
        self._name = name
        with self._open() as picture:
            width, height = picture.size
            size = self._bytes()
            if width * height > min(MAX_PIXELS, 1e6 + MAX_PER_BYTE * size):
                msg = (
                    f'{name}: {width} x {height} pixels in {size} bytes is '
                    'refused, as decoding it could fill the memory'
                )
                raise ImageError(msg)
            self.format = picture.format
            turned = picture.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
        if turned:
            width, height = height, width
        self.shape = (height, width, 3)

    def _bytes(self):
        if isinstance(self._source, Image.Image):
            return MAX_PIXELS
        if isinstance(self._source, bytes):
            return len(self._source)
        return Path(self._source).stat().st_size

    def _open(self):
        if isinstance(self._source, Image.Image):
            return _Lent(self._source)
        source = self._source
        if isinstance(source, bytes):
            source = io.BytesIO(source)
        return Image.open(source)

    def picture(self, at_least=None):
        """
        Decode, at reduced scale where the format can.

        Parameters
        ----------
        at_least : (int, int), optional
            Width and height below which the scale is not reduced.

        Returns
        -------
        picture : `PIL.Image.Image`
            An upright picture of mode ``'RGB'``.
        """
        try:
            with self._open() as picture:
                if at_least is not None and self.format == 'JPEG':
                    if self._turned(picture):
                        at_least = at_least[::-1]
                    picture.draft(None, at_least)
                picture.load()
                if picture.getexif().get(_ORIENTATION, 1) != 1:
                    picture = ImageOps.exif_transpose(picture)
                return to_rgb(picture)
        except ImageError:
            raise
        except Exception as exc:  # decoders raise many kinds
            msg = (
                f'{self._name} cannot be decoded ({exc}): it is damaged or '
                'cut off; fetch it again'
            )
            raise ImageError(msg) from exc

    @staticmethod
    def _turned(picture):
        return picture.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)

    def read(self):
        """Every pixel."""
        return np.array(self.picture())

    def rows(self, start, stop):
        """Rows from ``start`` to before ``stop``."""
        return self.read()[start:stop]

    def section(self, rows, columns):
        """Copy of the pixels in two slices."""
        return self.read()[rows, columns].copy()


class _Lent:
    """A picture of the caller, which is not closed after use."""

    def __init__(self, picture):
        self._picture = picture

    def __enter__(self):
        return self._picture

    def __exit__(self, *args):
        return None


def to_rgb(picture):
    """
    Convert any PIL picture to ``'RGB'``.

    Parameters
    ----------
    picture : `PIL.Image.Image`
        Of any mode. Transparent parts become black, as space is; 16 and 32
        bit grey is scaled to its range.

    Returns
    -------
    picture : `PIL.Image.Image`
        Of mode ``'RGB'``.
    """
    mode = picture.mode
    if mode == 'RGB':
        return picture
    if mode in ('I', 'F') or mode.startswith('I;16'):
        values = np.asarray(picture).astype(np.float32)
        low, high = 0.0, 65535.0
        if mode in ('I', 'F') and not 1 < values.max() <= high:
            low, high = float(values.min()), float(values.max())
        scaled = (values - low) / max(high - low, 1e-30)
        scaled = np.nan_to_num(np.clip(scaled * 255, 0, 255))
        picture = Image.fromarray(np.rint(scaled).astype(np.uint8))
        return picture.convert('RGB')
    if picture.has_transparency_data:
        picture = picture.convert('RGBA')
        black = Image.new('RGBA', picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(black, picture)
    return picture.convert('RGB')


def read_picture(source, *, name):
    """
    Make a `SkyImage` of a picture.

    Parameters
    ----------
    source : bytes, path or `PIL.Image.Image`
        The picture.

    name : str
        What it is called in errors and metadata.

    Returns
    -------
    image : `SkyImage`
        Three colours, first row at the top.
    """
    with quiet():
        try:
            pixels = PicturePixels(source, name)
        except ImageError:
            raise
        except Exception as exc:  # decoders raise many kinds
            msg = (
                f'{name} is neither FITS nor a picture that Pillow reads '
                f'({exc})'
            )
            raise ImageError(msg) from exc
    if pixels.format == 'JPEG' and not _whole(source):
        pixels.picture()
    meta = {'source': name, 'header': {}, 'notes': []}
    return SkyImage(pixels, meta=meta, origin='upper')


def _whole(source):
    """Whether a JPEG has an end, so that decoding may wait until needed."""
    if isinstance(source, bytes):
        tail = source[-_TAIL:]
    elif isinstance(source, Image.Image):
        return True
    else:
        with Path(source).open('rb') as file:
            file.seek(max(0, Path(source).stat().st_size - _TAIL))
            tail = file.read()
    return b'\xff\xd9' in tail
