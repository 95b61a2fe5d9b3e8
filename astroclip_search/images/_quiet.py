# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Keep warnings of dependencies away from users."""

import threading
import warnings
from contextlib import contextmanager

__all__ = []

# `warnings.catch_warnings` swaps state of the whole process: two threads that
# interleave would leave the filters of one behind for good.
_LOCK = threading.RLock()


@contextmanager
def quiet():
    """
    Collect warnings instead of showing them.

    Yields
    ------
    caught : list of `warnings.WarningMessage`
        What was warned of.
    """
    with _LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        yield caught
