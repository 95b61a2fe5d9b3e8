# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""From proposals and previews to a trained and measured model."""

import importlib

_LAZY = {
    'Pairs': 'pairs',
    'TrainingConfig': 'config',
    'build_pairs': '_build_pairs',
    'fine_tune': '_fine_tune',
}

__all__ = ['Pairs', 'TrainingConfig', 'build_pairs', 'fine_tune']


def __getattr__(name):
    if name not in _LAZY:
        msg = f'module {__name__!r} has no attribute {name!r}'
        raise AttributeError(msg)
    module = importlib.import_module(f'{__name__}.{_LAZY[name]}')
    globals()[name] = getattr(module, name)
    return globals()[name]
