# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Search of a collection by text, by example and by place."""

from astroclip_search._query import (
    check_angle,
    check_columns,
    check_limit,
    check_size,
    parse_query,
)
from astroclip_search._session import get_collection
from astroclip_search._vectors import query_vector
from astroclip_search.exceptions import QueryError

__all__ = ['search']


def search(
    query=None,
    *,
    collection=None,
    position=None,
    radius=None,
    size=None,
    survey=None,
    where=None,
    region=None,
    limit=None,
    group_by=None,
    max_false_match_rate=None,
    embedder=None,
):
    """
    Find the rows of a collection that are most like a query.

    Filters (``position``, ``region``, ``where``) are applied first, and what
    is left is ranked exactly.

    Parameters
    ----------
    query : str, image, `~astropy.coordinates.SkyCoord`, row or list, optional
        What to look for:

        - a text; the path of an image is taken as the image;
        - anything that `~astroclip_search.images.read_image` takes;
        - a `~astropy.coordinates.SkyCoord`: a picture of that place is
          fetched, ``size`` wide;
        - a row of a result, or ``{'id': ...}``: that row as an example;
        - a list of these, whose unit vectors are added. A text that begins
          with a minus is subtracted (``['spiral galaxy', '-bar']``), and
          ``(item, weight)`` weights an item.

        Without a query, rows come in order of their distance from
        ``position``.
    collection : `~astroclip_search.Collection`, str or path-like, optional
        What to search; the default is ``conf.collection``.
    position : `~astropy.coordinates.SkyCoord` or str, optional
        Centre of a cone, or the name of an object, which is resolved.
    radius : `~astropy.units.Quantity`, optional
        Radius of the cone, an angle.
    size : `~astropy.units.Quantity`, optional
        Width of the picture where ``query`` is a position, an angle.
    survey : str, optional
        Where that picture comes from; the default is ``conf.hips_survey``.
    where : dict, optional
        Values that columns must have, as
        `Collection.search <astroclip_search.Collection.search>` takes them:
        a list for several, a tuple for an interval.
    region : object, optional
        A polygon, footprint or MOC in which rows must lie, as
        `Collection.search <astroclip_search.Collection.search>` takes it.
    limit : int, optional
        Most rows; the default is ``conf.limit``.
    group_by : str, optional
        A column, as ``'proposal_id'``: the best row of each of its values.
    max_false_match_rate : float, optional
        Rows that a background would match more often are left out.
    embedder : `~astroclip_search.Embedder`, str or path-like, optional
        The model; the default is the one that made the collection.

    Returns
    -------
    result : `~astroclip_search.results.SearchResult`
        Rows in order, with ``similarity`` (cosine), ``score`` (1 minus the
        false-match rate) and, with a position, ``separation``.

    Raises
    ------
    QueryError
        If there is nothing to search for, or a filter cannot be applied.
    ModelError
        If the model is not the one that made the collection.
    CollectionError
        If there is no such collection.

    Examples
    --------
    >>> from astroclip_search import search
    >>> result = search('spiral galaxy', limit=3)
    >>> len(result)
    3
    """
    filters = _filters(position, radius, where, region)
    check_limit(limit)
    if query is None:
        if not filters:
            msg = (
                'there is no query; give a text, an image, or a position and '
                'a radius'
            )
            raise QueryError(msg)
        if size is not None:
            check_size([], size)
        return get_collection(collection).select(limit=limit, **filters)
    terms = parse_query(query)
    check_size(terms, size)
    if position is not None and radius is None:
        msg = 'position= needs radius=, as 5 * u.arcmin, to filter rows'
        raise QueryError(msg)
    collection = get_collection(collection)
    check_columns(collection, where, group_by)
    vector, origin = query_vector(
        terms, collection, embedder=embedder, size=size, survey=survey
    )
    result = collection.search(
        vector,
        limit=limit,
        group_by=group_by,
        max_false_match_rate=max_false_match_rate,
        **filters,
    )
    result.meta['query'] = ' + '.join(map(str, terms))
    result.meta.update(origin)
    return result


def search_values(
    query,
    *,
    collection=None,
    where=None,
    group_by=None,
    limit=None,
    embedder=None,
):
    """
    Search as `search` does, without the time it takes to import tables.

    Parameters
    ----------
    query, collection, where, group_by, limit, embedder : object
        As `search` takes them.

    Returns
    -------
    columns : dict of list
        Values of the columns of the result, None where unknown.
    """
    check_limit(limit)
    terms = parse_query(query)
    collection = get_collection(collection)
    check_columns(collection, where, group_by)
    vector, _ = query_vector(terms, collection, embedder=embedder)
    from astroclip_search.collections._find import search as find
    from astroclip_search.collections._find import to_values

    return find(
        collection,
        vector,
        limit=limit,
        group_by=group_by,
        where=where,
        make=to_values,
    )


def _filters(position, radius, where, region):
    """Check the filters and leave out those that were not given."""
    if radius is not None and position is None:
        msg = f'radius={radius} needs position=, the centre of the cone'
        raise QueryError(msg)
    if radius is not None:
        check_angle('radius', radius)
    if position is not None:
        from astroclip_search.archive._names import resolve_position

        position = resolve_position(position)
    given = {'position': position, 'radius': radius, 'where': where}
    given['region'] = region
    return {key: value for key, value in given.items() if value is not None}
