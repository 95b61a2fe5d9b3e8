# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Pictures and texts to unit vectors."""

import html
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from astroclip_search._progress import progress_bar
from astroclip_search.config import conf
from astroclip_search.embedding._models import find_model
from astroclip_search.embedding.backends import TorchBackend
from astroclip_search.exceptions import (
    AstroClipError,
    AstroClipWarning,
    ImageError,
    ModelError,
    QueryError,
)

__all__ = ['Embedded', 'Embedder']


@dataclass(frozen=True)
class Embedded:
    """
    One image on its way through `Embedder.iter_images`.

    Parameters
    ----------
    index : int
        Its place among the images.
    source : object
        What was given.
    vector : (d,) `~numpy.ndarray`, float32, or None
        Unit vector; None if the image could not be embedded.
    facts : dict
        ObsCore facts of the image.
    thumbnail : bytes or None
        JPEG, where thumbnails were asked for.
    error : `AstroClipError` or None
        Why there is no vector.
    """

    index: int
    source: object
    vector: np.ndarray | None
    facts: dict
    thumbnail: bytes | None
    error: AstroClipError | None


class Embedder:
    """
    A model that turns pictures and texts into vectors of one space.

    Use `from_pretrained` to make one.

    Parameters
    ----------
    source : `Bundle` or `OpenClipModel`
        The verified model.
    backend : object
        What runs its towers.
    """

    def __init__(self, source, backend):
        self._source = source
        self._backend = backend
        # Now, while the files are those that were verified.
        self._fingerprint = source.fingerprint

    @classmethod
    def from_pretrained(
        cls,
        name=None,
        *,
        device=None,
        backend=None,
        precision=None,
        cache_dir=None,
    ):
        """
        Load a model.

        Parameters
        ----------
        name : str or path-like, optional
            Name of a shipped model (``'astroclip-small'``), a directory that
            `save` wrote, ``'architecture/weights'`` of open_clip (as
            ``'ViT-B-16-quickgelu/openai'``), or ``'hf-hub:org/model'``. The
            default is ``conf.model``.
        device : str, optional
            ``'auto'``, ``'cpu'``, ``'cuda'``... The default is
            ``conf.device``.
        backend : {'auto', 'onnx', 'torch'}, optional
            What runs the model. The default is ``conf.backend``.
        precision : {'auto', 'fp32', 'bf16', 'fp16'}, optional
            Arithmetic of the torch backend. The default is
            ``conf.precision``. Vectors are float32 in any case.
        cache_dir : path-like, optional
            Where downloaded models are kept. The default is that of
            open_clip.

        Returns
        -------
        embedder : `Embedder`
            The model, its files verified.

        Raises
        ------
        ModelError
            If there is no such model, if its weights are missing, altered or
            not finite, or if the backend cannot run it.
        """
        source = find_model(name, cache_dir=cache_dir)
        device = conf.device if device is None else device
        precision = conf.precision if precision is None else precision
        backend = conf.backend if backend is None else backend
        if backend == 'auto':
            on_cpu = str(device) == 'cpu' or (
                device == 'auto' and not _cuda_present()
            )
            wanted = source.has_graphs and on_cpu
            wanted = wanted and precision in ('auto', 'fp32')
            backend = 'onnx' if wanted else 'torch'
        if backend == 'torch':
            made = TorchBackend(source, device=device, precision=precision)
        elif backend == 'onnx':
            from astroclip_search.embedding._onnx import OnnxBackend

            made = OnnxBackend(source, device=device, precision=precision)
        else:
            msg = (
                f'backend {backend!r} is unknown. Choose "auto", "onnx" or '
                '"torch".'
            )
            raise ModelError(msg)
        return cls(source, made)

    @property
    def name(self):
        """Name of the model."""
        return self._source.name

    @property
    def dim(self):
        """Length of a vector."""
        return int(self._source.model_cfg['embed_dim'])

    @property
    def image_size(self):
        """Pixels on a side of the pictures that the model sees."""
        return self._source.image_size

    @property
    def text_limit(self):
        """Tokens that the text tower takes at once."""
        return self._source.text['limit']

    @property
    def fingerprint(self):
        """
        Identity of the vector space: ``'sha256:...'``.

        It covers the weights, the architecture, the preprocessing and the
        tokenizer. Vectors of equal fingerprints can be compared, whatever
        backend made them.
        """
        return self._fingerprint

    @cached_property
    def rendering(self):
        """How pictures are made for this model, a `Rendering`."""
        return self._source.rendering

    @property
    def backend(self):
        """What runs the model: ``'onnx'`` or ``'torch'``."""
        return self._backend.name

    @property
    def device(self):
        """Where the model runs, as ``'cpu'`` or ``'cuda:0'``."""
        return str(self._backend.device)

    @property
    def info(self):
        """What the bundle says of itself (``astroclip.json``), a dict."""
        return dict(self._source.info)

    @cached_property
    def _tokenizer(self):
        return self._source.tokenizer()

    def embed_text(self, texts, *, batch_size=None, progress=None):
        """
        Embed texts.

        Parameters
        ----------
        texts : str or iterable of str
            Texts. One that the text tower cannot take whole is divided where
            sentences end; its vector is the mean of those of the pieces,
            weighted by their length, and a warning says so.
        batch_size : int, optional
            Texts at once. The default is ``conf.batch_size``.
        progress : bool, optional
            Whether to show a progress bar. The default is ``conf.progress``.

        Returns
        -------
        vectors : (n, d) `~numpy.ndarray`, float32
            Unit vectors, in the order of the texts; a str gives (1, d).

        Raises
        ------
        QueryError
            If an item is no text, or an empty one.
        """
        if not isinstance(texts, Iterable):
            texts = [texts]
        texts = [texts] if isinstance(texts, str) else list(texts)
        pieces, owners, weights = [], [], []
        for i, text in enumerate(texts):
            rows, tokens = self._pieces(i, text)
            pieces += rows
            owners += [i] * len(rows)
            weights += tokens

        def label(i):
            return f'text {i} ({_short(texts[i])})'

        features = np.zeros((len(pieces), self.dim), np.float32)
        # Texts of like length together need the least filling up.
        order = np.argsort([len(row) for row in pieces], kind='stable')
        with progress_bar(
            total=len(pieces), show=progress, unit='text', leave=False
        ) as bar:
            for some in _chunks(order, batch_size):
                ids = self._tokenizer.pad([pieces[i] for i in some])
                features[some] = self._unit(
                    self._backend.encode_text(ids),
                    lambda i, some=some: label(owners[some[i]]),
                )
                bar.update(len(some))
        vectors = np.zeros((len(texts), self.dim), np.float32)
        weights = np.asarray(weights, np.float32)[:, None]
        np.add.at(vectors, np.asarray(owners, int), weights * features)
        return self._unit(vectors, label)

    def _pieces(self, i, text):
        if not isinstance(text, str):
            msg = (
                f'text {i} is {text!r} ({type(text).__name__}), no str. Give '
                'texts as str; for pictures use embed_images.'
            )
            raise QueryError(msg)
        if not text.strip():
            msg = f'text {i} is empty. Give at least one word.'
            raise QueryError(msg)
        rows, tokens = self._tokenizer.split(text)
        if not sum(tokens):
            msg = (
                f'text {i} ({_short(text)}) holds no word. Give at least one.'
            )
            raise QueryError(msg)
        if len(rows) > 1:
            msg = (
                f'text {i} ({_short(text)}) is longer than the '
                f'{self.text_limit} tokens that {self.name!r} takes: its '
                f'vector is the mean of {len(rows)} pieces.'
            )
            warnings.warn(msg, AstroClipWarning, stacklevel=3)
        return rows, tokens

    def embed_pixels(self, pixels, *, batch_size=None):
        """
        Embed pictures that were rendered for this model.

        Parameters
        ----------
        pixels : (n, S, S, 3) `~numpy.ndarray`, uint8
            Pictures; S is `image_size`.
        batch_size : int, optional
            Pictures at once. The default is ``conf.batch_size``.

        Returns
        -------
        vectors : (n, d) `~numpy.ndarray`, float32
            Unit vectors.

        Raises
        ------
        ImageError
            If shape or type differ.
        """
        pixels = np.asarray(pixels)
        size = self.image_size
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3):
            msg = (
                f'pixels are {pixels.dtype} of shape {pixels.shape}; '
                f'{self.name!r} takes uint8 of shape (n, {size}, {size}, 3). '
                'Use render of astroclip_search.images, or embed_images.'
            )
            raise ImageError(msg)
        out = np.zeros((len(pixels), self.dim), np.float32)
        for some in _chunks(np.arange(len(pixels)), batch_size):
            features = self._backend.encode_image(pixels[some])
            out[some] = self._unit(
                features, lambda i, some=some: f'picture {some[i]}'
            )
        return out

    def embed_images(
        self, images, *, batch_size=None, progress=None, workers=None
    ):
        """
        Embed images.

        Parameters
        ----------
        images : object or iterable of object
            One or several of what `~astroclip_search.images.read_image`
            takes: paths, HDUs, arrays, pictures...
        batch_size : int, optional
            Images at once. The default is ``conf.batch_size``.
        progress : bool, optional
            Whether to show a progress bar. The default is ``conf.progress``.
        workers : int, optional
            Threads that read and render. The default is ``conf.workers``.

        Returns
        -------
        vectors : (n, d) `~numpy.ndarray`, float32
            Unit vectors, in the order of the images.

        Raises
        ------
        ImageError
            If an image cannot be used. `iter_images` goes on instead.
        """
        images = _as_list(images)
        out = np.zeros((len(images), self.dim), np.float32)
        found = self.iter_images(
            images, batch_size=batch_size, workers=workers
        )
        for item in progress_bar(
            found, total=len(images), show=progress, unit='image', leave=False
        ):
            if item.error is not None:
                msg = f'image {item.index} cannot be embedded: {item.error}'
                raise type(item.error)(msg) from item.error
            out[item.index] = item.vector
        return out

    def iter_images(
        self, images, *, batch_size=None, workers=None, thumbnail=None
    ):
        """
        Embed images one after another; a bad one does not stop the others.

        Images are read and rendered by threads while the model runs.

        Parameters
        ----------
        images : object or iterable of object
            As for `embed_images`.
        batch_size : int, optional
            Images at once. The default is ``conf.batch_size``.
        workers : int, optional
            Threads that read and render. The default is ``conf.workers``.
        thumbnail : int, optional
            Pixels on a side of thumbnails; by default there are none.

        Yields
        ------
        item : `Embedded`
            In the order of the images.
        """
        from astroclip_search.images import load

        size = conf.batch_size if batch_size is None else batch_size
        batch = []
        for item in load(
            _as_list(images, lazy=True),
            rendering=self.rendering,
            workers=workers,
            thumbnail=thumbnail,
        ):
            batch.append(item)
            if len(batch) >= size:
                yield from self._finish(batch)
                batch = []
        yield from self._finish(batch)

    def _finish(self, batch):
        """Embed what was loaded, and make a record of each item."""
        good = [item for item in batch if item.error is None]
        vectors = iter(())
        if good:
            features = self._backend.encode_image(
                np.stack([item.pixels for item in good])
            )
            vectors = iter(
                self._unit(features, lambda i: f'image {good[i].index}')
            )
        for item in batch:
            yield Embedded(
                index=item.index,
                source=item.source,
                vector=next(vectors) if item.error is None else None,
                facts=item.facts,
                thumbnail=item.thumbnail,
                error=item.error,
            )

    def _unit(self, features, label):
        """Unit vectors of features, or an error that names the item."""
        norm = np.linalg.norm(features, axis=-1)
        bad = np.flatnonzero(~(np.isfinite(norm) & (norm > 0)))
        if bad.size:
            msg = (
                f'{self.name!r} gives no vector for {label(bad[0])}: its '
                'features are zero or not finite. Use another precision or '
                'model.'
            )
            raise ModelError(msg)
        return (features / norm[:, None]).astype(np.float32, copy=False)

    def save(self, path):
        """
        Write the model as a bundle that `from_pretrained` reads.

        Parameters
        ----------
        path : path-like
            Directory to write. One that holds a model is replaced.

        Raises
        ------
        ModelError
            If the directory holds something else, or if the weights cannot
            be kept as float16.
        """
        from astroclip_search.embedding._save import save

        save(self._source, path)

    def open_clip_kwargs(self):
        """
        What plain open_clip needs to load the same model, offline.

        Returns
        -------
        kwargs : dict
            Keyword arguments of ``open_clip.create_model``.

        Raises
        ------
        ModelError
            If the model has heads on its towers, which open_clip would drop.
        """
        if getattr(self._source, 'has_heads', False):
            msg = (
                f'{self.name!r} has heads on its towers, which open_clip '
                'does not know. Use the Embedder.'
            )
            raise ModelError(msg)
        return self._source.open_clip_kwargs()

    def __repr__(self):
        return (
            f'<Embedder {self.name!r}: {self.dim} dimensions, {self.backend} '
            f'on {self.device}, {self.fingerprint[:15]}>'
        )

    def _repr_html_(self):
        return f'<code>{html.escape(repr(self))}</code>'


