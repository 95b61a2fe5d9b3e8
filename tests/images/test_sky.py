# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Cutouts, tiles, colours and facts: the sky is where it should be."""

import numpy as np
import pytest
from _shared import shared_data
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from scipy.interpolate import RegularGridInterpolator

from astroclip_search.exceptions import ImageError
from astroclip_search.images import (
    compose_rgb,
    cutout,
    image_facts,
    read_image,
    tiles,
)

CENTRE = SkyCoord(150.0, 2.0, unit='deg')


def header_of(shape=(200, 300), angle=25.0, scale=0.4 / 3600):
    turn = np.deg2rad(angle)
    header = fits.Header()
    header.update(
        CTYPE1='RA---TAN', CTYPE2='DEC--TAN', CRVAL1=150.0, CRVAL2=2.0,
        CRPIX1=shape[1] / 2 + 0.5, CRPIX2=shape[0] / 2 + 0.5,
        CD1_1=-scale * np.cos(turn), CD1_2=scale * np.sin(turn),
        CD2_1=scale * np.sin(turn), CD2_2=scale * np.cos(turn),
        RADESYS='ICRS',
    )  # fmt: skip
    return header


def tangent_to_sky(xi, eta, header):
    """Inverse gnomonic projection (Calabretta & Greisen 2002, eq. 54)."""
    xi, eta = np.deg2rad(xi), np.deg2rad(eta)
    ra0, dec0 = np.deg2rad([header['CRVAL1'], header['CRVAL2']])
    below = np.cos(dec0) - eta * np.sin(dec0)
    ra = ra0 + np.arctan2(xi, below)
    dec = np.arctan2(np.sin(dec0) + eta * np.cos(dec0), np.hypot(xi, below))
    return SkyCoord(ra, dec, unit='rad')


def plane_to_sky(x, y, header):
    """Sky of FITS pixels (1-based) that are free of distortion."""
    dx, dy = x - header['CRPIX1'], y - header['CRPIX2']
    xi = header['CD1_1'] * dx + header['CD1_2'] * dy
    eta = header['CD2_1'] * dx + header['CD2_2'] * dy
    return tangent_to_sky(xi, eta, header)


def plain():
    header = header_of()

    def sky(x, y):
        return plane_to_sky(x, y, header)

    return fits.HDUList([fits.PrimaryHDU(numbered(), header)]), sky


def numbered(shape=(200, 300)):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def with_sip():
    header = header_of()
    header.update(
        CTYPE1='RA---TAN-SIP', CTYPE2='DEC--TAN-SIP', A_ORDER=3, B_ORDER=3,
        A_2_0=3e-5, A_1_1=-2e-5, A_0_3=2e-7, B_0_2=-4e-5, B_2_1=1e-7,
    )  # fmt: skip

    def sky(x, y):
        # Shupe et al. 2005, equation 2.
        a, b = x - header['CRPIX1'], y - header['CRPIX2']
        f = 3e-5 * a**2 - 2e-5 * a * b + 2e-7 * b**3
        g = -4e-5 * b**2 + 1e-7 * a**2 * b
        return plane_to_sky(x + f, y + g, header)

    return fits.HDUList([fits.PrimaryHDU(numbered(), header)]), sky


def with_tables():
    header = header_of()
    rng = np.random.default_rng(11)
    hdus, shifts = [], []
    for n in (1, 2):
        header[f'CPDIS{n}'], header[f'CPERR{n}'] = 'LOOKUP', 3.0
        header[f'DP{n}.EXTVER'] = float(n)
        header[f'DP{n}.NAXES'] = 2.0
        header[f'DP{n}.AXIS.1'], header[f'DP{n}.AXIS.2'] = 1.0, 2.0
        values = rng.uniform(-3, 3, (11, 16)).astype(np.float32)
        table = fits.ImageHDU(values, name='WCSDVARR', ver=n)
        table.header.update(
            CRPIX1=1.0, CRPIX2=1.0, CRVAL1=1.0, CRVAL2=1.0, CDELT1=20.0,
            CDELT2=20.0,
        )  # fmt: skip
        hdus.append(table)
        grid = (1 + 20.0 * np.arange(11), 1 + 20.0 * np.arange(16))
        shifts.append(RegularGridInterpolator(grid, values))

    def sky(x, y):
        dx, dy = (shift((y, x))[()] for shift in shifts)
        return plane_to_sky(x + dx, y + dy, header)

    return fits.HDUList([fits.PrimaryHDU(numbered(), header), *hdus]), sky


