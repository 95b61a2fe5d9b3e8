# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Filters against what they mean, row by row."""

import numpy as np
import pytest
from _make import DIM
from astropy import units as u
from astropy.coordinates import SkyCoord, angular_separation
from astropy.time import Time

from astroclip_search.collections import _filters
from astroclip_search.exceptions import QueryError


def found(collection, **filters):
    return set(collection.select(limit=100_000, **filters)['id'])


def places(collection):
    table = collection.table(['id', 's_ra', 's_dec'])
    ra = np.ma.filled(table['s_ra'].filled(np.nan).value, np.nan)
    dec = np.ma.filled(table['s_dec'].filled(np.nan).value, np.nan)
    return np.asarray(table['id']), np.radians(ra), np.radians(dec)


@pytest.mark.parametrize('small', [1, 10**9], ids=['healpix', 'all rows'])
def test_cones_are_those_of_brute_force(sky, monkeypatch, small):
    monkeypatch.setattr(_filters, '_SMALL', small)
    ids, ra, dec = places(sky)
    rng = np.random.default_rng(0)
    for k in range(60):
        lon = [0.0, 1e-9, 2 * np.pi - 1e-9, rng.uniform(0, 6.28)][k % 4]
        lat = [np.pi / 2, -np.pi / 2, 0.0, 1.0, -0.5][k % 5]
        radius = 10 ** rng.uniform(-2.5, 0.49)
        gap = angular_separation(lon, lat, ra, dec)
        sure = np.abs(gap - radius) > np.radians(1e-9)
        inside = found(
            sky,
            position=SkyCoord(lon * u.rad, lat * u.rad),
            radius=radius * u.rad,
        )
        expected = set(ids[gap <= radius])
        assert not (inside ^ expected) & set(ids[sure])


def test_cone_is_exact_at_small_and_large_radii():
    """Points a hundredth of a milliarcsecond inside and outside."""
    for radius in np.radians([1 / 3600, 1.0, 89.9, 90.1, 179.0]):
        step = np.radians(1e-5 / 3600)
        cone = _filters.Cone(1.0, 0.0, radius)
        lon = 1.0 + np.array([radius - step, radius + step])
        xyz = _filters.unit_vectors(lon, np.zeros(2))
        assert list(cone.contains(xyz)) == [True, False]


def test_rows_without_position_are_in_no_cone(sky):
    everywhere = found(
        sky, position=SkyCoord(0 * u.deg, 0 * u.deg), radius=180 * u.deg
    )
    assert len(everywhere) == 6750


def test_position_alone_orders_by_separation(sky):
    position = SkyCoord(83 * u.deg, -69 * u.deg)
    result = sky.select(position=position, limit=50)
    ids, ra, dec = places(sky)
    gap = angular_separation(position.ra.rad, position.dec.rad, ra, dec)
    assert list(result['id']) == list(ids[np.argsort(gap)[:50]])
    assert result['similarity'].mask.all()
    assert (np.diff(result['separation']) >= 0).all()


def test_position_may_be_galactic(sky):
    position = SkyCoord(0 * u.deg, 0 * u.deg, frame='galactic')
    assert found(sky, position=position, radius=9 * u.deg) == found(
        sky, position=position.icrs, radius=9 * u.deg
    )


def test_moc_gives_what_mocpy_says(sky):
    mocpy = pytest.importorskip('mocpy')
    moc = mocpy.MOC.from_string('3/0-40 5/9000 6/30000-31000')
    ids, ra, dec = places(sky)
    known = np.isfinite(ra)
    inside = moc.contains_lonlat(ra[known] * u.rad, dec[known] * u.rad)
    assert found(sky, moc=moc) == set(ids[known][inside])
    assert found(sky, region=moc) == found(sky, moc=moc)
    assert inside.any()


def test_strings_of_sia(sky):
    center = SkyCoord(10 * u.deg, 20 * u.deg)
    assert found(sky, region='CIRCLE 10 20 15') == found(
        sky, position=center, radius=15 * u.deg
    )
    ids, ra, dec = places(sky)
    ra, dec = np.degrees(ra), np.degrees(dec)
    inside = ((ra >= 350) | (ra <= 10)) & (dec >= -20) & (dec <= 20)
    assert found(sky, region='RANGE 350 10 -20 20') == set(ids[inside])


