# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Vectors of the terms of a query, from the model that may make them."""

import numpy as np

from astroclip_search._query import combine
from astroclip_search._session import get_embedder, text_vectors
from astroclip_search.exceptions import ModelError

__all__ = ['query_vector', 'read_images']


def query_vector(terms, collection, *, embedder=None, size=None, survey=None):
    """
    Make the vector of a query, for a collection.

    Parameters
    ----------
    terms : list of Term
        The parts of the query.
    collection : `~astroclip_search.Collection`
        What is to be searched.
    embedder : `~astroclip_search.Embedder`, str or path-like, optional
        The model; the default is the one that made the collection.
    size : `~astropy.units.Quantity`, optional
        Width of cutouts.
    survey : str, optional
        Where cutouts come from.

    Returns
    -------
    vector : (d,) `~numpy.ndarray`, float32
        Unit vector.
    meta : dict
        What is to be known of pictures that were fetched.

    Raises
    ------
    ModelError
        If the model, or its rendering of images, is not that of the
        collection.
    """
    rows, texts, images = (
        [i for i, term in enumerate(terms) if term.kind in kinds]
        for kinds in (('row',), ('text',), ('image', 'position'))
    )
    # What can be wrong with images and rows is found before a model loads.
    pictures, meta = read_images(
        [terms[i] for i in images], size=size, survey=survey
    )
    vectors = np.empty((len(terms), collection.dim), np.float32)
    if rows:
        vectors[rows] = _row_vectors(
            [terms[i].value for i in rows], collection
        )
    if texts or images:
        embedder = _embedder_of(collection, embedder, images=bool(images))
    if texts:
        vectors[texts] = text_vectors(
            embedder, [terms[i].value for i in texts]
        )
    if images:
        vectors[images] = embedder.embed_images(pictures, progress=False)
    return combine(vectors, [term.weight for term in terms]), meta


def read_images(terms, *, size=None, survey=None):
    """
    Read the terms that are images, and fetch those that are places.

    Parameters
    ----------
    terms : list of Term
        Of kind 'image' or 'position'.
    size : `~astropy.units.Quantity`, optional
        Width of cutouts.
    survey : str, optional
        Where cutouts come from.

    Returns
    -------
    images : list of `~astroclip_search.images.SkyImage`
        The images.
    meta : dict
        ``query_image``: provenance of an image that was fetched.
    """
    images, meta = [], {}
    for term in terms:
        if term.kind == 'position':
            from astroclip_search.archive import sky_image

            image = sky_image(term.value, size=size, survey=survey)
            meta['query_image'] = {
                key: value
                for key, value in image.meta.items()
                if isinstance(value, str | int | float)
            }
        else:
            from astroclip_search.images import read_image

            image = read_image(term.value)
        images.append(image)
    return images, meta


def _row_vectors(ids, collection):
    """Vectors of rows that are given as examples, of unit length."""
    vectors = np.asarray(collection.vectors(ids), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _embedder_of(collection, embedder, *, images):
    """Get the model of a collection, and see that it is the right one."""
    name = collection.info()['model']
    if embedder is None:
        embedder = collection._embedder or name
    if embedder is None:
        msg = (
            f'collection {collection.name!r} does not say which model made '
            'its vectors; give embedder=, or a vector to Collection.search'
        )
        raise ModelError(msg)
    try:
        embedder = get_embedder(embedder)
    except ModelError as exc:
        if embedder is not name:
            raise
        # A directory is known by the name of its model only.
        msg = (
            f'collection {collection.name!r} was made by model {name!r}, '
            f'which cannot be loaded by that name ({exc}); give embedder='
        )
        raise ModelError(msg) from exc
    if collection.fingerprint is None:
        if embedder.dim == collection.dim:
            return embedder
    elif embedder.fingerprint == collection.fingerprint:
        if not images or embedder.rendering == collection.rendering:
            return embedder
        msg = (
            f'images of collection {collection.name!r} were rendered as '
            f'{collection.rendering}, model {embedder.name} renders them as '
            f'{embedder.rendering}; index the images again'
        )
        raise ModelError(msg)
    msg = (
        f'collection {collection.name!r} was made by model '
        f'{name or "unknown"} ({str(collection.fingerprint)[:15]}), not by '
        f'{embedder.name} ({embedder.fingerprint[:15]}); give the model '
        'that made it, or index the images again'
    )
    raise ModelError(msg)
