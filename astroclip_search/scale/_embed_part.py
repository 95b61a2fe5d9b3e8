# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""What workers do with a partition of images."""

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from astroclip_search.exceptions import (
    CollectionError,
    ModelError,
)

__all__ = []

_DIGEST = b'astroclip_inputs'


@dataclass(frozen=True)
class Work:
    """
    A partition that is to be embedded.

    Attributes
    ----------
    file : str
        Where the vectors go.
    images : tuple of (str, str, str or None)
        Id, path or address of each image, and why it has none.
    model : str or object
        Directory or name of the model, or the model itself.
    fingerprint : str
        Its fingerprint.
    rendering : str
        Its rendering, as JSON.
    thumbnails : int or None
        Size of small pictures.
    """

    file: str
    images: tuple
    model: object
    fingerprint: str
    rendering: str
    thumbnails: int | None

    @property
    def digest(self):
        """Digest of what goes in; another one makes other vectors."""
        told = [self.images, self.fingerprint, self.rendering, self.thumbnails]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest().encode()


@dataclass(frozen=True)
class Done:
    """
    An image of a finished partition.

    Attributes
    ----------
    vector : (d,) `~numpy.ndarray`, float32, or None
        Unit vector; None where there is none.
    facts : dict
        What is known from its header.
    thumbnail : bytes or None
        A small JPEG.
    reason : str
        Why there is no vector.
    """

    vector: np.ndarray | None = None
    facts: dict = field(default_factory=dict)
    thumbnail: bytes | None = None
    reason: str = ''


def finished(work):
    """
    Tell whether a partition is finished already.

    Parameters
    ----------
    work : Work
        The partition.

    Returns
    -------
    finished : bool
        Whether its file is there and whole, of these images and this model.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        known = pq.read_schema(work.file).metadata or {}
    except (OSError, pa.ArrowException):
        return False
    return known.get(_DIGEST) == work.digest


@lru_cache(maxsize=1)
def _load(name):
    """The model of this worker, loaded once."""
    from astroclip_search.embedding import Embedder

    return Embedder.from_pretrained(name)


def embed_part(work):
    """
    Embed the images of a partition and write them, if that is to do.

    Parameters
    ----------
    work : Work
        The partition.

    Returns
    -------
    n : int
        Number of images that were embedded; 0 if it was finished.

    Raises
    ------
    ModelError
        If the model of this worker is another one.
    CollectionError
        If the file cannot be written.
    """
    # The result of a finished task is lost with its worker, its file is not.
    if finished(work):
        return 0
    model = _load(work.model) if isinstance(work.model, str) else work.model
    if model.fingerprint != work.fingerprint:
        msg = (
            f'model {model.name} of a worker has the fingerprint '
            f'{model.fingerprint[:15]} instead of {work.fingerprint[:15]}; '
            'install the same model on all workers'
        )
        raise ModelError(msg)
    done = [Done(reason=str(reason or '')) for _, _, reason in work.images]
    with tempfile.TemporaryDirectory() as folder:
        sources = {}
        for i, (source, reason) in enumerate(_local(work.images, folder)):
            if reason:
                done[i] = Done(reason=reason)
            else:
                sources[i] = source
        places = list(sources)
        items = model.iter_images(
            list(sources.values()), thumbnail=work.thumbnails
        )
        for item in items if sources else ():
            done[places[item.index]] = Done(
                item.vector,
                item.facts,
                item.thumbnail,
                '' if item.error is None else str(item.error),
            )
    _write(work, done, model.dim)
    return len(sources)


def _local(images, folder):
    """Path of each image, fetched if need be, or why there is none."""
    remote = [
        source
        for _, source, reason in images
        if not reason and source.startswith(('http://', 'https://'))
    ]
    found, lost = {}, {}
    if remote:
        from astroclip_search.archive import download

        report = download(remote, folder, progress=False)
        found = dict(zip(remote, report.paths, strict=True))
        lost = {str(row['url']): str(row['reason']) for row in report.failures}
    for _, source, reason in images:
        path = found.get(source, source)
        if path is None:
            reason = lost.get(source, 'it could not be fetched')
        yield path, reason


def _write(work, done, dim):
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = Path(work.file)
    vectors = pa.array(
        [None if item.vector is None else item.vector for item in done],
        pa.list_(pa.float32(), dim),
    )
    table = pa.table(
        {
            'id': pa.array([name for name, _, _ in work.images], pa.string()),
            'vector': vectors,
            'facts': pa.array(
                [json.dumps(item.facts, default=_plain) for item in done]
            ),
            'thumbnail': pa.array(
                [item.thumbnail for item in done], pa.binary()
            ),
            'reason': pa.array([item.reason for item in done], pa.string()),
        }
    ).replace_schema_metadata({_DIGEST: work.digest})
    new = file.with_name(f'.{file.name}.{os.getpid()}.new')
    try:
        with new.open('wb') as target:
            pq.write_table(table, target)
            target.flush()
            os.fsync(target.fileno())
        new.replace(file)
    except OSError as exc:
        msg = f'partition {str(file)!r} cannot be written ({exc})'
        raise CollectionError(msg) from exc
    finally:
        new.unlink(missing_ok=True)


def _plain(value):
    """Numbers of numpy and quantities as JSON has them."""
    value = getattr(value, 'value', value)
    return value.item() if hasattr(value, 'item') else str(value)


def read(file):
    """
    Read a finished partition.

    Parameters
    ----------
    file : path-like
        Its file.

    Returns
    -------
    done : list of Done
        Its images.

    Raises
    ------
    CollectionError
        If it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(file).to_pylist()
    except (OSError, pa.ArrowException) as exc:
        msg = f'partition {str(file)!r} cannot be read ({exc}); run it again'
        raise CollectionError(msg) from exc
    return [
        Done(
            None
            if row['vector'] is None
            else np.asarray(row['vector'], np.float32),
            json.loads(row['facts']),
            row['thumbnail'],
            row['reason'],
        )
        for row in rows
    ]