def _cuda_present():
    """Whether there may be a CUDA device, without a needless import."""
    torch = sys.modules.get('torch')
    if torch is None and sys.platform == 'linux':
        if not Path('/dev/nvidiactl').exists():
            return False
        import torch
    if torch is None:
        return False
    return torch.cuda.is_available()


def _short(text):
    text = ' '.join(text.split())
    return repr(text if len(text) <= 40 else text[:37] + '...')


def _chunks(order, batch_size):
    """Cut an array of indices into batches."""
    size = conf.batch_size if batch_size is None else batch_size
    if size < 1:
        msg = f'batch_size is {size!r}; it must be 1 or more.'
        raise QueryError(msg)
    for first in range(0, len(order), size):
        yield order[first : first + size]


def _as_list(images, *, lazy=False):
    """Several images as a list; one image as a list of one."""
    one = (
        isinstance(images, str | Path)
        or not isinstance(images, Iterable)
        or type(images).__name__ == 'HDUList'
        or hasattr(images, 'wcs')
        or (isinstance(images, np.ndarray) and images.ndim in (2, 3))
        or (
            isinstance(images, tuple)
            and len(images) == 2
            and hasattr(images[0], 'shape')
            and not hasattr(images[1], 'shape')
        )
    )
    if one:
        return [images]
    return images if lazy else list(images)
