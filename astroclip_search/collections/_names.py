# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Where collections are found by name."""

import os
from pathlib import Path

from astroclip_search.collections._manifest import NAME
from astroclip_search.config import conf
from astroclip_search.exceptions import CollectionError

__all__ = []

_SHIPPED = Path(__file__).parents[1] / 'data' / 'collections'
SUFFIX = '.astroclip'


def find_collection(name):
    """
    Find a collection.

    Parameters
    ----------
    name : str or path-like
        A directory, or the name of a collection in the directories of
        ``conf.collection_path``, in the cache, or in the package. Also the
        address of one that is published, see
        `~astroclip_search.archive.fetch_collection`.

    Returns
    -------
    path : `~pathlib.Path`
        Its directory.

    Raises
    ------
    CollectionError
        If there is none.
    """
    if str(name).startswith(('http://', 'https://')):
        from astroclip_search.archive import fetch_collection

        return fetch_collection(name)
    path = Path(name).expanduser()
    if (path / NAME).is_file():
        return path
    if path.exists():
        msg = (
            f'{str(path)!r} is no collection (it has no {NAME}); make one '
            'with Collection.create, or with astroclip-search index'
        )
        raise CollectionError(msg)
    if path.name == str(name):
        for folder in _folders():
            for found in (folder / path.name, folder / f'{name}{SUFFIX}'):
                if (found / NAME).is_file():
                    return found
    known = sorted(
        found.parent.name.removesuffix(SUFFIX)
        for folder in _folders()
        for found in folder.glob(f'[!.]*/{NAME}')
    )
    msg = (
        f'there is no collection {str(name)!r}: it is no directory, and the '
        f'names that are known are {", ".join(known) or "none"}'
    )
    raise CollectionError(msg)


def _folders():
    from astropy.config.paths import get_cache_dir_path

    folders = [
        Path(name).expanduser()
        for name in conf.collection_path.split(os.pathsep)
        if name
    ]
    cache = get_cache_dir_path('astroclip_search') / 'collections'
    return [*folders, _SHIPPED, cache]
