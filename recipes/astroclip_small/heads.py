# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Projections over frozen towers: the start of the training, and the base line.

Run as ``python heads.py PAIRS WORK`` after ``prepare.py``. Writes
``WORK/heads.npz``.
"""

import sys
from pathlib import Path

import numpy as np
from parents import assemble
from scores import chosen_by, scores
from towers import make_image_top, make_text_top
from train import Pairs

__all__ = ['fit_heads', 'frozen_features', 'main']

EPOCHS = 12
BATCH = 128
SCALE = 12.0


def frozen_features(pairs):
    """Pooled features of all pictures and texts, by the parents alone."""
    import torch

    model = assemble()
    image, text = make_image_top(model).eval(), make_text_top(model).eval()
    order = np.argsort([len(h) for h in pairs.hidden])
    texts = torch.zeros(len(order), 384)
    with torch.inference_mode():
        images = torch.cat(
            [
                image.features(torch.tensor(pairs.clean[k : k + 64]).float())
                for k in range(0, len(pairs.rows), 64)
            ]
        )
        for k in range(0, len(order), 64):
            rows = order[k : k + 64]
            texts[rows] = text([pairs.hidden[i] for i in rows])
    return images.clone(), texts


def fit_heads(
    pairs, images, texts, rows, *, epochs=EPOCHS, plain=False,
    shuffled=False, captions=False, seed=0,
):  # fmt: skip
    """
    Train the two projections.

    Parameters
    ----------
    pairs : `~train.Pairs`
        The pairs.
    images, texts : `torch.Tensor`
        Features of `frozen_features`.
    rows : array of int
        Rows to train on.
    epochs : int, optional
        Passes over them.
    plain : bool, optional
        Only the pair itself is a positive, as in the paper.
    shuffled : bool, optional
        Give each picture the texts of another: the null test.
    captions : bool, optional
        Use the captions alone.
    seed : int, optional
        Seed.

    Returns
    -------
    heads : list of `torch.nn.Linear`
        For images and for texts.
    """
    import torch
    from torch.nn.functional import dropout, normalize

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    of = np.arange(len(pairs.rows))
    if shuffled:
        of[rows] = rng.permutation(rows)
    heads = [
        torch.nn.Linear(f.shape[1], 384, bias=False) for f in (images, texts)
    ]
    heads[1].weight.data = torch.eye(384)
    optimiser = torch.optim.AdamW(
        [p for h in heads for p in h.parameters()], weight_decay=0.05
    )
    steps = epochs * len(rows) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 1e-3, total_steps=steps + 1
    )
    chance = pairs.chances(rows)
    for _ in range(steps):
        batch = rng.choice(rows, BATCH, p=chance)
        told = of[batch]
        drawn = [[pairs.caption[i] for i in told]]
        if not captions:
            drawn.append([rng.choice(pairs.others[i]) for i in told])
        x = normalize(heads[0](dropout(images[batch], 0.3)))
        loss = 0
        for wanted in drawn:
            y = normalize(heads[1](dropout(texts[wanted], 0.1)))
            logits = SCALE * x @ y.T
            target = torch.eye(BATCH) if plain else torch.tensor(
                [[t in pairs.truth[i] for t in wanted] for i in told]
            ).float()  # fmt: skip
            for way in (0, 1):
                share = target / target.sum(way, keepdim=True)
                loss = loss - (share * logits.log_softmax(way)).sum() / BATCH
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return heads


def judge(pairs, images, texts, heads, part):
    """Measures of a part of the rows under two projections."""
    import torch
    from torch.nn.functional import normalize

    rows = np.flatnonzero(pairs.parts == part)
    with torch.inference_mode():
        x = normalize(heads[0](images[rows])).numpy()
        y = normalize(heads[1](texts)).numpy()
    return scores(
        [pairs.rows[i] for i in rows], x, lambda t: y[pairs.number[t]]
    )


def main(folder, work):
    """Train on the training rows, and write the projections."""
    pairs = Pairs(folder, work)
    images, texts = frozen_features(pairs)
    np.savez(Path(work) / 'frozen.npz', images=images, texts=texts)
    rows = np.flatnonzero(pairs.parts == 'train')
    heads = fit_heads(pairs, images, texts, rows)
    result = judge(pairs, images, texts, heads, 'validation')
    sys.stderr.write(f'choice on validation {chosen_by(result):.3f}\n')
    wi, wt = (head.weight.detach().numpy() for head in heads)
    np.savez(Path(work) / 'heads.npz', wi=wi, wt=wt)


if __name__ == '__main__':
    main(*sys.argv[1:3])
