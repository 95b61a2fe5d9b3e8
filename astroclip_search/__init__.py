# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Search astronomical images with plain language, and describe them.

astroclip_search brings PAPERCLIP (Mishra-Sharma, Song & Thaler 2024,
arXiv:2403.08851) to working astronomers: pictures of the sky and plain
language share one embedding space.

Everything here is loaded when it is first used, so that importing the
package costs no more than importing the parts of Astropy it is built on.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version('astroclip-search')
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = 'unknown'

__citation__ = (
    'Mishra-Sharma S., Song Y., Thaler J. 2024, "PAPERCLIP: Associating '
    'Astronomical Observations and Natural Language with Multi-Modal '
    'Models", COLM 2024, arXiv:2403.08851'
)

_LAZY = {
    'AstroClipSearch': 'astroclip_search.archive',
    'Collection': 'astroclip_search.collections',
    'Embedder': 'astroclip_search.embedding',
    'conf': 'astroclip_search.config',
    'describe': 'astroclip_search._describe',
    'search': 'astroclip_search._search',
}

__all__ = [
    'AstroClipSearch',
    'Collection',
    'Embedder',
    '__citation__',
    '__version__',
    'conf',
    'describe',
    'search',
]


def __getattr__(name):
    try:
        module = _LAZY[name]
    except KeyError:
        msg = f'module {__name__!r} has no attribute {name!r}'
        raise AttributeError(msg) from None
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_LAZY})