@pytest.mark.parametrize('make', [plain, with_sip, with_tables])
@pytest.mark.parametrize('memory', [True, False])
def test_cutouts_are_where_they_should_be(make, memory, tmp_path):
    source, sky = make()
    whole = source[0].data.copy()
    if not memory:
        source.writeto(tmp_path / 'a.fits')
        source = tmp_path / 'a.fits'
    for x, y in ((120.3, 55.2), (251.0, 150.5), (31.4, 172.2)):
        position = sky(x, y)
        part = cutout(source, position, size=21 * u.pix)
        left, bottom = part.meta['corner']
        # The cutout is centred on the position,
        assert abs(left + 10 - (x - 1)) <= 0.51
        assert abs(bottom + 10 - (y - 1)) <= 0.51
        # has the pixels of the whole,
        np.testing.assert_array_equal(
            part.data, whole[bottom : bottom + 21, left : left + 21]
        )
        # and every one of them lies where the whole has it.
        columns, rows = np.meshgrid([0.0, 10.0, 20.0], [0.0, 10.0, 20.0])
        ra, dec = part.wcs.all_pix2world(columns, rows, 0)
        for column, row, lon, lat in zip(
            columns.flat, rows.flat, ra.flat, dec.flat, strict=True
        ):
            truth = sky(left + column + 1, bottom + row + 1)
            apart = truth.separation(SkyCoord(lon, lat, unit='deg')).arcsec
            assert apart < 0.4 * 0.01  # a hundredth of a pixel


def test_lookup_table_of_hubble():
    # Distortion of a real ACS frame: positions of its own WCS must be found
    # again in the cutout (det2im, SIP and lookup tables together).
    path = shared_data('fits', 'astropy__dist_lookup.fits.gz')
    image = read_image(path)
    assert image.wcs.cpdis1 is not None
    assert image.wcs.det2im1 is not None
    with fits.open(path) as hdus:
        reference = WCS(hdus[1].header, hdus)
    x, y = 61.3, 40.8
    ra, dec = reference.all_pix2world(x, y, 0)
    part = cutout(path, SkyCoord(ra, dec, unit='deg'), size=15 * u.pix)
    left, bottom = part.meta['corner']
    again = part.wcs.all_pix2world(x - left, y - bottom, 0)
    np.testing.assert_allclose(again, [ra, dec], atol=1e-9)
    assert abs(left + 7 - x) <= 0.5
    assert abs(bottom + 7 - y) <= 0.5


def test_size_of_cutouts():
    source, sky = plain()
    position = sky(150, 100)
    assert cutout(source, position, size=20 * u.arcsec).shape == (50, 50)
    pair = [20, 40] * u.arcsec
    assert cutout(source, position, size=pair).shape == (50, 100)
    # A frame in other coordinates, at the same place.
    same = cutout(source, position.galactic, size=9 * u.pix)
    assert same.meta['corner'] == (145, 95)
    for size in (
        20, [20, 30], 5 * u.s, -3 * u.arcsec, 0 * u.deg,
        [1, 2, 3] * u.arcsec, 1e6 * u.deg, np.nan * u.deg,
    ):  # fmt: skip
        with pytest.raises(ImageError, match='size='):
            cutout(source, position, size=size)


@pytest.mark.parametrize('dtype', [np.float32, np.int16])
def test_partial_overlap(dtype):
    _, sky = plain()
    data = numbered().astype(dtype)
    part = cutout((data, header_of()), sky(3, 198), size=20 * u.pix)
    left, bottom = part.meta['corner']
    assert (left, bottom) == (-8, 188)
    outside = np.ones((20, 20), bool)
    outside[:12, 8:] = False
    np.testing.assert_array_equal(part.mask, outside)
    np.testing.assert_array_equal(part.data[:12, 8:], data[188:, :12])
    filled = part.data[outside]
    assert np.isnan(filled).all() if dtype is np.float32 else not filled.any()


