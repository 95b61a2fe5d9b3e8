# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The collection: rows and vectors on disk, to be searched."""

from pathlib import Path

import numpy as np
from astropy.table import QTable

from astroclip_search.collections._manifest import (
    SEGMENTS,
    Manifest,
    commit,
)
from astroclip_search.collections._names import SUFFIX, find_collection
from astroclip_search.collections._snapshot import Snapshot
from astroclip_search.exceptions import CollectionError

__all__ = ['Collection']


class Collection:
    """
    Rows, their vectors and thumbnails in a directory.

    Use `create` to make one and `open` to read one. A collection shows one
    consistent state, the one that was current when it was opened, changed or
    refreshed; other processes may change it meanwhile.

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

    def search(
        self,
        vector,
        *,
        limit=None,
        position=None,
        radius=None,
        region=None,
        moc=None,
        where=None,
        mask=None,
        group_by=None,
        min_separation=None,
        max_similarity=None,
        max_false_match_rate=None,
    ):
        """
        Find the rows whose vectors are most like a query.

        Filters come first, and what they leave is ranked exactly.

        Parameters
        ----------
        vector : (d,) or (q, d) array_like
            One query or several, of any length but zero.
        limit : int, optional
            Most rows; the default is ``conf.limit``.
        position : `~astropy.coordinates.SkyCoord`, optional
            Centre of a cone; alone it filters nothing, and adds the column
            ``separation``.
        radius : `~astropy.units.Quantity`, optional
            Radius of the cone, an angle.
        region : object, optional
            A sky region of `regions`, the vertices of a polygon as a
            `~astropy.coordinates.SkyCoord`, a `mocpy.MOC`, or a string as
            SIA version 2 takes it: ``'CIRCLE ra dec radius'``, ``'RANGE
            ra1 ra2 dec1 dec2'`` or ``'POLYGON ra1 dec1 ra2 dec2 ra3 dec3
            ...'`` in degrees.
        moc : `mocpy.MOC`, optional
            Coverage in which rows must lie.
        where : dict, optional
            Values of columns, in the manner of SIA version 2. Columns are
            joined by "and"; a list of values means "or"; a tuple ``(low,
            high)`` is an interval with ``None`` for an open end. Strings are
            compared whole, whatever their case, and ``*`` stands for
            anything. Quantities are converted to the unit of the column,
            times to MJD, and None means unknown. ``'time'`` and
            ``'wavelength'`` compare with the interval from ``t_min`` to
            ``t_max`` and from ``em_min`` to ``em_max``. An interval of
            ``s_ra`` may go through zero: ``(350, 10)``.
        mask : (n,) array_like of bool, optional
            True for the rows of `table` that may be found.
        group_by : str, optional
            A column: the best row of each of its values.
        min_separation : `~astropy.units.Quantity`, optional
            Leave out rows that are nearer than this to a better one.
        max_similarity : float, optional
            Leave out near-duplicates: rows whose vector has a greater cosine
            than this with that of a better one.
        max_false_match_rate : float, optional
            Leave out rows that a background would match more often.

        Returns
        -------
        result : `~astroclip_search.results.SearchResult`
            Rows, best first; a list of results for several queries.
            ``meta['counts']`` says how many rows each filter left.

        Raises
        ------
        QueryError
            If the query or a filter cannot be understood.
        """
        from astroclip_search.collections import _find

        return _find.search(
            self,
            vector,
            limit=limit,
            position=position,
            radius=radius,
            region=region,
            moc=moc,
            where=where,
            mask=mask,
            group_by=group_by,
            min_separation=min_separation,
            max_similarity=max_similarity,
            max_false_match_rate=max_false_match_rate,
        )

    def select(
        self,
        *,
        position=None,
        radius=None,
        region=None,
        moc=None,
        where=None,
        mask=None,
        limit=None,
    ):
        """
        Find rows by place and columns alone.

        Parameters
        ----------
        position, radius, region, moc, where, mask, limit : object
            As in `search`.

        Returns
        -------
        result : `~astroclip_search.results.SearchResult`
            Rows; with a position, those nearest to it come first, and those
            without a position are left out.

        Raises
        ------
        QueryError
            If a filter cannot be understood.
        """
        from astroclip_search.collections import _find

        return _find.select(
            self,
            limit=limit,
            position=position,
            radius=radius,
            region=region,
            moc=moc,
            where=where,
            mask=mask,
        )

    def add(
        self,
        items,
        *,
        vectors=None,
        ids=None,
        progress=None,
        tiles=None,
        thumbnails=128,
    ):
        """
        Add rows.

        Parameters
        ----------
        items : path-like, sequence or `~astropy.table.Table`
            A directory (with all below it), files, images as
            `~astroclip_search.images.read_image` takes them, or a table.
        vectors : (n, d) array_like, optional
            Vectors of the rows of a table; without, the images that its
            column ``path`` or ``access_url`` names are embedded.
        ids : (n,) sequence of str, optional
            Ids of the rows. By default the column ``id`` or the names of the
            files.
        progress : bool, optional
            Whether to show progress; ``conf.progress`` by default.
        tiles : int, optional
            Divide images into tiles of so many pixels, a row each.
        thumbnails : int or None, optional
            Size in pixels of small JPEGs to keep; None for none.

        Returns
        -------
        report : `AddReport`
            How many rows were added, how many were there already, and a
            table of what failed.

        Raises
        ------
        CollectionError
            If rows cannot be kept; nothing of the batch is added then.
        """
        from astroclip_search.collections import _add

        return _add.add(
            self,
            items,
            vectors=vectors,
            ids=ids,
            progress=progress,
            tiles=tiles,
            thumbnails=thumbnails,
        )

    def remove(self, ids):
        """
        Remove rows.

        Parameters
        ----------
        ids : str or sequence of str
            Their ids.

        Raises
        ------
        CollectionError
            If there is no such row; none is removed then.
        """
        from astroclip_search.collections._change import writing

        with writing(self) as writer:
            rows = np.unique(writer.snapshot.find(ids))
            if len(rows):
                writer.commit(removed=rows)

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

            self._embedder = Embedder.from_pretrained(manifest.model)
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
