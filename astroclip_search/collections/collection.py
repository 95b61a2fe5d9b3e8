# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The collection: rows and vectors on disk, to be searched."""

from pathlib import Path

import numpy as np

from astroclip_search.collections._store import Store
from astroclip_search.exceptions import CollectionError

__all__ = ['Collection']


class Collection(Store):
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
        approximate=False,
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
        approximate : bool, optional
            Whether the index of `build_index` may be used. It is where there
            is one and nothing is filtered, grouped or left out;
            ``meta['exact']`` says so.

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
            approximate=approximate,
        )

    def iter_search(self, vector, *, chunk_size=1000, **filters):
        """
        Go through all rows, best first, without a table of all of them.

        Parameters
        ----------
        vector : (d,) array_like
            One query.
        chunk_size : int, optional
            Rows of a result.
        **filters : object
            ``position``, ``radius``, ``region``, ``moc``, ``where``,
            ``mask``, as in `search`.

        Yields
        ------
        result : `~astroclip_search.results.SearchResult`
            The next rows; ``rank`` goes on from one to the next.

        Raises
        ------
        QueryError
            If the query or a filter cannot be understood.
        """
        from astroclip_search.collections import _find

        yield from _find.stream(self, vector, chunk_size=chunk_size, **filters)

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

    def update(self, table, *, vectors=None):
        """
        Change columns of rows, or add columns.

        Parameters
        ----------
        table : `~astropy.table.Table`
            A column ``id`` and the columns that change; masked values become
            unknown. Rows that are not in it keep what they have.
        vectors : (n, d) array_like, optional
            New vectors of these rows.

        Raises
        ------
        CollectionError
            If there is no such row, or the columns cannot be kept; nothing
            is changed then.
        """
        from astroclip_search.collections import _maintain

        _maintain.update(self, table, vectors)

    def compact(self, *, drop_damaged=False):
        """
        Write all rows anew, in the order of the sky, without removed ones.

        Searches get faster after many small additions. The old files go
        with the change after this one, so that open readers keep theirs.

        Parameters
        ----------
        drop_damaged : bool, optional
            Whether rows in damaged files are given up.

        Raises
        ------
        CollectionError
            If a file is damaged, or the disk is full; nothing is changed
            then.
        """
        from astroclip_search.collections import _maintain

        _maintain.compact(self, drop_damaged=drop_damaged)

    def verify(self):
        """
        Read every file and compare it with its checksum.

        Returns
        -------
        checked : dict
            Numbers of ``segments``, ``rows`` and ``bytes`` that are sound.

        Raises
        ------
        CollectionError
            If something is damaged, with the names of the files.
        """
        from astroclip_search.collections import _maintain

        return _maintain.verify(self)

    def coverage(self, *, order=10):
        """
        Part of the sky that the centres of the rows lie in.

        Parameters
        ----------
        order : int, optional
            HEALPix order of the cells, 0 to 29; those of order 10 are 3.4
            arcmin wide.

        Returns
        -------
        moc : `mocpy.MOC`
            The cells that hold rows.
        """
        from astroclip_search.collections._healpix import rows_moc

        return rows_moc(self._snapshot, order)

    def build_index(self, *, recall=0.95, seed=0):
        """
        Make an approximate index, for millions of rows.

        It is used where a search allows it with ``approximate=True``, and
        gone as soon as rows change.

        Parameters
        ----------
        recall : float, optional
            Share of the 10 best rows that is to be found, on the average.
        seed : int, optional
            Of the sample that the index is made from.

        Returns
        -------
        facts : dict
            ``cells``, ``probes``, ``rows``, and the measured
            ``recall_at_10`` for queries that are like the rows.

        Raises
        ------
        MissingDependencyError
            If `faiss` is not installed.
        CollectionError
            If there are too few rows for it.
        """
        from astroclip_search.collections import _ann

        return _ann.build(self, recall=recall, seed=seed)

    def to_file(self, path, *, vectors=True, overwrite=False):
        """
        Write the rows to a file that other programs read.

        Parameters
        ----------
        path : path-like
            The file. Its ending gives the format: ``.parquet``, ``.npz``
            (NumPy, without pickles), ``.fits``, ``.ecsv``, or ``.vot`` and
            ``.xml`` (VOTable).
        vectors : bool, optional
            Whether vectors are written, in 32 bits.
        overwrite : bool, optional
            Whether a file that is there is replaced.

        Raises
        ------
        CollectionError
            If the file is there, cannot be written, or has another ending.
        """
        from astroclip_search.collections import _io

        _io.write_file(self, path, vectors=vectors, overwrite=overwrite)

    @classmethod
    def from_file(cls, source, path, *, vectors=None, **options):
        """
        Make a collection of a file.

        Parameters
        ----------
        source : path-like
            A file that `to_file` wrote, or a like one: columns, among them
            ``id`` or ``obs_id``, and ``vector``.
        path : path-like
            Directory of the new collection.
        vectors : (n, d) array_like, optional
            Vectors, where the file has none.
        **options : object
            As `create` takes them; what the file says of its model is kept.

        Returns
        -------
        collection : `Collection`
            The collection.

        Raises
        ------
        CollectionError
            If the file cannot be read or has no vectors, or its rows cannot
            be kept; nothing is left behind then.
        """
        from astroclip_search.collections import _io

        return _io.read_file(cls, source, path, vectors=vectors, **options)

    def to_parquet(self, path, *, vectors=True, overwrite=False):
        """
        Write the rows to a Parquet file.

        Parameters
        ----------
        path, vectors, overwrite : object
            As in `to_file`.

        Raises
        ------
        CollectionError
            As in `to_file`.
        """
        path = Path(path)
        if path.suffix.lower() != '.parquet':
            msg = f'{path.name!r} does not end in .parquet'
            raise CollectionError(msg)
        self.to_file(path, vectors=vectors, overwrite=overwrite)

    from_parquet = from_file

    def to_datasets(self, *, vectors=True):
        """
        Show the rows as a data set of Hugging Face.

        Parameters
        ----------
        vectors : bool, optional
            Whether vectors come along, in 32 bits.

        Returns
        -------
        dataset : `datasets.Dataset`
            The rows.

        Raises
        ------
        MissingDependencyError
            If `datasets` is not installed.
        """
        from astroclip_search.collections import _io

        return _io.to_datasets(self, vectors=vectors)

    def to_hats(self, path, **options):
        """
        Write the rows as a HATS catalogue, the format of survey archives.

        Parameters
        ----------
        path : path-like
            Directory of the catalogue.
        **options : object
            As `astroclip_search.scale.to_hats` takes them.

        Returns
        -------
        catalogue : object
            What `astroclip_search.scale.to_hats` returns.
        """
        from astroclip_search.scale import to_hats

        return to_hats(self, path, **options)

    @classmethod
    def from_hats(cls, source, path=None, **options):
        """
        Make a collection of a HATS catalogue.

        Parameters
        ----------
        source : path-like
            Directory of the catalogue.
        path : path-like, optional
            Directory of the new collection; by default it lies beside the
            catalogue.
        **options : object
            As `astroclip_search.scale.from_hats` takes them.

        Returns
        -------
        collection : `Collection`
            The collection.
        """
        from astroclip_search.scale import from_hats

        return from_hats(source, path, **options)

    @classmethod
    def from_mast(cls, *args, **options):
        """
        Make a collection of previews in MAST.

        Parameters
        ----------
        *args, **options : object
            As `astroclip_search.archive.collection_from_mast` takes them.

        Returns
        -------
        report : `~astroclip_search.archive.BuildReport`
            The collection, and what failed.
        """
        from astroclip_search.archive import collection_from_mast

        return collection_from_mast(*args, **options)
