# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Lines of comparison: other ways to train on the same rows.

Run as ``python ablation.py PAIRS WORK`` after ``heads.py``. Writes
``WORK/ablation.json``, which ``build.py`` puts into the bundle.
"""

import json
import sys
from pathlib import Path

import numpy as np
from build import plain
from heads import fit_heads, judge
from train import Pairs

__all__ = ['ablation', 'main']


def ablation(pairs, stored, *, seed=0):
    """
    Lines of comparison over frozen towers, on the test rows.

    Parameters
    ----------
    pairs : `~train.Pairs`
        The pairs.
    stored : mapping
        ``images`` and ``texts`` of ``heads.frozen_features``.
    seed : int, optional
        Seed of all of them.

    Returns
    -------
    lines : dict of str to dict
        Measures of each variant.
    """
    import torch

    images, texts = (
        torch.from_numpy(stored[name]) for name in ('images', 'texts')
    )
    rows = np.flatnonzero(pairs.parts != 'test')
    variants = {
        'frozen towers, all true texts as positives': {},
        'frozen towers, plain positives': {'plain': True},
        'frozen towers, captions alone': {'captions': True},
        'frozen towers, captions alone, plain positives': {
            'captions': True,
            'plain': True,
        },
        'frozen towers, shuffled texts': {'shuffled': True},
        'no training (random image projection)': {'epochs': 0},
    }
    return {
        name: judge(
            pairs, images, texts,
            fit_heads(pairs, images, texts, rows, seed=seed, **settings),
            'test',
        )
        for name, settings in variants.items()
    }  # fmt: skip


def main(folder, work):
    """Train all variants, and write their measures on the test rows."""
    work = Path(work)
    lines = ablation(Pairs(folder, work), np.load(work / 'frozen.npz'))
    text = json.dumps({name: plain(line) for name, line in lines.items()})
    (work / 'ablation.json').write_text(text)


if __name__ == '__main__':
    main(*sys.argv[1:3])
