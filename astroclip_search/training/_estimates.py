# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Means with bootstrap intervals, and checks of the vectors they are of."""

import math
from dataclasses import dataclass

import numpy as np

from astroclip_search.exceptions import TrainingError

__all__ = ['Estimate', 'check_text_ids', 'estimate', 'unit_vectors']


@dataclass(frozen=True)
class Estimate:
    """
    A mean with its bootstrap interval.

    Attributes
    ----------
    value : float
        The mean; NaN where there is nothing to average.
    low, high : float
        Ends of the 95 % percentile interval over resampled groups.
    n : int
        Number of values.
    n_groups : int
        Number of groups that were resampled.
    """

    value: float
    low: float
    high: float
    n: int
    n_groups: int

    def __str__(self):
        return f'{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]'


def estimate(values, groups=None, *, resamples=1000, seed=0):
    """
    Mean of values, with a bootstrap interval over groups.

    Whole groups (proposals) are drawn with replacement, because the images
    of one proposal are not independent (Efron & Tibshirani 1993, section
    8.3; percentile interval of section 13.3).

    Parameters
    ----------
    values : (n,) array_like of float
        The values.
    groups : (n,) array_like, optional
        Group of each value. By default each value is its own group.
    resamples : int, optional
        Number of resamples.
    seed : int, optional
        Seed of the draws.

    Returns
    -------
    result : `Estimate`
        Mean and 95 % interval.
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, 0, 0)
    if groups is None:
        groups = np.arange(len(values))
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.bincount(index).astype(np.float64)
    sums = np.bincount(index, weights=values)
    rng = np.random.default_rng(seed)
    n = len(counts)
    means = np.empty(resamples)
    for i in range(resamples):
        drawn = rng.integers(n, size=n)
        means[i] = sums[drawn].sum() / counts[drawn].sum()
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(
        float(values.mean()), float(low), float(high), len(values), n
    )


def unit_vectors(vectors, name):
    """Check vectors and bring them to unit length, in float32."""
    array = np.asarray(vectors, dtype=np.float32)
    if array.ndim != 2 or not len(array):
        msg = (
            f'{name} has the shape {array.shape}; it must be (n, d) with at '
            'least one row.'
        )
        raise TrainingError(msg)
    norm = np.linalg.norm(array, axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(norm[:, 0]) | (norm[:, 0] == 0))
    if len(bad):
        msg = (
            f'{len(bad)} of {len(array)} rows of {name} are not finite or '
            f'have no length (first: row {bad[0]}), so they cannot be '
            'ranked. Embed them again.'
        )
        raise TrainingError(msg)
    return array / norm


def check_text_ids(image_text_ids, n_images, n_texts):
    ids = np.asarray(image_text_ids)
    if ids.shape != (n_images,) or ids.dtype.kind not in 'iu':
        msg = (
            f'image_text_ids is {ids.dtype} of the shape {ids.shape}; it must '
            f'give the row of the caption of each of the {n_images} images.'
        )
        raise TrainingError(msg)
    if ids.min() < 0 or ids.max() >= n_texts:
        msg = (
            f'image_text_ids runs from {ids.min()} to {ids.max()}, but there '
            f'are {n_texts} captions.'
        )
        raise TrainingError(msg)
    missing = np.setdiff1d(np.arange(n_texts), ids)
    if len(missing):
        msg = (
            f'{len(missing)} of {n_texts} captions have no image (first: row '
            f'{missing[0]}); leave them out.'
        )
        raise TrainingError(msg)
    return ids
