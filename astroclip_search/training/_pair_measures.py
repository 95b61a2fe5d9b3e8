# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Measures of pairs: their loss, and how similar they are."""

import numpy as np
from scipy.special import logsumexp

from astroclip_search.exceptions import TrainingError
from astroclip_search.training._estimates import check_text_ids, unit_vectors

__all__ = ['contrastive_loss', 'pair_similarities']


def contrastive_loss(
    image_vectors,
    text_vectors,
    image_text_ids,
    logit_scale,
    *,
    batch_size=100,
    seed=0,
):
    """
    Mean symmetric InfoNCE loss in batches, all images of a caption positive.

    Parameters
    ----------
    image_vectors, text_vectors, image_text_ids
        As for `rank_positives`.
    logit_scale : float
        Factor of the cosines (``exp`` of what the model learned).
    batch_size : int, optional
        Pairs in a batch; the paper validates with 100, where chance is
        ln 100 = 4.605. A last batch that is not full is left out, unless it
        is the only one.
    seed : int, optional
        Seed of the shuffle into batches.

    Returns
    -------
    loss : float
        Mean over the batches, in nats.
    """
    images = unit_vectors(image_vectors, 'image_vectors')
    texts = unit_vectors(text_vectors, 'text_vectors')
    ids = check_text_ids(image_text_ids, len(images), len(texts))
    order = np.random.default_rng(seed).permutation(len(ids))
    full = len(order) // batch_size * batch_size or len(order)
    losses = []
    for start in range(0, full, batch_size):
        rows = order[start : start + batch_size]
        logits = logit_scale * images[rows].astype(np.float64)
        logits = logits @ texts[ids[rows]].T
        right = ids[rows, None] == ids[rows]
        target = right / right.sum(axis=1)
        for axis in (0, 1):
            log_p = logits - logsumexp(logits, axis=axis, keepdims=True)
            losses.append(-(target * log_p).sum() / len(rows))
    return float(np.mean(losses))


def pair_similarities(image_vectors, text_vectors, image_text_ids, *, seed=0):
    """
    Cosines of the true pairs and of shuffled ones.

    Parameters
    ----------
    image_vectors, text_vectors, image_text_ids
        As for `rank_positives`, with two captions or more.
    seed : int, optional
        Seed of the shuffle.

    Returns
    -------
    true, shuffled : (n,) `~numpy.ndarray` of float
        Cosine of each image with its own caption, and with another one
        drawn at random.
    """
    images = unit_vectors(image_vectors, 'image_vectors')
    texts = unit_vectors(text_vectors, 'text_vectors')
    ids = check_text_ids(image_text_ids, len(images), len(texts))
    if len(texts) < 2:
        msg = 'There is one caption only; shuffling takes two or more.'
        raise TrainingError(msg)
    rng = np.random.default_rng(seed)
    shift = rng.integers(1, len(texts), size=len(ids))
    others = (ids + shift) % len(texts)
    return tuple(
        np.einsum('nd,nd->n', images, texts[rows]) for rows in (ids, others)
    )