@pytest.mark.parametrize('order', [1, -1], ids=['left', 'right'])
def test_polygon_is_bounded_by_great_circles(sky, order):
    """A triangle around the pole, by the side of each edge."""
    ids, ra, dec = places(sky)
    corners = np.radians([[10, 50], [130, 60], [250, 55]])[::order]
    xyz = _filters.unit_vectors(ra, dec)
    ends = _filters.unit_vectors(*corners.T)
    side = [
        np.einsum('ij,j->i', xyz, np.cross(ends[k - 1], ends[k])) * order > 0
        for k in range(3)
    ]
    inside = np.all(side, axis=0)
    vertices = SkyCoord(*np.degrees(corners).T * u.deg)
    assert found(sky, region=vertices) == set(ids[inside])
    text = ' '.join(f'{v!r}' for v in np.degrees(corners).ravel().tolist())
    assert found(sky, region=f'POLYGON {text}') == set(ids[inside])
    assert 100 < inside.sum() < 1000


def test_regions(sky):
    regions = pytest.importorskip('regions')
    center = SkyCoord(10 * u.deg, 20 * u.deg)
    circle = regions.CircleSkyRegion(center, 12 * u.deg)
    by_cone = found(sky, position=center, radius=12 * u.deg)
    assert found(sky, region=circle) == by_cone
    square = regions.RectangleSkyRegion(center, 20 * u.deg, 10 * u.deg)
    ids, ra, dec = places(sky)
    away = SkyCoord(ra * u.rad, dec * u.rad).transform_to(
        center.skyoffset_frame()
    )
    # In the tangent plane of the centre.
    lon, lat = away.lon.wrap_at('180d').rad, away.lat.rad
    x, y = np.tan(lon), np.tan(lat) / np.cos(lon)
    near = np.cos(lon) > 0
    inside = near & (np.abs(x) < np.radians(10)) & (np.abs(y) < np.radians(5))
    assert found(sky, region=square) == set(ids[inside])
    assert found(sky, region=circle & square) == by_cone & set(ids[inside])
    assert found(sky, region=circle | square) == by_cone | set(ids[inside])


def rows(collection, test):
    table = collection.table()
    return {row['id'] for row in table if test(row)}


def test_strings_are_whole_and_of_any_case(sky):
    miri = rows(sky, lambda row: row['instrument_name'] == 'MIRI')
    assert found(sky, where={'instrument_name': 'miri'}) == miri
    assert not found(sky, where={'instrument_name': 'MIR'})
    assert found(sky, where={'instrument_name': 'mir*'}) == miri
    assert found(sky, where={'instrument_name': 'acs/*'}) == rows(
        sky, lambda row: row['instrument_name'] == 'ACS/WFC'
    )
    assert found(sky, where={'id': 'ROW-12*'}) == {
        f'row-{i}' for i in range(7500) if str(i).startswith('12')
    }


def test_lists_mean_or_and_columns_mean_and(sky):
    both = found(sky, where={'instrument_name': ['miri', 'nircam']})
    one = found(sky, where={'proposal_id': 1003})
    assert found(
        sky,
        where={'instrument_name': ['miri', 'nircam'], 'proposal_id': '1003'},
    ) == (both & one)
    assert both & one


