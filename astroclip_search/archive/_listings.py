# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""What there is: collections, models, vocabularies."""

import json
import os
from importlib.resources import files
from pathlib import Path

from astropy.config import get_cache_dir
from astropy.table import Table

from astroclip_search.archive._cache import PACKAGE
from astroclip_search.config import conf
from astroclip_search.exceptions import AstroClipError

__all__ = ['list_collections', 'list_models', 'list_vocabularies']


def list_collections():
    """
    List the collections that can be queried.

    They come with the package, lie in ``conf.collection_path``, or were
    fetched from an address.
    """
    from astroclip_search.collections import Collection

    folders = [Path(str(files('astroclip_search'))) / 'data' / 'collections']
    folders += [
        Path(name).expanduser()
        for name in conf.collection_path.split(os.pathsep)
        if name
    ]
    folders.append(Path(get_cache_dir(PACKAGE)) / 'collections')
    rows = []
    for folder in folders:
        for path in sorted(folder.glob('[!.]*/manifest.json')):
            try:
                collection = Collection.open(path.parent)
            except AstroClipError:
                continue  # being written, or damaged: not to be queried
            info = collection.info()
            rows.append(
                (
                    collection.name,
                    len(collection),
                    str(info.get('model') or ''),
                    str(path.parent),
                )
            )
    return _table(rows, {'name': str, 'rows': int, 'model': str, 'path': str})


def list_models():
    """List the models that come with the package."""
    from astroclip_search.embedding.bundles import (
        CONFIG,
        find_bundle,
        list_bundles,
    )

    rows = []
    for name in list_bundles():
        folder = find_bundle(name)
        info = json.loads((folder / 'astroclip.json').read_text('utf-8'))
        config = json.loads((folder / CONFIG).read_text('utf-8'))
        rows.append(
            (
                name,
                str(info.get('version', '')),
                config['model_cfg']['embed_dim'],
                str(info.get('licence', '')),
            )
        )
    kinds = {'name': str, 'version': str, 'dimensions': int, 'licence': str}
    return _table(rows, kinds)


def list_vocabularies():
    """List the vocabularies that come with the package."""
    from astroclip_search import vocabularies

    rows = []
    for name in vocabularies.list_vocabularies():
        vocabulary = vocabularies.get_vocabulary(name)
        rows.append((name, len(vocabulary), vocabulary.description))
    return _table(rows, {'name': str, 'classes': int, 'description': str})


def _table(rows, columns):
    values = list(zip(*rows, strict=True)) or [[] for _ in columns]
    return Table(values, names=list(columns), dtype=list(columns.values()))
