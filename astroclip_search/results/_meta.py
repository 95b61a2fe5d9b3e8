# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Provenance that stands in every result."""

from datetime import UTC, datetime

__all__ = []


def provenance(meta=None):
    """
    Complete the provenance of a result with versions and date.

    Parameters
    ----------
    meta : dict, optional
        What is known: query, collection, model, rendering, counts.

    Returns
    -------
    meta : dict
        A new dictionary with ``date`` and ``versions`` added.
    """
    import astropy
    import numpy as np

    from astroclip_search import __version__

    return {
        **(meta or {}),
        'date': datetime.now(UTC).isoformat(timespec='seconds'),
        'versions': {
            'astroclip_search': __version__,
            'astropy': astropy.__version__,
            'numpy': np.__version__,
        },
    }