def test_none_means_unknown(sky):
    table = sky.table(['id', 'instrument_name'])
    unknown = set(table['id'][table['instrument_name'].mask])
    assert found(sky, where={'instrument_name': None}) == unknown
    assert len(unknown) == sum(n // 7 for n in (3000, 4000, 500))


def test_intervals_are_open_where_they_say_so(sky):
    assert found(sky, where={'number': (10, 12)}) == {
        'row-10',
        'row-11',
        'row-12',
    }
    assert len(found(sky, where={'number': (None, 99)})) == 100
    assert len(found(sky, where={'number': [(7490, None), 5]})) == 11


def test_quantities_have_the_unit_of_the_column(sky):
    minutes = found(sky, where={'t_exptime': (5 * u.min, None)})
    assert minutes == rows(sky, lambda row: row['t_exptime'] >= 300 * u.s)


def test_times_and_wavelengths_are_intervals(sky):
    table = sky.table(['id', 't_min', 't_max', 'em_min', 'em_max'])
    ids = np.asarray(table['id'])
    low, high = 57000.3, 57100.8
    begun, ended = table['t_min'].value, table['t_max'].value
    expected = set(ids[(begun <= high) & (ended >= low)])
    span = (Time(low, format='mjd'), Time(high, format='mjd'))
    assert found(sky, where={'time': span}) == expected
    wavelength = 1.5 * u.um
    low, high = table['em_min'].value, table['em_max'].value
    expected = set(ids[(low <= 1.5e-6) & (high >= 1.5e-6)])
    assert expected
    assert found(sky, where={'wavelength': wavelength}) == expected
    frequency = wavelength.to(u.THz, u.spectral())
    assert found(sky, where={'wavelength': frequency}) == expected
    assert found(sky, where={'t_min': (span[0], None)}) == set(
        ids[begun >= 57000.3]
    )


def test_mask_belongs_to_the_table(sky):
    table = sky.table(['id', 'number'])
    mask = np.asarray(table['number']) % 2 == 0
    assert found(sky, mask=mask) == set(table['id'][mask])


def test_filters_compose(sky):
    center = SkyCoord(200 * u.deg, 10 * u.deg)
    parts = [
        {'position': center, 'radius': 40 * u.deg},
        {'region': 'RANGE 150 250 0 90'},
        {'where': {'instrument_name': 'nircam'}},
    ]
    every = {key: value for part in parts for key, value in part.items()}
    expected = set.intersection(*(found(sky, **part) for part in parts))
    assert expected
    assert found(sky, **every) == expected
    result = sky.search(np.ones(DIM), limit=5000, **every)
    assert set(result['id']) == expected


@pytest.mark.parametrize(
    ('filters', 'match'),
    [
        ({'where': {'instrument_nam': 'x'}}, "'instrument_name'"),
        ({'where': {'number': 'many'}}, 'numbers'),
        ({'where': {'number': (3, 1)}}, 'order'),
        ({'where': {'number': (1, 2, 3)}}, 'interval'),
        ({'where': {'number': []}}, 'empty'),
        ({'where': {'t_exptime': 3 * u.m}}, 'column is in s'),
        ({'where': 'x'}, 'dictionary'),
        ({'radius': 3 * u.deg}, 'position'),
        (
            {'position': SkyCoord(1 * u.deg, 2 * u.deg), 'radius': 3},
            'no angle',
        ),
        ({'position': (1, 2), 'radius': 3 * u.deg}, 'SkyCoord'),
        ({'region': 'CIRCLE 1 2'}, 'cannot be read'),
        ({'region': 'POLYGON 0 95 1 1 2 2'}, 'declination'),
        ({'region': 7}, 'no kind'),
        ({'moc': 7}, 'mocpy'),
        ({'mask': [True]}, 'booleans'),
    ],
)
def test_bad_filters(sky, filters, match):
    with pytest.raises(QueryError, match=match):
        sky.search(np.ones(DIM), **filters)


def test_cover_holds_whole_cones():
    """Points just inside the edge, also where cones meet the meridian."""
    pytest.importorskip('cdshealpix')
    from astroclip_search.collections._healpix import cone_ranges, place

    rng = np.random.default_rng(1)
    for k in range(300):
        lon = [0.0, 1e-9, 2 * np.pi - 1e-9, rng.uniform(0, 6.28)][k % 4]
        lat = [np.pi / 2, -np.pi / 2, *[np.arcsin(rng.uniform(-1, 1))] * 6][
            k % 8
        ]
        radius = 10 ** rng.uniform(-6, 0)
        edge = SkyCoord(lon * u.rad, lat * u.rad).directional_offset_by(
            rng.uniform(0, 360, 200) * u.deg,
            radius * (1 - 10 ** rng.uniform(-9, -1, 200)) * u.rad,
        )
        hpx, _ = place(edge.ra.deg, edge.dec.deg, np.zeros(200, bool))
        ranges = cone_ranges((lon, lat), radius)
        at = np.searchsorted(ranges[:, 0], hpx, side='right') - 1
        assert (at >= 0).all()
        assert (hpx < ranges[at, 1]).all()
