# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Division of pairs into training, validation and test parts.

The paper divides by proposal only; an object observed by two proposals then
lies on both sides. Here rows of one proposal, and rows close to each other on
the sky, always stay together.
"""

import hashlib
import warnings

import astropy.units as u
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from astroclip_search.exceptions import AstroClipWarning, TrainingError

__all__ = ['PARTS', 'find_groups', 'split_groups']

PARTS = ('train', 'validation', 'test')


def _label_links(labels):
    """Links from each row to the first row with the same label."""
    first = {}
    links = []
    for row, label in enumerate(labels):
        if label is None or label is np.ma.masked or label == '':
            continue
        links.append((row, first.setdefault(label, row)))
    return links


def _sky_links(coordinates, radius):
    """Pairs of rows that are no further apart than the radius."""
    if not isinstance(radius, u.Quantity) or not radius.unit.is_equivalent(
        u.rad
    ):
        msg = f'radius={radius!r} is no angle; give one, as 3 * u.arcmin.'
        raise TrainingError(msg)
    xyz = coordinates.icrs.cartesian.get_xyz().value.T
    known = np.flatnonzero(np.isfinite(xyz).all(axis=1))
    chord = 2 * np.sin(radius.to_value(u.rad) / 2)
    tree = cKDTree(xyz[known])
    return known[tree.query_pairs(chord, output_type='ndarray')]


def find_groups(proposals, *, coordinates=None, radius=3 * u.arcmin, also=()):
    """
    Join rows that must not be divided.

    Two rows belong together if they have the same proposal, or any same
    label of ``also``, or lie within the radius of each other; and so on from
    row to row (friends of friends).

    Parameters
    ----------
    proposals : (n,) sequence of str or None
        Proposal of each row, None where there is none.
    coordinates : (n,) `~astropy.coordinates.SkyCoord`, optional
        Positions; NaN where unknown. Without them, the sky is ignored, as in
        the paper.
    radius : `~astropy.units.Quantity`, optional
        Angle up to which two positions show the same patch of sky. The
        default is about the field of HST's ACS/WFC.
    also : sequence of (n,) sequences, optional
        More labels that join rows: objects, captions...

    Returns
    -------
    groups : (n,) `~numpy.ndarray` of int
        Number of the group of each row, from 0, in order of appearance.

    Raises
    ------
    TrainingError
        If the lengths differ or the radius is no angle.
    """
    n = len(proposals)
    for labels in (*also, *([] if coordinates is None else [coordinates])):
        if len(labels) != n:
            msg = (
                f'There are {n} proposals, but {len(labels)} labels or '
                'positions; each row needs one (None or NaN if unknown).'
            )
            raise TrainingError(msg)
    links = [
        np.array(_label_links(labels), dtype=np.intp).reshape(-1, 2)
        for labels in (proposals, *also)
    ]
    if coordinates is not None and n:
        links.append(_sky_links(coordinates, radius))
    i, j = np.concatenate(links).T
    graph = coo_matrix((np.ones(len(i), dtype=bool), (i, j)), shape=(n, n))
    _, groups = connected_components(graph, directed=False)
    _, first, inverse = np.unique(
        groups, return_index=True, return_inverse=True
    )
    return np.argsort(np.argsort(first))[inverse]


def split_groups(groups, *, keys=None, validation=0.1, test=0.1, seed=0):
    """
    Deal whole groups into training, validation and test parts.

    The groups are put in an order that depends on the seed and on their keys
    alone, so the order of the rows does not matter; then the test part and
    the validation part are filled up to their shares of the rows. A group
    that is too large for what is left of a part is passed over.

    Parameters
    ----------
    groups : (n,) array_like
        Group of each row, as of `find_groups`.
    keys : (n,) sequence of str, optional
        Lasting identifiers of the rows; a group is known by the smallest of
        its own. The default is the group itself.
    validation, test : float, optional
        Shares of the rows. The paper has about 0.1 and 0.
    seed : int, optional
        Seed of the order.

    Returns
    -------
    parts : (n,) `~numpy.ndarray` of str
        ``'train'``, ``'validation'`` or ``'test'`` for each row.

    Raises
    ------
    TrainingError
        If the shares leave nothing to train on, or a part that was asked for
        stays empty.

    Warns
    -----
    AstroClipWarning
        If one of more than ten groups holds over a fifth of the rows: the
        radius may have joined a whole survey.
    """
    groups = np.asarray(groups)
    if min(validation, test) < 0 or validation + test >= 1:
        msg = (
            f'validation={validation} and test={test} must not be negative, '
            'and must leave something to train on.'
        )
        raise TrainingError(msg)
    _, index, sizes = np.unique(
        groups, return_inverse=True, return_counts=True
    )
    if not len(sizes):
        msg = 'There are no rows to divide.'
        raise TrainingError(msg)
    if len(sizes) > 10 and sizes.max() > len(groups) / 5:
        warnings.warn(
            f'One group holds {sizes.max()} of {len(groups)} rows; a smaller '
            'radius may be better.',
            AstroClipWarning,
        )
    names = [str(key) for key in (groups if keys is None else keys)]
    smallest = {}
    for group, name in zip(index, names, strict=True):
        smallest[group] = min(name, smallest.get(group, name))
    order = sorted(
        smallest,
        key=lambda group: hashlib.sha256(
            f'{seed}/{smallest[group]}'.encode()
        ).digest(),
    )
    part = np.full(len(sizes), 'train', dtype='U10')
    left = dict(zip(PARTS[:0:-1], (test, validation), strict=True))
    for name, share in left.items():
        room = share * len(groups)
        for group in order:
            if part[group] == 'train' and sizes[group] <= room:
                part[group] = name
                room -= sizes[group]
    parts = part[index]
    for name, share in (('train', 1), *left.items()):
        if share and name not in parts:
            msg = (
                f'The {name} part is empty: {len(sizes)} groups of up to '
                f'{sizes.max()} rows are too few or too large for '
                f'validation={validation} and test={test}.'
            )
            raise TrainingError(msg)
    return parts
