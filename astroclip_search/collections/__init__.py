# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Collections on disk: rows, vectors, filters, ranking, calibration."""

from astroclip_search.collections.collection import Collection

__all__ = ['Collection']
