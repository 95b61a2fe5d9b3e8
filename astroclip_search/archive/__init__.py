# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Archives: the query service, previews, sky images and downloads."""

from astroclip_search.archive._download import DownloadReport, download
from astroclip_search.archive._mapping import to_obscore
from astroclip_search.archive._mast import mast_observations, mast_previews
from astroclip_search.archive._sky import sky_image

__all__ = [
    'DownloadReport',
    'download',
    'mast_observations',
    'mast_previews',
    'sky_image',
    'to_obscore',
]
