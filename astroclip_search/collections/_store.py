# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""What every collection has: its files, what is known of it, its rows."""

from pathlib import Path

import numpy as np

from astroclip_search.collections._manifest import (
    SEGMENTS,
    Manifest,
    commit,
)
from astroclip_search.collections._names import SUFFIX, find_collection
from astroclip_search.collections._snapshot import Snapshot
from astroclip_search.exceptions import CollectionError, ModelError

__all__ = []

# Rows that a notebook shows of a collection.
_SHOWN = 5


class Store:
    """
    A directory with rows, and one state of it that is shown.

    Parameters
    ----------
    path : `~pathlib.Path`
        Its directory.
    snapshot : object
        Its state.
    embedder : `~astroclip_search.Embedder`, optional
        The model that made its vectors.
    """

    def __init__(self, path, snapshot, embedder=None):
        self.path = path
        self._snapshot = snapshot
        self._embedder = embedder

    @classmethod
    def create(
        cls,
        path,
        *,
        embedder=None,
        dim=None,
        fingerprint=None,
        rendering=None,
        overwrite=False,
        meta=None,
    ):
        """
        Make an empty collection.

        Parameters
        ----------
        path : path-like
            Its directory, which must not exist or be empty.
        embedder : `~astroclip_search.Embedder`, optional
            The model of its vectors. Without one, give ``dim``, and vectors
            with every row.
        dim : int, optional
            Dimension of vectors that are made elsewhere.
        fingerprint : str, optional
            Fingerprint of the model that makes them.
        rendering : `~astroclip_search.images.Rendering`, optional
            How their images are rendered.
        overwrite : bool, optional
            Whether a collection that is there is emptied.
        meta : dict, optional
            What is to be kept with it: title, description, credit...

        Returns
        -------
        collection : `Collection`
            The collection.

        Raises
        ------
        CollectionError
            If the directory is taken or cannot be written.
        """
        path = Path(path).expanduser()
        manifest = _new_manifest(embedder, dim, fingerprint, rendering, meta)
        old = None
        if (path / 'manifest.json').exists():
            if not overwrite:
                msg = (
                    f'there is a collection in {str(path)!r} already; open '
                    'it, or give overwrite=True to empty it'
                )
                raise CollectionError(msg)
            old = Snapshot.open(path)
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            msg = f'{str(path)!r} is taken by something else'
            raise CollectionError(msg)
        _begin(path, old, manifest)
        return cls(path, Snapshot.open(path), embedder)

    @classmethod
    def open(cls, path, *, embedder=None):
        """
        Open a collection.

        Parameters
        ----------
        path : str or path-like
            Its directory, or the name of one that ships with the package
            (``'starter'``) or lies in a directory of
            ``conf.collection_path``.
        embedder : `~astroclip_search.Embedder`, optional
            The model, where images are to be added with one that is loaded.

        Returns
        -------
        collection : `Collection`
            Its current state.

        Raises
        ------
        CollectionError
            If there is none, it is damaged, or another model made it.

        Warns
        -----
        AstroClipWarning
            If some of its rows are in a damaged file; the others can be
            used.
        """
        path = find_collection(path)
        made = cls(path, Snapshot.open(path), embedder)
        if embedder is not None:
            made._check_model(embedder)
        return made

    def refresh(self):
        """
        Show the current state, where another process changed it.

        Returns
        -------
        changed : bool
            Whether there was a newer one.
        """
        old = self._snapshot
        self._snapshot = Snapshot.open(self.path, known=old)
        return self._snapshot.manifest.generation != old.manifest.generation

    @property
    def name(self):
        """Name of the directory, without ``.astroclip``."""
        return self.path.resolve().name.removesuffix(SUFFIX)

    @property
    def dim(self):
        """Dimension of the vectors (int)."""
        return self._snapshot.manifest.dim

    @property
    def fingerprint(self):
        """Fingerprint of the model that made the vectors (str or None)."""
        return self._snapshot.manifest.fingerprint

    @property
    def rendering(self):
        """`~astroclip_search.images.Rendering` of the images, or None."""
        from astroclip_search.images import Rendering

        known = self._snapshot.manifest.rendering
        return None if known is None else Rendering.from_dict(known)

    @property
    def meta(self):
        """What is kept with the collection (dict)."""
        return dict(self._snapshot.manifest.meta or {})

    @property
    def colnames(self):
        """Names of the columns (list of str)."""
        return list(self._snapshot.facts)

    def __len__(self):
        return self._snapshot.n_alive

    def __repr__(self):
        manifest = self._snapshot.manifest
        model = manifest.model or 'unknown model'
        return (
            f'<Collection {self.name!r}: {len(self)} rows, {self.dim} '
            f'dimensions, {model}>'
        )

    def _repr_html_(self):
        import html

        from astropy.table import QTable

        rows = self._snapshot.all_rows()[:_SHOWN]
        table = QTable(self._snapshot.table(rows))
        more = f'<p>{len(self) - len(rows)} more rows</p>'
        return f'<p>{html.escape(repr(self)[1:-1])}</p>' + (
            table._repr_html_() + (more if len(self) > len(rows) else '')
        )

    def info(self):
        """
        Tell what is known of the collection.

        Returns
        -------
        info : dict
            Name, path, rows, columns, model, fingerprint, rendering, dates,
            segments, size in bytes, and what `meta` holds.
        """
        manifest = self._snapshot.manifest
        return {
            'name': self.name,
            'path': str(self.path),
            'rows': len(self),
            'removed_rows': self._snapshot.n_rows - len(self),
            'damaged_segments': len(self._snapshot.damaged),
            'columns': self.colnames,
            'dim': manifest.dim,
            'model': manifest.model,
            'fingerprint': manifest.fingerprint,
            'rendering': manifest.rendering,
            'generation': manifest.generation,
            'created': manifest.created,
            'modified': manifest.modified,
            'segments': len(manifest.segments),
            'index': manifest.index,
            'bytes': sum(
                s.bytes + s.thumbnail_bytes for s in manifest.segments
            ),
            **(manifest.meta or {}),
        }

    def table(self, columns=None):
        """
        Read rows as a table.

        Parameters
        ----------
        columns : sequence of str, optional
            Names of columns; by default all.

        Returns
        -------
        table : `~astropy.table.QTable`
            All rows, in the order in which they are stored, which is that of
            the sky within each segment. Unknown values are masked.

        Raises
        ------
        QueryError
            If there is no such column.
        """
        from astropy.table import QTable

        from astroclip_search.collections._where import check_name

        if columns is not None:
            columns = [columns] if isinstance(columns, str) else list(columns)
            for name in columns:
                check_name(self._snapshot, name)
        rows = self._snapshot.all_rows()
        return QTable(self._snapshot.table(rows, columns), copy=False)

    def vectors(self, ids=None):
        """
        Read vectors.

        Parameters
        ----------
        ids : sequence of str, optional
            Rows; by default all, in the order of `table`.

        Returns
        -------
        vectors : (n, d) `~numpy.ndarray`, float32
            Unit vectors, with the precision of 16-bit floats.

        Raises
        ------
        CollectionError
            If there is no such row.
        """
        if ids is None:
            return self._snapshot.vectors(self._snapshot.all_rows())
        return self._snapshot.vectors(self._snapshot.find(ids))

    def thumbnail(self, row_id):
        """
        Read a picture.

        Parameters
        ----------
        row_id : str
            Id of the row.

        Returns
        -------
        thumbnail : bytes or None
            A small JPEG, where there is one.

        Raises
        ------
        CollectionError
            If there is no such row.
        """
        return self._snapshot.thumbnails(self._snapshot.find(row_id))[0]

    def _get_embedder(self):
        """The model that made the vectors, loaded where it is not yet."""
        if self._embedder is None:
            manifest = self._snapshot.manifest
            if manifest.model is None:
                msg = (
                    f'collection {self.name!r} has no model; give vectors= '
                    'with the rows, or open it with embedder='
                )
                raise CollectionError(msg)
            from astroclip_search.embedding import Embedder

            try:
                self._embedder = Embedder.from_pretrained(manifest.model)
            except ModelError as exc:
                msg = (
                    f'{exc} Or open collection {self.name!r} with the '
                    'embedder= that made it.'
                )
                raise ModelError(msg) from exc
        self._check_model(self._embedder)
        return self._embedder

    def _check_model(self, embedder):
        """Refuse another model, or other pictures of the same images."""
        if embedder.fingerprint != self.fingerprint:
            msg = (
                f'collection {self.name!r} was made by the model '
                f'{self._snapshot.manifest.model} '
                f'({str(self.fingerprint)[:15]}), not by {embedder.name} '
                f'({embedder.fingerprint[:15]}); use that model, or make a '
                'new collection'
            )
            raise CollectionError(msg)
        if embedder.rendering != self.rendering:
            msg = (
                f'images of collection {self.name!r} were rendered as '
                f'{self.rendering}, not as {embedder.rendering}; use the '
                'same rendering, or make a new collection'
            )
            raise CollectionError(msg)


