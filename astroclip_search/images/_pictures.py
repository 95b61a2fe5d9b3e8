# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""JPEG, PNG, TIFF and PIL pictures."""

import io
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from astroclip_search.exceptions import ImageError
from astroclip_search.images._quiet import quiet
from astroclip_search.images._types import SkyImage

__all__ = []

# A file of few bytes must not be able to ask for gigabytes; Pillow bounds the
# pixels in all, this bounds them by the size of the file.
_FREE_PIXELS = 4_000_000
_MAX_PER_BYTE = 2000
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
            self.format = picture.format
            turned = _orientation(picture) >= 5
        if isinstance(source, Image.Image):
            self.format = None
        else:
            size = (
                len(source)
                if isinstance(source, bytes)
                else (Path(source).stat().st_size)
            )
            if width * height > _FREE_PIXELS + _MAX_PER_BYTE * size:
                msg = (
                    f'{name}: {width} x {height} pixels in {size} bytes is '
                    'refused, as decoding it could fill the memory'
                )
                raise ImageError(msg)
        if turned:
            width, height = height, width
        self.shape = (height, width, 3)

    def _open(self):
        if isinstance(self._source, Image.Image):
            return nullcontext(self._source)
        source = self._source
        if isinstance(source, bytes):
            source = io.BytesIO(source)
        with quiet():
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

        box : tuple of float or None
            Part of it that is the image, where a scale left a remainder.
        """
        try:
            with self._open() as picture:
                turn, full, box = _orientation(picture), picture.size, None
                if at_least is not None and self.format == 'JPEG':
                    at_least = at_least[::-1] if turn >= 5 else at_least
                    picture.draft(None, at_least)
                    box = _without_remainder(full, picture.size, turn)
                # Only TIFF warns while it decodes; the others would wait for
                # each other if this were always quiet.
                with quiet() if self.format == 'TIFF' else nullcontext():
                    picture.load()
                if turn != 1:
                    with quiet():
                        picture = ImageOps.exif_transpose(picture)
                return to_rgb(picture), box
        except ImageError:
            raise
        except Exception as exc:  # decoders raise many kinds
            msg = (
                f'{self._name} cannot be decoded ({exc}): it is damaged or '
                'cut off; fetch it again'
            )
            raise ImageError(msg) from exc

    def read(self):
        """Every pixel."""
        return np.array(self.picture()[0])

    def rows(self, start, stop):
        """Rows from ``start`` to before ``stop``."""
        return self.read()[start:stop]

    def section(self, rows, columns):
        """Copy of the pixels in two slices."""
        return self.read()[rows, columns].copy()


def _without_remainder(full, reduced, turn):
    """Box of a picture at reduced scale that holds the image alone."""
    # Sides are rounded up to whole pixels; taking the last for a whole one
    # shifts everything by a part of a pixel.
    scale = round(max(full) / max(reduced))
    if turn != 1 or scale == 1:
        return None
    return (
        0,
        0,
        *(min(f / scale, r) for f, r in zip(full, reduced, strict=True)),
    )


def _orientation(picture):
    """EXIF orientation: 1 upright, 5 to 8 with sides swapped."""
    with quiet():
        try:
            turn = picture.getexif().get(_ORIENTATION, 1)
        except Exception:  # damaged EXIF blocks raise many kinds
            return 1
    return turn if turn in range(1, 9) else 1


def to_rgb(picture):
    """
    Convert any PIL picture to ``'RGB'``.

    Parameters
    ----------
    picture : `PIL.Image.Image`
        Of any mode. Transparent parts become black, as space is; 16-bit
        grey is taken as 0 to 65535, other numbers from least to greatest.

    Returns
    -------
    picture : `PIL.Image.Image`
        Of mode ``'RGB'``.
    """
    mode = picture.mode
    if mode == 'RGB':
        return picture
    if mode in ('I', 'F') or mode.startswith('I;16'):
        values = np.nan_to_num(np.asarray(picture).astype(np.float32))
        low, high = 0.0, 65535.0
        # Older Pillow gives 16-bit PNG as 'I'.
        if mode == 'F' or (mode == 'I' and not 255 < values.max() <= high):
            low, high = float(values.min()), float(values.max())
        scaled = (values - low) / max(high - low, 1e-30)
        scaled = np.clip(scaled * 255, 0, 255)
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
    try:
        pixels = PicturePixels(source, name)
    except ImageError:
        raise
    except Exception as exc:  # decoders raise many kinds
        msg = f'{name} is neither FITS nor a picture that Pillow reads ({exc})'
        raise ImageError(msg) from exc
    if pixels.format != 'JPEG' or not _whole(source):
        # Only JPEG gains from waiting until the size needed is known, and a
        # damaged file should be noticed here.
        pixels = pixels.read()
    meta = {'source': name, 'header': {}, 'notes': []}
    return SkyImage(pixels, meta=meta, origin='upper')


def _whole(source):
    """Whether a JPEG has an end."""
    if isinstance(source, bytes):
        tail = source[-_TAIL:]
    else:
        with Path(source).open('rb') as file:
            file.seek(max(0, Path(source).stat().st_size - _TAIL))
            tail = file.read()
    return b'\xff\xd9' in tail
