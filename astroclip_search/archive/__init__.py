# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Archives: the query service, previews, sky images and downloads."""

from astroclip_search.archive._download import DownloadReport, download

__all__ = ['DownloadReport', 'download']
