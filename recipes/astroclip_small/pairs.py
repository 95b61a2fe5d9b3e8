# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The pairs that astroclip-small is made from, and their division."""

import json
from pathlib import Path

import numpy as np

from astroclip_search.training.splits import split_groups

__all__ = ['HEADLINE_EXCLUDES', 'divide', 'headline', 'read_pairs']

# Sources that the headline measure leaves out; they have their own.
HEADLINE_EXCLUDES = (
    'galaxyzoo',
    'zooniverse_guides',
    'spacewarps_cfhtls',
    'lsst_epo',
    'gz_mergers',
)
# Of 60 seeds, the one whose parts have sources and classes most in proportion.
SEED = 53
LARGE = 0.02  # share of the rows from which a group is for training only


def read_pairs(folder):
    """
    Read the rows of a set of pairs, without the copies.

    Parameters
    ----------
    folder : path-like
        Directory with ``pairs.jsonl`` and ``images/``.

    Returns
    -------
    rows : list of dict
        One per picture.
    """
    with (Path(folder) / 'pairs.jsonl').open(encoding='utf-8') as file:
        rows = [json.loads(line) for line in file]
    return [row for row in rows if 'duplicate_of' not in row]


def divide(rows, *, validation=0.1, test=0.15, seed=SEED):
    """
    Divide rows by ``split_group``.

    The largest groups (fields joined over the sky, the M 31 survey) are kept
    for training: held out, one of them would be most of the test part.

    Parameters
    ----------
    rows : list of dict
        Rows of `read_pairs`.
    validation, test : float, optional
        Shares of the rows.
    seed : int, optional
        Seed of the draw.

    Returns
    -------
    parts : (n,) `~numpy.ndarray` of str
        ``'train'``, ``'validation'`` or ``'test'``.
    """
    groups = np.array([row['split_group'] for row in rows])
    _, index, sizes = np.unique(
        groups, return_inverse=True, return_counts=True
    )
    parts = np.full(len(rows), 'train', dtype='U10')
    small = sizes[index] <= LARGE * len(rows)
    parts[small] = split_groups(
        groups[small], validation=validation, test=test, seed=seed
    )
    return parts


def headline(rows):
    """Which rows the headline measure is about, (n,) bool."""
    return np.array([row['source'] not in HEADLINE_EXCLUDES for row in rows])
