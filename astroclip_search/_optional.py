# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Import of optional dependencies where they are used."""

import importlib

from astroclip_search.exceptions import MissingDependencyError

__all__ = []


def require(module, *, extra, purpose):
    """
    Import an optional dependency, or say how to get it.

    Parameters
    ----------
    module : str
        The module to import, for example ``'matplotlib.pyplot'``.
    extra : str
        The extra of this package that installs it.
    purpose : str
        What it is needed for, as the object of "is needed to".

    Returns
    -------
    module : module
        The imported module.

    Raises
    ------
    MissingDependencyError
        If the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        name = module.partition('.')[0]
        msg = (
            f'{name} is needed to {purpose}, but it cannot be imported '
            f'({exc}). Install it with: '
            f'pip install "astroclip-search[{extra}]"'
        )
        raise MissingDependencyError(msg) from exc
