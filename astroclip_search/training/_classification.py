# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Zero-shot classification and the precision of queries."""

import numpy as np

from astroclip_search.exceptions import TrainingError
from astroclip_search.training._estimates import Estimate, unit_vectors

__all__ = ['precision_at_k', 'zero_shot_accuracy']


def zero_shot_accuracy(
    image_vectors, class_vectors, labels, *, groups=None, minimum=5, seed=0
):
    """
    Zero-shot classification: the class whose text is the most similar.

    Parameters
    ----------
    image_vectors : (n, d) array_like of float
        Vectors of the images.
    class_vectors : (c, d) array_like of float
        Vectors of the names of the classes.
    labels : (n,) array_like of int
        Row of each image's class.
    groups : (n,) array_like, optional
        Group of each image, for the interval.
    minimum : int, optional
        Images that a class needs to count in the mean.
    seed : int, optional
        Seed of the bootstrap.

    Returns
    -------
    macro : `Estimate`
        Mean over the classes of the share of their images that are right.
    per_class : dict of int to float
        Share of each class that counts.
    skipped : list of int
        Classes with fewer than ``minimum`` images.
    """
    images = unit_vectors(image_vectors, 'image_vectors')
    classes = unit_vectors(class_vectors, 'class_vectors')
    labels = np.asarray(labels)
    right = (images @ classes.T).argmax(axis=1) == labels
    counts = np.bincount(labels, minlength=len(classes))
    kept = np.flatnonzero(counts >= minimum)
    skipped = np.flatnonzero((counts < minimum) & (counts > 0)).tolist()
    if not len(kept):
        msg = (
            f'No class has {minimum} images or more (the largest has '
            f'{counts.max()}); give more images or lower the minimum.'
        )
        raise TrainingError(msg)
    per_class = {int(c): float(right[labels == c].mean()) for c in kept}
    macro = np.mean(list(per_class.values()))
    rng = np.random.default_rng(seed)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    _, index = np.unique(groups, return_inverse=True)
    n = index.max() + 1
    hits, totals = (
        np.stack([
            np.bincount(index[labels == c], w[labels == c], minlength=n)
            for c in kept
        ])
        for w in (right.astype(float), np.ones(len(labels)))
    )  # fmt: skip
    means = []
    for _ in range(1000):
        drawn = np.bincount(rng.integers(n, size=n), minlength=n)
        total = totals @ drawn
        some = total > 0
        means.append(np.mean((hits @ drawn)[some] / total[some]))
    low, high = np.percentile(means, [2.5, 97.5])
    used = int(counts[kept].sum())
    macro = Estimate(float(macro), float(low), float(high), used, int(n))
    return macro, per_class, skipped


def precision_at_k(query_vectors, image_vectors, relevant, k=10):
    """
    Share of the best k images of each query that are relevant.

    Parameters
    ----------
    query_vectors : (q, d) array_like of float
        Vectors of the queries.
    image_vectors : (n, d) array_like of float
        Vectors of the images.
    relevant : (q, n) array_like of bool
        Which images are right answers.
    k : int, optional
        Number of images that are looked at; where a query has fewer right
        answers, that many.

    Returns
    -------
    precision : (q,) `~numpy.ndarray` of float
        NaN for a query without a right answer.
    """
    queries = unit_vectors(query_vectors, 'query_vectors')
    images = unit_vectors(image_vectors, 'image_vectors')
    relevant = np.asarray(relevant, dtype=bool)
    similarity = queries @ images.T
    if relevant.shape != similarity.shape:
        msg = (
            f'relevant has the shape {relevant.shape}; for these queries and '
            f'images it must be {similarity.shape}.'
        )
        raise TrainingError(msg)
    order = np.lexsort((relevant, -similarity), axis=-1)
    ranked = np.take_along_axis(relevant, order, axis=1)
    result = np.full(len(queries), np.nan)
    for row, total in enumerate(relevant.sum(axis=1)):
        if total:
            result[row] = ranked[row, : min(k, total)].mean()
    return result
