# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Measures of retrieval and classification, with their intervals.

Retrieval is scored with *all* images of a caption as right answers and with
every caption counted once. The paper (Mishra-Sharma, Song & Thaler 2024,
section 4) scores each pair by itself, so that the images of one proposal
stand in each other's way.

Ties count against the query: vectors that are all alike score as badly as
they deserve, and vectors that are not finite are refused.
"""

import math
from dataclasses import dataclass

import numpy as np

from astroclip_search.training._classification import (
    precision_at_k,
    zero_shot_accuracy,
)
from astroclip_search.training._estimates import (
    Estimate,
    check_text_ids,
    estimate,
    unit_vectors,
)
from astroclip_search.training._pair_measures import (
    contrastive_loss,
    pair_similarities,
)

__all__ = [
    'Estimate',
    'Retrieval',
    'contrastive_loss',
    'estimate',
    'pair_similarities',
    'percent_count',
    'precision_at_k',
    'rank_positives',
    'retrieval',
    'top_k_retrieval',
    'top_percent_retrieval',
    'zero_shot_accuracy',
]

_CHUNK = 1024  # rows of the similarity matrix that are held at once


@dataclass(frozen=True)
class Retrieval:
    """
    One measure of retrieval, both ways.

    Attributes
    ----------
    image_to_text : `Estimate`
        Mean over the images.
    text_to_image : `Estimate`
        Mean over the distinct captions.
    """

    image_to_text: Estimate
    text_to_image: Estimate

    def __str__(self):
        return (
            f'image to text {self.image_to_text}, '
            f'text to image {self.text_to_image}'
        )


def _best_ranks(queries, items, positive):
    """
    Rank of the best right item of each query.

    ``positive(rows)`` gives the right items of these queries, (k, n) bool.
    Wrong items that are as similar rank before it; the other right items are
    no competition.
    """
    ranks = np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(queries)))
        similarity = queries[rows] @ items.T
        right = positive(rows)
        best = np.where(right, similarity, -np.inf).max(axis=1)
        # Equal vectors may differ in the last bit after the product.
        wrong = (similarity >= best[:, None] - 1e-6) & ~right
        ranks[rows] = 1 + wrong.sum(axis=1)
    return ranks


def rank_positives(image_vectors, text_vectors, image_text_ids):
    """
    Rank of the best right answer of every image and of every caption.

    Parameters
    ----------
    image_vectors : (n, d) array_like of float
        Vectors of the images.
    text_vectors : (m, d) array_like of float
        Vectors of the distinct captions.
    image_text_ids : (n,) array_like of int
        Row of each image's caption; every caption has an image.

    Returns
    -------
    image_ranks : (n,) `~numpy.ndarray` of int
        Rank of the caption of each image among the m captions, from 1.
    text_ranks : (m,) `~numpy.ndarray` of int
        Rank of the best image of each caption among all images that are not
        its own, from 1.

    Raises
    ------
    TrainingError
        If a vector is not finite, or a caption is without an image.
    """
    images = unit_vectors(image_vectors, 'image_vectors')
    texts = unit_vectors(text_vectors, 'text_vectors')
    ids = check_text_ids(image_text_ids, len(images), len(texts))
    columns = np.arange(len(texts))
    image_ranks = _best_ranks(
        images, texts, lambda rows: ids[rows, None] == columns
    )
    text_ranks = _best_ranks(texts, images, lambda rows: rows[:, None] == ids)
    return image_ranks, text_ranks


def _first_of(ids, values, n):
    """Value of the first image of each caption."""
    _, first = np.unique(ids, return_index=True)
    return np.asarray(values)[first] if len(first) == n else None


def _both_ways(image_values, text_values, ids, groups, seed):
    if groups is None:
        image_groups = text_groups = None
    else:
        image_groups = np.asarray(groups)
        text_groups = _first_of(ids, image_groups, len(text_values))
    return Retrieval(
        estimate(image_values, image_groups, seed=seed),
        estimate(text_values, text_groups, seed=seed),
    )


def top_k_retrieval(
    image_vectors, text_vectors, image_text_ids, k=10, *, groups=None, seed=0
):
    """
    Share of queries with a right answer among the best k, both ways.

    Parameters
    ----------
    image_vectors, text_vectors, image_text_ids
        As for `rank_positives`.
    k : int, optional
        Number of answers that are looked at.
    groups : (n,) array_like, optional
        Group of each image, for the intervals; a caption belongs to the
        group of its first image.
    seed : int, optional
        Seed of the bootstrap.

    Returns
    -------
    result : `Retrieval`
        The shares, with intervals.
    """
    image_ranks, text_ranks = rank_positives(
        image_vectors, text_vectors, image_text_ids
    )
    return _both_ways(
        image_ranks <= k, text_ranks <= k, image_text_ids, groups, seed
    )


def percent_count(percent, n):
    """
    Number of answers among the best ``percent`` of n: 1 or more.

    Parameters
    ----------
    percent : float
        Percentage.
    n : int
        Number of answers there are.

    Returns
    -------
    k : int
        Number of them that count.
    """
    # 29 % of 100 is 28.999999999999996 in binary.
    return max(1, math.floor(percent * n / 100 + 1e-9))


def top_percent_retrieval(
    image_vectors,
    text_vectors,
    image_text_ids,
    percent=10,
    *,
    groups=None,
    seed=0,
):
    """
    Share of queries with a right answer in the best percentage, both ways.

    The measure of the paper (section 4; `PAPERCLIP <https://arxiv.org/abs/
    2403.08851>`_): image to text is the share of images whose caption ranks
    within the best ``floor(percent / 100 * m)`` of the m distinct captions;
    text to image is the share of captions one of whose images ranks within
    the best ``floor(percent / 100 * n)`` of the n images.

    Parameters
    ----------
    image_vectors, text_vectors, image_text_ids
        As for `rank_positives`.
    percent : float, optional
        The percentage.
    groups : (n,) array_like, optional
        Group of each image, for the intervals; a caption belongs to the
        group of its first image.
    seed : int, optional
        Seed of the bootstrap.

    Returns
    -------
    result : `Retrieval`
        The shares, with intervals.
    """
    image_ranks, text_ranks = rank_positives(
        image_vectors, text_vectors, image_text_ids
    )
    return _both_ways(
        image_ranks <= percent_count(percent, len(text_ranks)),
        text_ranks <= percent_count(percent, len(image_ranks)),
        image_text_ids,
        groups,
        seed,
    )


def _ndcg(queries, items, positive):
    """Normalised discounted cumulative gain of each query, binary gains."""
    values = np.empty(len(queries))
    discount = 1 / np.log2(np.arange(2, len(items) + 2))
    ideal = np.cumsum(discount)
    for start in range(0, len(queries), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(queries)))
        similarity = queries[rows] @ items.T
        right = positive(rows)
        # Among equals the wrong ones come first.
        order = np.lexsort((right, -similarity), axis=-1)
        gains = np.take_along_axis(right, order, axis=1) @ discount
        values[rows] = gains / ideal[right.sum(axis=1) - 1]
    return values


def retrieval(
    image_vectors, text_vectors, image_text_ids, *, groups=None, seed=0
):
    """
    All measures of retrieval at once, both ways.

    Parameters
    ----------
    image_vectors, text_vectors, image_text_ids
        As for `rank_positives`.
    groups : (n,) array_like, optional
        Group of each image, for the intervals.
    seed : int, optional
        Seed of the bootstrap.

    Returns
    -------
    result : dict of str to `Retrieval`
        ``top_1_percent``, ``top_5_percent``, ``top_10_percent``,
        ``top_20_percent``, ``top_1``, ``top_10``, ``mrr`` (mean reciprocal
        rank of the best right answer) and ``ndcg`` (over the whole ranking,
        gain 1 for each right answer; Järvelin & Kekäläinen 2002).
    """
    images = unit_vectors(image_vectors, 'image_vectors')
    texts = unit_vectors(text_vectors, 'text_vectors')
    ranks = rank_positives(images, texts, image_text_ids)
    ids = np.asarray(image_text_ids)
    n_other = (len(texts), len(images))
    columns = np.arange(len(texts))
    scores = {}
    for percent in (1, 5, 10, 20):
        scores[f'top_{percent}_percent'] = [
            rank <= percent_count(percent, n)
            for rank, n in zip(ranks, n_other, strict=True)
        ]
    for k in (1, 10):
        scores[f'top_{k}'] = [rank <= k for rank in ranks]
    scores['mrr'] = [1 / rank for rank in ranks]
    scores['ndcg'] = [
        _ndcg(images, texts, lambda rows: ids[rows, None] == columns),
        _ndcg(texts, images, lambda rows: rows[:, None] == ids),
    ]
    return {
        name: _both_ways(*values, ids, groups, seed)
        for name, values in scores.items()
    }
