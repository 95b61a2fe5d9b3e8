# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Collections beyond one machine: HATS catalogues, LSDB, Dask.

HATS is the format of the survey archives: Parquet files, each a cell of
HEALPix. LSDB reads it on a Dask cluster. Nothing of an engine is ours.
"""

from astroclip_search.scale._crossmatch import crossmatch
from astroclip_search.scale._embed import embed_catalog
from astroclip_search.scale._read import from_hats
from astroclip_search.scale._search import search_hats
from astroclip_search.scale._write import to_hats

__all__ = [
    'crossmatch',
    'embed_catalog',
    'from_hats',
    'search_hats',
    'to_hats',
]
