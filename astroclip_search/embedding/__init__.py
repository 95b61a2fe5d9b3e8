# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Models that turn pictures and texts into vectors of one space."""

from astroclip_search.embedding._embedder import Embedded, Embedder

__all__ = ['Embedded', 'Embedder']