def test_outside_is_an_error():
    source, sky = plain()
    for position in (
        sky(-10, 100), sky(310, 20), SkyCoord(330, -2, unit='deg'),
        SkyCoord(0, -90, unit='deg'),
    ):  # fmt: skip
        with pytest.raises(ImageError, match='outside'):
            cutout(source, position, size=10 * u.arcsec)
    with pytest.raises(ImageError, match='no world coordinates'):
        cutout(numbered(), CENTRE, size=10 * u.arcsec)
    for position in ((150, 2), 'm31', SkyCoord([1, 2], [3, 4], unit='deg')):
        with pytest.raises(ImageError, match='not one SkyCoord'):
            cutout(source, position, size=10 * u.arcsec)


@pytest.mark.parametrize('compression', [None, 'RICE_1'])
def test_tiles(tmp_path, compression):
    data = np.random.default_rng(2).integers(0, 999, (100, 130)).astype('i2')
    data[:40, :40] = 7  # nothing to see
    path = tmp_path / 'a.fits'
    if compression:
        hdus = [fits.PrimaryHDU(), fits.CompImageHDU(data, header_of(),
                compression_type=compression)]  # fmt: skip
    else:
        hdus = [fits.PrimaryHDU(data, header_of())]
    fits.HDUList(hdus).writeto(path)
    whole = read_image(path)
    found = {}
    for tile in tiles(path, size=40, overlap=10):
        x, y = tile.meta['corner']
        found[x, y] = tile
        assert tile.shape == (40, 40)
        np.testing.assert_array_equal(tile.data, data[y : y + 40, x : x + 40])
        np.testing.assert_allclose(
            tile.wcs.all_pix2world(3, 5, 0),
            whole.wcs.all_pix2world(x + 3, y + 5, 0),
        )
    corners = {(x, y) for x in (0, 30, 60, 90) for y in (0, 30, 60)}
    assert set(found) == corners - {(0, 0)}
    small = list(tiles(path, size=500))
    assert [tile.shape for tile in small] == [(100, 130)]


def test_tiles_skip_what_is_unusable():
    data = np.random.default_rng(2).normal(0, 1, (64, 64))
    data[:32, :32] = np.nan
    data[32:, 32:][:29] = np.nan
    found = [tile.meta['corner'] for tile in tiles(data, size=32)]
    assert found == [(32, 0), (0, 32)]


@pytest.mark.parametrize(
    'settings',
    [{'size': 4}, {'size': 10.5}, {'size': 16, 'overlap': 16},
     {'size': 16, 'overlap': -1}],
)  # fmt: skip
def test_tile_settings(settings):
    with pytest.raises(ImageError, match=r'size=|overlap='):
        list(tiles(np.eye(64), **settings))


def blob(shape, wcs, sky, width):
    rows, columns = np.indices(shape)
    there = wcs.pixel_to_world(columns, rows)
    return np.exp(-((there.separation(sky).arcsec / width) ** 2))


@pytest.mark.parametrize('method', ['lupton', 'simple'])
def test_colours_are_aligned(method):
    # The same source on grids of other scale and rotation.
    source = SkyCoord(150.002, 2.003, unit='deg')
    images = []
    for shape, angle, scale in (
        ((80, 100), 0, 0.4), ((90, 70), 40, 0.5), ((60, 60), 110, 0.7),
    ):  # fmt: skip
        wcs = WCS(header_of(shape, angle, scale / 3600))
        images.append((blob(shape, wcs, source, 1.5), wcs))
    image = compose_rgb(*images, method=method, interval='minmax')
    assert image.shape == (80, 100)
    assert image.data.dtype == np.uint8
    x, y = images[0][1].world_to_pixel(source)
    rows, columns = np.indices(image.shape)
    for colour in range(3):
        weight = image.data[..., colour].astype(float) ** 2
        weight[np.hypot(columns - x, rows - y) > 12] = 0
        assert weight.max() > 0
        assert (weight * columns).sum() / weight.sum() == pytest.approx(
            x, abs=0.5
        )
        assert (weight * rows).sum() / weight.sum() == pytest.approx(
            y, abs=0.5
        )
    assert image.wcs is not None
    assert image.origin == 'lower'