def _new_manifest(embedder, dim, fingerprint, rendering, meta):
    model = None
    if embedder is not None:
        if dim not in (None, embedder.dim):
            msg = (
                f'dim={dim}, but vectors of {embedder.name} have '
                f'{embedder.dim} dimensions; leave dim out'
            )
            raise CollectionError(msg)
        dim, fingerprint = embedder.dim, embedder.fingerprint
        rendering, model = embedder.rendering, embedder.name
    if dim is None:
        msg = 'a collection needs a model: give embedder=, or dim= for vectors'
        raise CollectionError(msg)
    if not isinstance(dim, int | np.integer) or dim < 1:
        msg = f'dim={dim!r} is no dimension; give an integer from 1 on'
        raise CollectionError(msg)
    if hasattr(rendering, 'to_dict'):
        rendering = rendering.to_dict()
    return Manifest(
        dim=int(dim),
        fingerprint=fingerprint,
        model=None if model is None else str(model),
        rendering=rendering,
        meta=dict(meta or {}),
    )


def _begin(path, old, manifest):
    """Write the first manifest, or the first of a new life."""
    from astroclip_search.collections._files import write_failed
    from astroclip_search.collections._lock import write_lock

    try:
        (path / SEGMENTS).mkdir(parents=True, exist_ok=True)
        with write_lock(path):
            commit(path, old.manifest if old else None, manifest)
    except OSError as exc:
        raise write_failed(path, exc) from exc
