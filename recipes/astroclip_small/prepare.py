# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
First step: what the frozen lower parts of both towers make of the pairs.

Run as ``python prepare.py PAIRS WORK``. About ten minutes on two cores.
"""

import json
import sys
from pathlib import Path

import numpy as np
from pairs import divide, read_pairs
from parents import assemble, text_folder
from texts import CLASSES, texts_of, true_texts
from towers import lower_images, lower_texts
from views import batches

__all__ = ['prepare', 'views_of']

# Cutouts around one object, of sources that are drawn more often.
GENTLE = ('galaxyzoo', 'spacewarps_cfhtls', 'zooniverse_guides', 'gz_mergers')
VIEWS = {True: 10, False: 5}


def views_of(rows, *, seed=0):
    """
    Which altered views are made.

    Parameters
    ----------
    rows : list of dict
        Rows to train on.
    seed : int, optional
        Seed of the views.

    Returns
    -------
    index : (v,) `~numpy.ndarray` of int
        Row of each view.
    seeds : list of int
        Seed of each view.
    """
    index = np.concatenate(
        [
            np.full(VIEWS[row['source'] in GENTLE], i)
            for i, row in enumerate(rows)
        ]
    )
    seeds = np.random.default_rng(seed).integers(2**32, size=len(index))
    return index, seeds.tolist()


def _run(name, work, run, stream, n):
    done = 0
    out = None
    for pixels in stream:
        features = run(pixels)
        if out is None:
            out = np.lib.format.open_memmap(
                work / f'{name}.npy',
                'w+',
                np.float16,
                (n, *features.shape[1:]),
            )
        out[done : done + len(features)] = features
        done += len(features)
        if done % 1280 < len(features):
            sys.stderr.write(f'{name} {done}/{n}\n')
    out.flush()


def prepare(folder, work):
    """
    Write the features of pictures and texts.

    Parameters
    ----------
    folder : path-like
        Directory of the pairs.
    work : path-like
        Directory for ``clean.npy``, ``views.npy``, ``views.json`` and
        ``texts.npz``.
    """
    import tokenizers

    folder, work = Path(folder), Path(work)
    work.mkdir(parents=True, exist_ok=True)
    rows = read_pairs(folder)
    model = assemble()
    run = lower_images(model, work / 'lower.onnx')
    paths = [folder / row['file'] for row in rows]
    _run('clean', work, run, batches(paths), len(rows))

    train = np.flatnonzero(divide(rows) != 'test')
    index, seeds = views_of([rows[i] for i in train])
    index = train[index]
    (work / 'views.json').write_text(json.dumps(index.tolist()))
    stream = batches(
        [paths[i] for i in index],
        seeds=seeds,
        gentle=[rows[i]['source'] in GENTLE for i in index],
    )
    _run('views', work, run, stream, len(index))

    texts = sorted(
        set(CLASSES).union(
            *(true_texts(row) | set(texts_of(row)) for row in rows)
        )
    )
    tokenizer = tokenizers.Tokenizer.from_file(
        str(text_folder() / 'tokenizer.json')
    )
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)
    hidden = lower_texts(model, texts, tokenizer)
    np.savez(
        work / 'texts.npz',
        texts=np.array(texts),
        ends=np.cumsum([len(h) for h in hidden]),
        hidden=np.concatenate(hidden),
    )


if __name__ == '__main__':
    prepare(*sys.argv[1:3])