def test_which_colour_is_which():
    planes = [np.zeros((30, 30)) for _ in range(3)]
    for n, plane in enumerate(planes):
        plane[5 + 8 * n, 5 + 8 * n] = 100
    data = compose_rgb(*planes, method='simple', interval='minmax').data
    for n in range(3):
        pixel = data[5 + 8 * n, 5 + 8 * n]
        assert pixel[n] == 255
        assert pixel.sum() == 255
    with pytest.raises(ImageError, match='world coordinates'):
        compose_rgb(planes[0], planes[1], np.eye(20))
    with pytest.raises(ImageError, match='lupton, simple'):
        compose_rgb(*planes, method='x')
    with pytest.raises(ImageError, match='one colour'):
        compose_rgb(planes[0], planes[1], np.zeros((30, 30, 3), np.uint8))
    with pytest.raises(ImageError, match='no usable pixel'):
        compose_rgb(*[np.full((9, 9), np.nan)] * 3)


def test_facts_of_world_coordinates():
    # 100 x 200 pixels of 0.4 arcsec, north up: corners by hand.
    header = header_of((100, 200), 0)
    facts = image_facts(read_image((numbered((100, 200)), header)))
    assert facts['s_ra'] == pytest.approx(150)
    assert facts['s_dec'] == pytest.approx(2)
    assert facts['s_fov'] == pytest.approx(np.hypot(40, 80) / 3600, rel=1e-5)
    words = facts['s_region'].split()
    assert words[:2] == ['POLYGON', 'ICRS']
    ra, dec = np.array(words[2:], float).reshape(4, 2).T
    east, south = 40 / 3600, -20 / 3600
    # From north over east: south-east, south-west, north-west, north-east.
    np.testing.assert_allclose(
        (ra - 150) * np.cos(np.deg2rad(2)),
        [east, -east, -east, east], atol=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(
        dec - 2, [south, south, -south, -south], atol=1e-6
    )


def test_mirrored_region_runs_the_same_way():
    header = header_of((100, 100), 0)
    header['CD1_1'] *= -1
    words = image_facts(read_image((numbered((100, 100)), header)))
    ra, dec = np.array(words['s_region'].split()[2:], float).reshape(4, 2).T
    x, y = -(ra - 150), dec - 2  # as seen on the sky, east to the left
    area = np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)
    assert area > 0  # counter-clockwise


def test_facts_of_headers():
    header = fits.Header()
    header.update(
        TELESCOP='HST', INSTRUME='ACS', TARGNAME='NGC 104', OBJECT='other',
        FILTER1='CLEAR1L', FILTER2='F814W', EXPTIME=350.0,
        ROOTNAME='j94f05bgq', PROPOSID=9019, PR_INV_L='Bohlin',
        EXPSTART=52376.25,
    )  # fmt: skip
    image = read_image(fits.PrimaryHDU(numbered(), header))
    assert image_facts(image) == {
        'facility_name': 'HST', 'instrument_name': 'ACS',
        'target_name': 'NGC 104', 'filters': 'F814W', 't_exptime': 350.0,
        'obs_id': 'j94f05bgq', 'proposal_id': '9019', 'proposal_pi': 'Bohlin',
        't_min': 52376.25,
    }  # fmt: skip


@pytest.mark.parametrize(
    ('cards', 'mjd'),
    [
        ({'DATE-OBS': '2016-01-01T12:00:00'}, 57388.5),
        ({'DATE-OBS': '2016-01-01', 'TIME-OBS': '06:00:00'}, 57388.25),
        ({'DATE-OBS': '2016-01-01', 'TIME-OBS': 'morning'}, 57388.0),
        ({'MJD-OBS': 57388.75, 'DATE-OBS': '1999-01-01'}, 57388.75),
        ({'DATE-OBS': 'yesterday'}, None),
        ({'MJD-OBS': -5.0}, None),
    ],
)
def test_dates(cards, mjd):
    image = read_image(fits.PrimaryHDU(numbered(), fits.Header(cards)))
    assert image_facts(image).get('t_min') == pytest.approx(mjd)


def test_frames_of_other_bodies_have_no_place():
    header = header_of()
    header['CTYPE1'], header['CTYPE2'] = 'HPLN-TAN', 'HPLT-TAN'
    image = read_image((numbered(), header))
    assert image.coordinates is None
    assert 's_ra' not in image_facts(image)
