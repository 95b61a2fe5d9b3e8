# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Groups and parts: what belongs together is never divided."""

import astropy.units as u
import numpy as np
import pytest
from _shared import read_jsonl, shared_data
from astropy.coordinates import SkyCoord

from astroclip_search.exceptions import AstroClipWarning, TrainingError
from astroclip_search.training.splits import find_groups, split_groups


def test_proposal_and_sky_join_from_row_to_row():
    # 0-1 by proposal, 1-2 by 2 arcmin on the sky, 2-3 by 2 arcmin more;
    # 4 is alone, 5 has no proposal and no position.
    sky = SkyCoord(
        [10, 200, 200, 200, 200, np.nan] * u.deg,
        [0, 0, 2 / 60, 4 / 60, 1, np.nan] * u.deg,
    )
    groups = find_groups(['a', 'a', 'b', 'c', 'd', None], coordinates=sky)
    assert groups.tolist() == [0, 0, 0, 0, 1, 2]


def test_radius_holds_across_the_pole_and_zero():
    sky = SkyCoord(
        [0, 180, 359.99, 0.01] * u.deg, [89.99, 89.99, 0, 0] * u.deg
    )
    none = [None] * 4
    near = find_groups(none, coordinates=sky, radius=1.3 * u.arcmin)
    assert near.tolist() == [0, 0, 1, 1]
    far = find_groups(none, coordinates=sky, radius=1.1 * u.arcmin)
    assert far.tolist() == [0, 1, 2, 3]


def test_labels_join_and_unknown_ones_do_not():
    groups = find_groups(
        [None, None, None], also=[['x', '', 'x'], ['', None, '']]
    )
    assert groups.tolist() == [0, 1, 0]


def test_bad_radius_and_lengths():
    with pytest.raises(TrainingError, match='is no angle'):
        find_groups(
            ['a'], coordinates=SkyCoord([1] * u.deg, [1] * u.deg), radius=3
        )
    with pytest.raises(TrainingError, match='There are 2 proposals, but 1'):
        find_groups(['a', 'b'], also=[['x']])


def test_parts_are_whole_groups_of_about_the_right_size():
    rng = np.random.default_rng(0)
    groups = rng.integers(400, size=4000)
    parts = split_groups(groups, validation=0.15, test=0.1, seed=1)
    for group in np.unique(groups):
        assert len(set(parts[groups == group])) == 1
    assert np.mean(parts == 'validation') == pytest.approx(0.15, abs=0.003)
    assert np.mean(parts == 'test') == pytest.approx(0.1, abs=0.003)


def test_order_of_rows_does_not_matter_but_the_seed_does():
    rng = np.random.default_rng(0)
    keys = np.array([f'row{i}' for i in range(300)])
    groups = rng.integers(100, size=300)
    parts = split_groups(groups, keys=keys)
    shuffle = rng.permutation(300)
    again = split_groups(groups[shuffle] + 7, keys=keys[shuffle])
    assert np.array_equal(again, parts[shuffle])
    assert not np.array_equal(split_groups(groups, keys=keys, seed=1), parts)


def test_empty_parts_are_errors():
    with pytest.raises(TrainingError, match='test part is empty'):
        split_groups([0, 1], validation=0.4, test=0.1)
    with pytest.raises(TrainingError, match='no rows'):
        split_groups([])
    with pytest.raises(TrainingError, match='something to train on'):
        split_groups([0, 1, 2], validation=0.5, test=0.5)


def test_giant_group_is_mentioned():
    groups = np.concatenate([np.zeros(40), np.arange(1, 61)])
    with pytest.warns(AstroClipWarning, match='40 of 100 rows'):
        parts = split_groups(groups)
    assert set(parts[:40]) == {'train'}


def test_real_pairs_do_not_leak():
    rows = read_jsonl(shared_data('pairs', 'pairs.jsonl'))
    sky = SkyCoord(
        [row.get('ra', np.nan) for row in rows] * u.deg,
        [row.get('dec', np.nan) for row in rows] * u.deg,
    )
    proposals = [row.get('proposal_id') for row in rows]
    groups = find_groups(
        proposals, coordinates=sky, also=[[r['split_group'] for r in rows]]
    )
    parts = split_groups(groups, keys=[row['id'] for row in rows])
    train, held = parts == 'train', parts != 'train'
    known = np.isfinite(sky.ra.deg)
    _, separation, _ = sky[held & known].match_to_catalog_sky(
        sky[train & known]
    )
    assert separation.min() > 3 * u.arcmin
    assert not {
        p for p, t in zip(proposals, train, strict=True) if t and p
    } & {p for p, t in zip(proposals, held, strict=True) if t and p}
