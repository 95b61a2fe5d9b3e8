# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Archives: the query service, previews, sky images and downloads.

Everything is loaded when it is first used, as in the package itself.
"""

import importlib

_LAZY = {
    'AstroClipSearch': '_service',
    'AstroClipSearchClass': '_service',
    'BuildReport': '_build',
    'DownloadReport': '_download',
    'collection_from_mast': '_build',
    'collection_from_table': '_build',
    'collection_from_vo': '_build',
    'download': '_download',
    'fetch_collection': '_published',
    'mast_observations': '_mast',
    'mast_previews': '_mast',
    'resolve_position': '_names',
    'sky_image': '_sky',
    'to_obscore': '_mapping',
}

__all__ = [
    'AstroClipSearch',
    'AstroClipSearchClass',
    'BuildReport',
    'DownloadReport',
    'collection_from_mast',
    'collection_from_table',
    'collection_from_vo',
    'download',
    'fetch_collection',
    'mast_observations',
    'mast_previews',
    'resolve_position',
    'sky_image',
    'to_obscore',
]


def __getattr__(name):
    try:
        module = _LAZY[name]
    except KeyError:
        msg = f'module {__name__!r} has no attribute {name!r}'
        raise AttributeError(msg) from None
    value = getattr(importlib.import_module(f'{__name__}.{module}'), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_LAZY})
