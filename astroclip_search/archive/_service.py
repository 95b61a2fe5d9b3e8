# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The query service, in the manner of astroquery."""

from contextlib import contextmanager
from pathlib import Path

from astroclip_search.archive._listings import (
    list_collections,
    list_models,
    list_vocabularies,
)
from astroclip_search.archive._names import resolve_position
from astroclip_search.archive._payload import (
    check_columns,
    place,
    serialisable,
)
from astroclip_search.archive._pictures import get_images
from astroclip_search.archive._published import fetch_collection, is_address
from astroclip_search.config import conf
from astroclip_search.exceptions import QueryError

__all__ = ['AstroClipSearch', 'AstroClipSearchClass']


class AstroClipSearchClass:
    """
    Query collections of images as astroquery queries archives.

    Everything is answered on this computer. The network is only needed for
    names of objects, pictures of rows, and collections that are published at
    an address (``'https://...'``), and all these are cached.

    All queries understand these keywords.

    ``collection`` : str, path-like or `~astroclip_search.Collection`
        Name, directory or address; default ``conf.collection``.
    ``embedder`` : `~astroclip_search.Embedder` or str
        The model; default the one that made the collection.
    ``limit`` : int
        Most rows; default ``conf.limit``.
    ``where`` : dict
        Values of columns, as in `~astroclip_search.search`.
    ``columns`` : list of str
        Columns of the result; by default all.
    ``get_query_payload`` : bool
        Return the resolved query, a `dict` that JSON can hold, and stop.
    ``cache`` : bool
        Whether names that were resolved, and files that were fetched
        earlier, will do.
    ``verbose`` : bool
        Show progress bars.

    They return a `~astroclip_search.results.SearchResult`, and raise
    `~astroclip_search.exceptions.AstroClipError`.

    Examples
    --------
    >>> from astroclip_search import AstroClipSearch
    >>> payload = AstroClipSearch.query_text(
    ...     'spiral galaxy', limit=5, get_query_payload=True)
    >>> payload['text'], payload['limit'], payload['collection']
    ('spiral galaxy', 5, 'starter')
    """

    def query_text(self, text, **kwargs):
        """
        Find images that a text describes.

        Parameters
        ----------
        text : str or list of str
            Plain language; of a list, the sum, less what begins with a minus
            (``['spiral galaxy', '-bar']``).
        **kwargs
            ``radius``, ``width`` and ``height``, ``region`` or ``moc`` with
            ``coordinates``, as in `query_region`, and the keywords of all
            queries.

        Returns
        -------
        result : `~astroclip_search.results.SearchResult` or dict
            Rows, the most similar first.
        """
        return self._query('text', text=text, **kwargs)

    def query_image(self, image, **kwargs):
        """
        Find images that look like an image.

        Parameters
        ----------
        image : image or `~astropy.coordinates.SkyCoord`
            What `~astroclip_search.images.read_image` reads: a path, an HDU,
            an array and a WCS...; for a position, ``size`` (an angle) and
            ``survey`` say what to fetch.
        **kwargs
            As in `query_text`, and ``size`` and ``survey``.

        Returns
        -------
        result : `~astroclip_search.results.SearchResult` or dict
            Rows, the most similar first.
        """
        return self._query('image', image=image, **kwargs)

    def query_region(
        self,
        coordinates=None,
        *,
        radius=None,
        width=None,
        height=None,
        region=None,
        moc=None,
        **kwargs,
    ):
        """
        Find images in a part of the sky.

        Parameters
        ----------
        coordinates : `~astropy.coordinates.SkyCoord` or str, optional
            Centre, or the name of an object. Not needed with ``region`` or
            ``moc``.
        radius : angle, optional
            Radius of a cone.
        width, height : angle, optional
            Size of a box that is aligned with right ascension and
            declination at its centre; its sides are great circles.
        region : object, optional
            A polygon (`~astropy.coordinates.SkyCoord` with its corners) or
            what else `~astroclip_search.search` takes.
        moc : `~mocpy.MOC`, optional
            Any coverage.
        **kwargs
            ``text`` or ``image`` to rank by, and the keywords of all
            queries.

        Returns
        -------
        result : `~astroclip_search.results.SearchResult` or dict
            Rows; without ``text`` and ``image`` in order of their distance
            from the centre, and with ``similarity`` masked.
        """
        return self._query(
            'region',
            coordinates=coordinates,
            radius=radius,
            width=width,
            height=height,
            region=region,
            moc=moc,
            **kwargs,
        )

    def query_object(self, object_name, **kwargs):
        """
        Find images near an object.

        Parameters
        ----------
        object_name : str
            A name that Sesame (CDS) resolves.
        **kwargs
            ``radius`` (needed), or ``width`` and ``height``, and the rest as
            in `query_region`.

        Returns
        -------
        result : `~astroclip_search.results.SearchResult` or dict
            As `query_region`.
        """
        if not isinstance(object_name, str):
            msg = (
                f'A {type(object_name).__name__} is not the name of an '
                'object: use query_region for positions'
            )
            raise QueryError(msg)
        return self._query('object', coordinates=object_name, **kwargs)

    def get_images(self, rows, *, cache=True, verbose=False):
        """
        Fetch the pictures of rows.

        Parameters
        ----------
        rows : `~astropy.table.Table` or `~astropy.table.Row`
            Rows of a result, with ``access_url``.
        cache : bool, optional
            Whether pictures that were fetched earlier will do.
        verbose : bool, optional
            Show a progress bar.

        Returns
        -------
        images : list of `~astropy.io.fits.HDUList` or None
            One for each row, `None` where the picture could not be had, which
            a warning tells. Pictures that are not FITS become a primary HDU,
            colours first, the bottom row first.
        """
        return get_images(rows, cache=cache, progress=verbose or None)

    def list_collections(self):
        """
        List the collections that can be queried by name.

        Returns
        -------
        table : `~astropy.table.Table`
            ``name``, ``rows``, ``model``, ``path``.
        """
        return list_collections()

    def list_models(self):
        """
        List the models that come with the package.

        Returns
        -------
        table : `~astropy.table.Table`
            ``name``, ``version``, ``dimensions``, ``licence``.
        """
        return list_models()

    def list_vocabularies(self):
        """
        List the vocabularies for `~astroclip_search.describe`.

        Returns
        -------
        table : `~astropy.table.Table`
            ``name``, ``classes``, ``description``.
        """
        return list_vocabularies()

    def _query(
        self,
        kind,
        *,
        text=None,
        image=None,
        coordinates=None,
        radius=None,
        width=None,
        height=None,
        region=None,
        moc=None,
        size=None,
        survey=None,
        collection=None,
        embedder=None,
        limit=None,
        where=None,
        columns=None,
        get_query_payload=False,
        cache=True,
        verbose=False,
    ):
        from astroclip_search._search import search

        if text is not None and image is not None:
            msg = 'text= and image= were both given: rank by one of them'
            raise QueryError(msg)
        if kind in ('text', 'image') and text is None and image is None:
            msg = f'The {kind} of the query is None: say what to look for'
            raise QueryError(msg)
        centre = coordinates
        if centre is not None:
            centre = resolve_position(centre, cache=cache)
        where_on_sky = place(
            centre,
            needed=kind in ('region', 'object'),
            radius=radius,
            width=width,
            height=height,
            region=region,
            moc=moc,
        )
        if isinstance(image, str):
            image = Path(image)  # never a text to search for
        ranked = text is not None or image is not None
        if ranked and 'radius' not in where_on_sky:
            # A ranking has no use for a centre that bounds nothing.
            where_on_sky.pop('position', None)
        query = {
            **where_on_sky,
            'limit': conf.limit if limit is None else limit,
            'where': where,
            'size': size,
            'survey': survey,
        }
        if collection is None:
            collection = conf.collection
        if get_query_payload:
            return serialisable(
                {
                    'query': kind,
                    'collection': collection,
                    **query,
                    'text': text,
                    'image': image,
                    'embedder': embedder,
                    'columns': columns,
                }
            )
        with _progress(verbose):
            if is_address(collection):
                collection = fetch_collection(collection, cache=cache)
            result = search(
                text if image is None else image,
                collection=collection,
                embedder=embedder,
                **query,
            )
        return result if columns is None else check_columns(result, columns)

    def __repr__(self):
        return f'<{type(self).__name__}>'


@contextmanager
def _progress(verbose):
    if not verbose:
        yield
        return
    with conf.set_temp('progress', 'on'):
        yield


AstroClipSearch = AstroClipSearchClass()
