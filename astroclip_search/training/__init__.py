# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""From proposals and previews to a trained and measured model."""

import importlib

_LAZY = {
    'Evaluation': '_evaluate',
    'Pairs': 'pairs',
    'TrainedModel': '_fine_tune',
    'TrainingConfig': 'config',
    'build_pairs': '_build_pairs',
    'evaluate': '_evaluate',
    'fetch_previews': 'previews',
    'fine_tune': '_fine_tune',
    'read_abstracts': 'abstracts',
    'summarize': 'summaries',
}

__all__ = [
    'Evaluation',
    'Pairs',
    'TrainedModel',
    'TrainingConfig',
    'build_pairs',
    'evaluate',
    'fetch_previews',
    'fine_tune',
    'read_abstracts',
    'summarize',
]


def __getattr__(name):
    if name not in _LAZY:
        msg = f'module {__name__!r} has no attribute {name!r}'
        raise AttributeError(msg)
    module = importlib.import_module(f'{__name__}.{_LAZY[name]}')
    globals()[name] = getattr(module, name)
    return globals()[name]


def __dir__():
    return sorted({*globals(), *_LAZY})
