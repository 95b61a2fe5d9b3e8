# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
The background against which a description is calibrated.

Raw cosines say little: they differ from model to model, some texts are near
every image and some near none (hubness; Radovanovic, Nanopoulos & Ivanovic
2010, J. Mach. Learn. Res. 11, 2487). So each text is first measured in its
own unit: its cosine with the image, less the mean over a background of
images, divided by their standard deviation. Then a class is compared with a
background of texts, measured in the same way. The share of them that match
the image at least as well is the false-match rate of the class.
"""

import hashlib
import io
import os
from functools import lru_cache
from pathlib import Path

import numpy as np

__all__ = ['Background', 'background_texts', 'text_file', 'text_store']

_FOLDER = Path(__file__).parent / 'data' / 'backgrounds'


class Background:
    """
    Images and texts that have nothing to do with the image in question.

    Parameters
    ----------
    images : (m, d) array_like or None
        Unit vectors of images; without any, cosines stay as they are.
    texts : (n, d) array_like
        Unit vectors of texts.
    name : str, optional
        Where the images come from.
    """

    def __init__(self, images, texts, *, name='user'):
        self.name = name
        self.n_images = 0 if images is None else len(images)
        self._texts = np.asarray(texts, np.float32)
        if images is None:
            self._mean = np.zeros(self._texts.shape[1], np.float32)
            self._covariance = np.eye(self._texts.shape[1], dtype=np.float32)
            return
        # Mean and variance over the images of the cosine with any text
        # follow from mean and covariance of the vectors.
        images = np.asarray(images, np.float32)
        self._mean = images.mean(0)
        centred = images - self._mean
        self._covariance = centred.T @ centred / len(images)

    @property
    def n_texts(self):
        """Number of background texts."""
        return len(self._texts)

    def standardize(self, texts, image):
        """
        Cosines of texts with an image, each in the unit of its text.

        Parameters
        ----------
        texts : (k, d) array_like
            Unit vectors of texts.
        image : (d,) array_like
            Unit vector of the image.

        Returns
        -------
        z : (k,) `~numpy.ndarray`
            Standard deviations above the mean over the background images.
        """
        texts = np.asarray(texts, np.float32)
        variance = ((texts @ self._covariance) * texts).sum(1)
        spread = np.sqrt(np.maximum(variance, 1e-12))
        return texts @ (image - self._mean) / spread

    def false_match_rate(self, texts, image):
        """
        Share of background texts that match an image at least as well.

        Parameters
        ----------
        texts : (k, d) array_like
            Unit vectors of the texts in question.
        image : (d,) array_like
            Unit vector of the image.

        Returns
        -------
        rate : (k,) `~numpy.ndarray`
            Rates between 0 and 1, exclusive.
        """
        from astroclip_search.collections.calibration import tail_rate

        return tail_rate(
            self.standardize(texts, image),
            self.standardize(self._texts, image),
        )


@lru_cache(maxsize=1)
def background_texts():
    """
    Read the background texts that come with the package.

    Returns
    -------
    texts : tuple of str
        Titles of observing programmes of HST and JWST, one for each
        programme and title.
    """
    text = (_FOLDER / 'texts.txt').read_text(encoding='utf-8')
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith('#'))


def text_file(embedder, texts):
    """
    Name of the file that holds the vectors of texts.

    Parameters
    ----------
    embedder : `~astroclip_search.Embedder`
        The model.
    texts : sequence of str
        The texts.

    Returns
    -------
    name : str
        A name that another model or other texts do not share.
    """
    digest = hashlib.sha256(embedder.fingerprint.encode())
    for text in texts:
        digest.update(b'\0' + text.encode())
    return f'texts-{digest.hexdigest()[:16]}.npy'


def text_store(embedder, texts, *, folder=None):
    """
    Vectors of texts, embedded once for each model and kept on disk.

    Parameters
    ----------
    embedder : `~astroclip_search.Embedder`
        The model.
    texts : sequence of str
        The texts.
    folder : path-like, optional
        Where to keep them. By default they are looked for in the package,
        then in the cache of the user, where new ones are kept.

    Returns
    -------
    vectors : (n, d) `~numpy.ndarray`, float32
        Unit vectors.
    """
    name = text_file(embedder, texts)
    folders = [_FOLDER, _cache()] if folder is None else [Path(folder)]
    for place in folders:
        vectors = _load(place / name, (len(texts), embedder.dim))
        if vectors is not None:
            return vectors
    vectors = embedder.embed_text(list(texts)).astype(np.float16)
    _save(folders[-1] / name, vectors)
    return _unit(vectors)


def _cache():
    """Folder in which a user's computed vectors lie."""
    from astropy.config.paths import get_cache_dir_path

    return Path(get_cache_dir_path('astroclip_search')) / 'backgrounds'


def _unit(vectors):
    vectors = vectors.astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _load(path, shape):
    """Read vectors, or None where there is no sound file."""
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if vectors.shape != shape or not np.isfinite(vectors).all():
        return None
    return _unit(vectors)


def _save(path, vectors):
    """Write vectors whole or not at all; a cache that fails costs time."""
    buffer = io.BytesIO()
    np.save(buffer, vectors, allow_pickle=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f'.{path.name}.{os.getpid()}')
        new.write_bytes(buffer.getvalue())
        new.replace(path)
    except OSError:
        return
