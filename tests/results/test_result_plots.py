# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Plots show the values, and north where the WCS puts it."""

import numpy as np
import pytest
from _rows import rows
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from astroclip_search.exceptions import QueryError
from astroclip_search.results import Description, SearchResult
from astroclip_search.results._pictures import local_path, pictures

plt = pytest.importorskip('matplotlib.pyplot')


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close('all')


def rotated_file(path, angle, *, parity=-1):
    """A FITS image whose north is turned by an angle (east of up)."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ['RA---TAN', 'DEC--TAN']
    wcs.wcs.crval = [150.0, 30.0]
    wcs.wcs.crpix = [50.5, 40.5]
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    scale = 2.0 / 3600
    wcs.wcs.cd = (
        scale * np.array([[parity * c, -s], [-parity * s, c]]) @ (np.eye(2))
    )
    data = np.random.default_rng(1).normal(10, 1, (80, 100))
    fits.writeto(path, data.astype('f4'), wcs.to_header(), overwrite=True)


@pytest.mark.parametrize('angle', [0, 30, 90, 200])
def test_north_arrow_and_scale(tmp_path, angle):
    path = tmp_path / 'image.fits'
    rotated_file(path, angle)
    table = rows(1)
    table['access_url'] = [str(path)]
    picture = next(pictures(SearchResult.from_rows(table)))
    # 100 x 80 pixels become 224 x 179; the padding is cut away.
    assert picture.pixels.shape == (179, 224, 3)
    assert picture.pixel_scale == pytest.approx(2.0 * 100 / 224, rel=1e-3)
    # Independent: step north from the centre in the header's own WCS.
    wcs = WCS(fits.getheader(path))
    centre = wcs.pixel_to_world(49.5, 39.5)
    x, y = wcs.world_to_pixel(SkyCoord(centre.ra, centre.dec + 10 * u.arcsec))
    expected = np.array([x - 49.5, -(y - 39.5)])
    expected /= np.hypot(*expected)
    assert np.allclose(picture.north, expected, atol=2e-3)


def test_pictures_come_from_thumbnails_without_files(result):
    found = list(pictures(result))
    assert found[0].pixels.shape == (48, 64, 3)
    assert abs(int(found[0].pixels[..., 0].mean()) - 200) < 6
    assert found[0].north is None
    assert found[1].pixels is None


def test_addresses_of_files(tmp_path):
    path = tmp_path / 'a b.fits'
    assert local_path(path.as_uri()) == path
    assert local_path(str(path)) == path
    assert local_path('https://example.org/a.fits') is None
    assert local_path('') is None


def test_plot_has_a_panel_for_each_row(result):
    figure = result.plot(columns=3)
    axes = figure.axes
    assert len(axes) == 6
    titles = [axis.get_title(loc='left') for axis in axes]
    assert titles[0].splitlines() == ['1. M 101', '2000', 'score 0.999']
    assert [len(axis.images) for axis in axes] == [1, 0, 1, 0, 0, 0]
    assert len(result.plot(limit=2).axes) == 2


def test_titles_are_no_formulae(result):
    result['target_name'] = ['$\\frac{1$ _^'] * 5
    figure = result.plot()
    # Drawing would fail on what looks like a broken formula.
    figure.canvas.draw()
    title = figure.axes[0].get_title(loc='left')
    assert title.splitlines()[0] == '1. $\\frac{1$ _^'


def test_plot_sky_draws_every_position(result):
    figure = result.plot_sky()
    drawn = sum(len(line.get_xdata()) for line in figure.axes[0].lines)
    assert drawn == 4
    figure.canvas.draw()


def test_plot_sky_zooms_and_shows_coverage():
    table = rows(6)
    table['s_ra'] = [10.0, 10.1, 9.9, 10.05, 10.0, 10.02]
    table['s_dec'] = [89.9, 89.95, 89.9, 89.8, 89.9, 89.99]
    result = SearchResult.from_rows(table)
    figure = result.plot_sky(coverage=result.to_moc(max_depth=10))
    axes = figure.axes[0]
    assert axes.wcs.wcs.ctype[0] == 'RA---TAN'
    assert len(axes.patches) >= 1
    x = np.concatenate([line.get_xdata() for line in axes.lines])
    y = np.concatenate([line.get_ydata() for line in axes.lines])
    assert x.min() > 0
    assert y.max() < 500
    # East is to the left: larger RA, smaller x, at the same declination.
    here = axes.wcs.world_to_pixel(SkyCoord(10.0, 89.9, unit='deg'))
    east = axes.wcs.world_to_pixel(
        SkyCoord(10.0, 89.9, unit='deg').directional_offset_by(
            90 * u.deg, 1 * u.arcmin
        )
    )
    assert east[0] < here[0]


def test_histogram_counts_the_rows(result):
    figure = result.similarity_histogram(bins=5)
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert sum(heights) == 5
    both = result.similarity_histogram(background=np.linspace(-1, 1, 100))
    assert both.axes[0].get_legend() is not None


def test_description_plot_marks_the_null():
    description = Description.from_scores(
        [f'class {i}' for i in range(30)],
        similarity=np.linspace(1, 0, 30),
        false_match_rate=np.linspace(0.001, 1, 30),
        null_rate=0.9,
    )
    figure = description.plot(limit=5, dark=True)
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == [*(f'class {i}' for i in range(5)), '(none of these)']
    widths = [p.get_width() for p in figure.axes[0].patches]
    assert widths[0] == pytest.approx(0.999)
    assert widths[-1] == pytest.approx(0.1)


def test_nothing_to_plot(result):
    with pytest.raises(QueryError, match='no rows'):
        result[:0].plot()
    with pytest.raises(QueryError, match='columns=0'):
        result.plot(columns=0)
    with pytest.raises(QueryError, match='no row has a position'):
        result[3:4].plot_sky()
    unranked = SearchResult.from_rows(rows())
    with pytest.raises(QueryError, match='no row has a similarity'):
        unranked.similarity_histogram()
