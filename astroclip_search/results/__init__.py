# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Tables that searches and descriptions return, their exports and plots."""

from astroclip_search.results._description import Description
from astroclip_search.results._search_result import SearchResult

__all__ = ['Description', 'SearchResult']
