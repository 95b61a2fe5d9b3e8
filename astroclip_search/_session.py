# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
What a process keeps between calls: models, collections, vectors of texts.

A second search in the same process finds everything loaded.
"""

import os
from collections import OrderedDict
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np

from astroclip_search.config import conf

__all__ = ['get_collection', 'get_embedder', 'text_vectors', 'version']

_embedders = {}
_collections = OrderedDict()
_texts = WeakKeyDictionary()

# Collections are memory-mapped: a few of them cost addresses, not memory.
_MOST_COLLECTIONS = 8
_MOST_TEXTS = 4096


def get_embedder(embedder=None):
    """
    Get a model, loaded at most once.

    Parameters
    ----------
    embedder : `~astroclip_search.Embedder`, str or path-like, optional
        A model or its name. The default is ``conf.model``.

    Returns
    -------
    embedder : `~astroclip_search.Embedder`
        The model.
    """
    if embedder is not None and not isinstance(embedder, str | os.PathLike):
        return embedder
    name = str(conf.model if embedder is None else embedder)
    key = (name, conf.backend, conf.device, conf.precision)
    if key not in _embedders:
        from astroclip_search.embedding import Embedder

        _embedders[key] = Embedder.from_pretrained(name)
    return _embedders[key]


def get_collection(collection=None):
    """
    Get a collection, opened again only when its files changed.

    Parameters
    ----------
    collection : `~astroclip_search.Collection`, str or path-like, optional
        A collection, its directory or its name. The default is
        ``conf.collection``.

    Returns
    -------
    collection : `~astroclip_search.Collection`
        The collection.
    """
    if collection is not None and not isinstance(
        collection, str | os.PathLike
    ):
        return collection
    name = str(conf.collection if collection is None else collection)
    key = (name, conf.collection_path, Path.cwd())
    if key in _collections:
        found, state = _collections[key]
        if version(found) == state:
            return found
    from astroclip_search.collections import Collection

    found = Collection.open(name)
    _collections[key] = (found, version(found))
    _collections.move_to_end(key)
    if len(_collections) > _MOST_COLLECTIONS:
        _collections.popitem(last=False)
    return found


def version(collection):
    """
    Tell one state of a collection on disk from the next.

    Parameters
    ----------
    collection : `~astroclip_search.Collection`
        The collection.

    Returns
    -------
    version : tuple or None
        Equal for equal states; None if it has no files.
    """
    try:
        stat = (Path(collection.path) / 'manifest.json').stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def text_vectors(embedder, texts):
    """
    Embed texts, each at most once.

    Parameters
    ----------
    embedder : `~astroclip_search.Embedder`
        The model.
    texts : list of str
        Texts.

    Returns
    -------
    vectors : (n, d) `~numpy.ndarray`, float32
        Unit vectors.
    """
    known = _texts.setdefault(embedder, {})
    new = [text for text in dict.fromkeys(texts) if text not in known]
    if new:
        if len(known) + len(new) > _MOST_TEXTS:
            known.clear()
            new = list(dict.fromkeys(texts))
        known.update(
            zip(new, embedder.embed_text(new, progress=False), strict=True)
        )
    return np.stack([known[text] for text in texts])
