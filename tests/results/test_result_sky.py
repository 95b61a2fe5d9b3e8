# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Footprints of results."""

import numpy as np
import pytest
from _rows import rows
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn

from astroclip_search.exceptions import QueryError
from astroclip_search.results import SearchResult
from astroclip_search.results._sky import shapes


@pytest.fixture
def with_footprints():
    table = rows()
    table['s_ra'][:2] = [10.0, 200.0]
    table['s_dec'][:2] = [20.0, -40.0]
    table['s_region'] = MaskedColumn(
        ['POLYGON ICRS 9.9 19.9 10.1 19.9 10.1 20.1 9.9 20.1']
        + ['CIRCLE 200 -40 0.5']
        + [''] * 3,
        mask=[False, False, True, True, True],
    )
    return SearchResult.from_rows(table)


def test_shapes_of_stcs():
    text = (
        'UNION ICRS (POLYGON J2000 1 2 3 4 5 6 CIRCLE ICRS 1e1 -2.5 0.1) '
        'POLYGON 1 2 3'
    )
    found = shapes(text)
    assert [kind for kind, _ in found] == ['POLYGON', 'CIRCLE']
    assert list(found[0][1]) == [1, 2, 3, 4, 5, 6]
    assert list(found[1][1]) == [10, -2.5, 0.1]


def test_moc_covers_the_footprints(with_footprints):
    moc = with_footprints.to_moc(max_depth=14)
    inside = SkyCoord([10.05, 200.3], [20.05, -40.0], unit='deg')
    outside = SkyCoord([10.15, 200.8], [20.0, -40.0], unit='deg')
    assert moc.contains_skycoords(inside).all()
    assert not moc.contains_skycoords(outside).any()
    # A square of 0.2 deg on the sky at this declination, a circle, and what
    # the other rows add (a circle of 0.05 deg, a cell): pi r^2 and so on.
    square = 0.2 * 0.2 * np.cos(np.radians(20))
    circles = np.pi * (0.5**2 + 2 * 0.025**2)
    area = moc.sky_fraction * 41252.96
    assert np.isclose(area, square + circles, rtol=0.03)


def test_moc_of_nothing():
    table = rows()
    table['s_ra'].mask = True
    assert SearchResult.from_rows(table).to_moc().empty()


def test_moc_depth_is_checked(with_footprints):
    with pytest.raises(QueryError, match='max_depth=30'):
        with_footprints.to_moc(max_depth=30)


def test_regions_round_trip_through_ds9(with_footprints, tmp_path):
    from regions import Regions

    regions = with_footprints.to_regions()
    assert [type(r).__name__ for r in regions] == [
        'PolygonSkyRegion',
        'CircleSkyRegion',
        'CircleSkyRegion',
        'CircleSkyRegion',
    ]
    path = tmp_path / 'rows.reg'
    regions.write(path, format='ds9')
    back = Regions.read(path, format='ds9')
    assert len(back) == 4
    assert back[1].radius.to(u.deg).value == pytest.approx(0.5)
    assert back[0].meta['text'] == 'M 101'


def test_a_label_cannot_leave_its_place(with_footprints):
    with_footprints['target_name'] = ['a}\ncircle(1,2,3) # {'] * 5
    text = with_footprints.to_regions().serialize(format='ds9')
    assert sum(line.startswith('circle') for line in text.splitlines()) == 3
