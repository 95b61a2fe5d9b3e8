# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Ablation: base, head only, full, shuffled captions, plain loss.

    python benchmarks/ablation.py PAIRS PARENT WORK --steps 300 --full 60

PAIRS is a folder with ``pairs.jsonl`` and images, PARENT a bundle of towers
that have not seen them, WORK a scratch directory. All runs have the same
split, seed, batch and number of steps, but for ``full``, which costs a
hundred times more a step and has a budget of its own. Frozen towers see each
image in a few views, whose features are kept.
"""

import argparse
import json
import random
import shutil
import warnings
from pathlib import Path

from astroclip_search.exceptions import AstroClipWarning
from astroclip_search.training import (
    Pairs,
    TrainingConfig,
    build_pairs,
    evaluate,
    fine_tune,
)

KINDS = ('caption', 'description', 'title')


def read(folder):
    """Rows that are no copies."""
    rows = map(json.loads, (folder / 'pairs.jsonl').open(encoding='utf-8'))
    return [row for row in rows if 'duplicate_of' not in row]


def build(rows, folder, root):
    """A set of pairs, made once."""
    if (folder / 'pairs.json').exists():
        return Pairs(folder)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', AstroClipWarning)
        return build_pairs(
            rows, folder, root=root, captions=KINDS,
            config=TrainingConfig(validation=0.1, test=0.2),
        )  # fmt: skip


def shuffled(rows, pairs):
    """The same rows and parts, the captions of training dealt out anew."""
    part = {pairs[i]['id']: pairs[i]['part'] for i in range(len(pairs))}
    rows = [{**row, 'part': part[row['id']]} for row in rows]
    train = [row for row in rows if row['part'] == 'train']
    texts = [{kind: row.get(kind) for kind in KINDS} for row in train]
    random.Random(0).shuffle(texts)
    for row, text in zip(train, texts, strict=True):
        row.update(text)
    return rows


def line(name, found):
    both = found['retrieval']['top_10_percent']
    cells = [
        f'{v["value"]:.3f} [{v["low"]:.3f}, {v["high"]:.3f}]'
        for v in both.values()
    ]
    print(f'| {name} | {" | ".join(cells)} |', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('pairs', type=Path)
    parser.add_argument('parent', type=Path)
    parser.add_argument('work', type=Path)
    parser.add_argument('--steps', type=int, default=300)
    parser.add_argument('--full', type=int, default=0, help='steps of full')
    parser.add_argument('--views', type=int, default=2)
    parser.add_argument('--every', type=int, default=1, help='thin the rows')
    args = parser.parse_args()
    rows = read(args.pairs)[:: args.every]
    pairs = build(rows, args.work / 'pairs', args.pairs)
    null = build(shuffled(rows, pairs), args.work / 'null', args.pairs)
    head = TrainingConfig(
        model=str(args.parent), method='head', views=args.views,
        batch_size=256, steps=args.steps, learning_rate=1e-3,
        warmup=args.steps // 10, evaluate_every=max(1, args.steps // 6),
        weight_decay=0.1, images_per_caption=8, average=0.99,
    )  # fmt: skip
    runs = {
        'head only': (pairs, head),
        'head only, plain loss': (pairs, head.replace(positives='pair')),
        'head only, shuffled captions': (null, head),
    }
    if args.full:
        full = head.replace(
            method='full', views=None, steps=args.full, learning_rate=3e-4,
            batch_size=64, accumulate=4, warmup=args.full // 10,
            evaluate_every=args.full,
        )  # fmt: skip
        runs['full'] = (pairs, full)
    print('| | image to text | text to image |\n|---|---|---|', flush=True)
    found = evaluate(args.parent, pairs, kind='caption')
    line('base', found)
    first = None
    for name, (data, config) in runs.items():
        folder = args.work / name.replace(' ', '-').replace(',', '')
        if first is not None and config.views:
            # Features of the same towers; the null test has other texts.
            for file in (first / 'features').glob('*-image.npy'):
                (folder / 'features').mkdir(parents=True, exist_ok=True)
                shutil.copy(file, folder / 'features')
        result = fine_tune(
            data, output=folder, config=config,
            resume=(folder / 'run.json').exists(), device='cpu',
        )  # fmt: skip
        first = folder if first is None else first
        line(name, evaluate(result.path, pairs, kind='caption'))


if __name__ == '__main__':
    main()
