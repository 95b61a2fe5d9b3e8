# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Description of an image by the classes of a vocabulary."""

import warnings
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np

from astroclip_search._background import (
    Background,
    background_texts,
    text_store,
)
from astroclip_search._query import check_limit, check_size, parse_query
from astroclip_search._session import (
    get_collection,
    get_embedder,
    text_vectors,
    version,
)
from astroclip_search._vectors import read_images
from astroclip_search.exceptions import (
    AstroClipWarning,
    CollectionError,
    ModelError,
    QueryError,
)
from astroclip_search.vocabularies import get_vocabulary

__all__ = ['describe']

_backgrounds = WeakKeyDictionary()


def describe(
    image,
    *,
    vocabulary=None,
    templates=None,
    size=None,
    survey=None,
    limit=None,
    embedder=None,
    background=None,
):
    """
    Describe an image by the classes of a vocabulary.

    Parameters
    ----------
    image : object or `~astropy.coordinates.SkyCoord`
        Anything that `~astroclip_search.images.read_image` takes, or a
        position: a picture of that place is fetched, ``size`` wide.
    vocabulary : str, path-like, sequence of str or Vocabulary, optional
        Classes, their file, or the name of a shipped vocabulary. The default
        is ``'paperclip'``, the classes of Mishra-Sharma, Song & Thaler 2024.
    templates : sequence of str, optional
        Sentences in which ``{}`` stands for the class; their vectors are
        averaged. The default is those of the vocabulary.
    size : `~astropy.units.Quantity`, optional
        Width of the picture where a position is given, an angle.
    survey : str, optional
        Where that picture comes from; the default is ``conf.hips_survey``.
    limit : int, optional
        Most classes to return; the default is all of them.
    embedder : `~astroclip_search.Embedder`, str or path-like, optional
        The model; the default is ``conf.model``.
    background : `~astroclip_search.Collection`, str or path-like, optional
        Images against which texts are calibrated. The default is the
        collection that comes with the package, where the model is its.

    Returns
    -------
    description : `~astroclip_search.results.Description`
        The classes, the best first, with a null row where chance begins.

    Raises
    ------
    ImageError
        If the image cannot be used.
    QueryError
        If the vocabulary, or what stands for the image, cannot be used.
    ModelError
        If the background was made by another model.

    Warns
    -----
    AstroClipWarning
        If there is no background of images for this model.

    Notes
    -----
    The ``false_match_rate`` of a class is the share of background texts
    (titles of observing programmes) that match the image at least as well,
    each cosine being measured in standard deviations above its mean over
    the background images; ``score`` is 1 minus that. Among k classes that
    have nothing to do with the image, k times the rate of them are expected
    to be at least as good: the E-value of sequence searches (Karlin &
    Altschul 1990, PNAS 87, 2264). The null row stands where it reaches 1,
    the rate 1 / k; if even the best class comes after it, ``none_of_these``
    is True.

    PAPERCLIP ranks by the cosine itself, without null row or calibration.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclip_search import describe
    >>> y, x = np.mgrid[:256, :256] - 128.
    >>> description = describe(np.exp(-np.hypot(x, y) / 20), limit=3)
    >>> description.colnames[:3]
    ['rank', 'label', 'similarity']
    """
    check_limit(limit)
    vocabulary = get_vocabulary(vocabulary, templates=templates)
    terms = _image_term(image)
    check_size(terms, size)
    pictures, origin = read_images(terms, size=size, survey=survey)
    embedder = get_embedder(embedder)
    background = _background(embedder, background)
    vectors = embedder.embed_images(pictures, progress=False)
    return describe_vector(
        vectors[0],
        embedder=embedder,
        vocabulary=vocabulary,
        background=background,
        limit=limit,
        meta=origin | {'query': str(terms[0])},
    )


def describe_vector(
    vector, *, embedder, vocabulary, background, limit=None, meta=None
):
    """
    Describe the vector of an image.

    Parameters
    ----------
    vector : (d,) `~numpy.ndarray`, float32
        Unit vector.
    embedder : `~astroclip_search.Embedder`
        The model that made it.
    vocabulary : Vocabulary
        The classes.
    background : Background
        What they are calibrated against.
    limit : int, optional
        Most classes to return.
    meta : dict, optional
        Provenance of the image.

    Returns
    -------
    description : `~astroclip_search.results.Description`
        The classes, the best first.
    """
    from astroclip_search.results import Description

    classes = class_vectors(vocabulary, embedder)
    rate = background.false_match_rate(classes, vector)
    null_rate = 1 / len(vocabulary)
    keep = np.argsort(rate, kind='stable')[:limit]
    return Description.from_scores(
        [vocabulary.labels[i] for i in keep],
        similarity=(classes @ vector)[keep],
        false_match_rate=rate[keep],
        none_of_these=bool(rate.min() >= null_rate),
        null_rate=null_rate,
        meta={
            'vocabulary': vocabulary.name,
            'templates': list(vocabulary.templates),
            'n_classes': len(vocabulary),
            'model': embedder.name,
            'fingerprint': embedder.fingerprint,
            'background': background.name,
            'n_background_images': background.n_images,
            'n_background_texts': background.n_texts,
            **(meta or {}),
        },
    )


def class_vectors(vocabulary, embedder):
    """
    Vectors of the classes of a vocabulary.

    Parameters
    ----------
    vocabulary : Vocabulary
        The classes.
    embedder : `~astroclip_search.Embedder`
        The model.

    Returns
    -------
    vectors : (k, d) `~numpy.ndarray`, float32
        For each class the mean of the vectors of its texts, of unit length.
    """
    texts = [
        t for label in vocabulary.labels for t in vocabulary.prompts(label)
    ]
    vectors = text_vectors(embedder, texts)
    means = vectors.reshape(len(vocabulary), -1, embedder.dim).mean(1)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def _image_term(image):
    """What is to be described, as one term."""
    if type(image) is list or hasattr(image, 'colnames'):
        msg = 'describe takes one image; call it for each of several'
        raise QueryError(msg)
    if isinstance(image, str):
        image = Path(image)
    terms = parse_query(image)
    if terms[0].kind not in ('image', 'position'):
        msg = f'{image!r} is no image and no position'
        raise QueryError(msg)
    return terms


def _background(embedder, images):
    """Get the background of a model, made at most once."""
    collection = _images(embedder, images)
    key = collection and (str(collection.path), version(collection))
    known = _backgrounds.setdefault(embedder, {})
    if key not in known:
        texts = text_store(embedder, background_texts())
        if collection is None:
            known[key] = Background(None, texts, name='none')
        else:
            known[key] = Background(
                collection.vectors(), texts, name=collection.name
            )
    return known[key]


def _images(embedder, images):
    """Find the collection whose images are the background."""
    if images is not None:
        collection = get_collection(images)
        if collection.fingerprint == embedder.fingerprint:
            return collection
        msg = (
            f'background {collection.name!r} was made by another model than '
            f'{embedder.name}; give a collection of that model'
        )
        raise ModelError(msg)
    try:
        collection = get_collection('starter')
    except CollectionError:
        collection = None
    if collection is None or collection.fingerprint != embedder.fingerprint:
        msg = (
            f'there is no background of images for model {embedder.name}, so '
            'texts that are near every image come first; give background=, '
            'a collection of that model'
        )
        warnings.warn(msg, AstroClipWarning)
        return None
    return collection
