# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Features of frozen towers, computed once and kept on disk."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from astroclip_search._progress import progress_bar
from astroclip_search.config import conf
from astroclip_search.training._files import replacing

__all__ = ['tower_features']


def tower_features(learner, dataset, rows, views, tower, path, *, show=None):
    """
    Compute the features of a frozen tower, or map those computed before.

    Parameters
    ----------
    learner : `Learner`
        The model.
    dataset : `PairDataset`
        Gives the views.
    rows : `~numpy.ndarray` of int
        Rows that are needed.
    views : int
        Number of views of each.
    tower : {'image', 'text'}
        The tower.
    path : `~pathlib.Path`
        ``.npy`` file to write; one that is there is used as it is.
    show : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    features : (views, n, d) `~numpy.ndarray` of float32
        Mapped from the file; zero for rows that are not needed.
    """
    import torch

    if path.exists():
        return np.load(path, mmap_mode='r')
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (views, len(dataset.pairs), learner.model_dim)
    learner.module.eval()

    def one(item):
        number, row = item
        pair = dataset.pairs[row]
        if tower == 'image':
            return dataset.pixels(pair, number, row)
        return dataset.words(dataset.text(pair, number, row))

    items = [(number, row) for number in range(views) for row in rows]
    size = conf.batch_size
    with (
        replacing(path) as temporary,
        ThreadPoolExecutor(conf.workers or os.cpu_count()) as pool,
        progress_bar(
            total=len(items), show=show, desc=f'{tower} features'
        ) as bar,
        torch.no_grad(),
    ):
        out = np.lib.format.open_memmap(
            temporary, mode='w+', dtype=np.float32, shape=shape
        )
        for start in range(0, len(items), size):
            some = items[start : start + size]
            made = list(pool.map(one, some))
            if tower == 'image':
                pixels = torch.from_numpy(np.stack(made))
                features = learner.image_features(pixels)
            else:
                words = torch.from_numpy(dataset.tokenizer.pad(made))
                features = learner.text_features(words)
            number, row = np.transpose(some)
            out[number, row] = features.float().cpu().numpy()
            bar.update(len(some))
        out.flush()
        del out
    return np.load(path, mmap_mode='r')
