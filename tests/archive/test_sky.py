# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Images of a position, from a survey or an archive on the loopback."""

import io
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from PIL import Image

from astroclip_search import conf
from astroclip_search.archive import sky_image
from astroclip_search.archive._sky import _tangential
from astroclip_search.exceptions import ArchiveError, QueryError

M51 = SkyCoord(202.4696 * u.deg, 47.1952 * u.deg)
SIZE = 10 * u.arcmin
PATH = '/hips-image-services/hips2fits'  # as in conftest


def jpeg(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, 'jpeg', quality=95)
    return file.getvalue()


def fits_file(data, wcs=None):
    file = io.BytesIO()
    header = None if wcs is None else wcs.to_header()
    fits.PrimaryHDU(data, header).writeto(file)
    return file.getvalue()


def payload(server):
    query = parse_qs(urlsplit(server.requests[-1][0]).query)
    return {key: value[0] for key, value in query.items()}


def test_colour_survey_gives_a_picture_with_coordinates(hips):
    array = np.zeros((512, 512, 3), np.uint8)
    array[:100, 400:] = 255  # top right: north-west
    hips.content[PATH] = jpeg(array)
    image = sky_image(M51, size=SIZE, survey='CDS/P/DSS2/color')
    sent = payload(hips)
    assert sent['hips'] == 'CDS/P/DSS2/color'
    assert sent['format'] == 'jpg'
    assert sent['projection'] == 'TAN'
    assert float(sent['ra']) == pytest.approx(202.4696)
    assert float(sent['dec']) == pytest.approx(47.1952)
    assert float(sent['fov']) == pytest.approx(1 / 6)
    assert (sent['width'], sent['height']) == ('512', '512')
    assert image.is_rgb
    assert image.coordinates.separation(M51) < 0.1 * u.arcsec
    # The bright corner is where the coordinates say north-west is.
    place = M51.spherical_offsets_by(-4.5 * u.arcmin, 4.5 * u.arcmin)
    x, y = (int(v) for v in image.wcs.world_to_pixel(place))
    assert image.data[y, x].min() > 200
    assert image.data[-1 - y, x].max() < 50
    assert image.data[y, -1 - x].max() < 50


def test_provenance(hips):
    hips.content[PATH] = jpeg(np.eye(64, dtype=np.uint8) * 255)
    image = sky_image(M51, size=SIZE)
    meta = image.meta
    assert meta['survey'] == conf.hips_survey
    assert meta['field'] == '202.469600 47.195200 deg, 0.166667 deg wide'
    assert meta['address'] == meta['source']
    assert meta['address'].startswith(hips.url(PATH) + '?')
    date = datetime.fromisoformat(meta['date'])
    assert abs((datetime.now(UTC) - date).total_seconds()) < 60


def test_survey_of_values_gives_fits(hips):
    data = np.arange(64.0 * 64).reshape(64, 64).astype('f4')
    data[0] = np.nan
    hips.content[PATH] = fits_file(
        data, _tangential(M51, SIZE.to('deg'), data.shape)
    )
    image = sky_image(M51, size=SIZE, survey='CDS/P/DSS2/red', pixels=64)
    assert payload(hips)['format'] == 'fits'
    assert image.coordinates.separation(M51) < 0.1 * u.arcsec
    np.testing.assert_array_equal(image.data, data)
    assert image.mask[0].all()
    assert not image.mask[1:].any()


def test_fetched_once_and_then_offline(hips):
    hips.content[PATH] = jpeg(np.eye(64, dtype=np.uint8) * 255)
    first = sky_image(M51, size=SIZE)
    hips.always[PATH] = 'reset'
    again = sky_image(M51, size=SIZE)
    np.testing.assert_array_equal(first.data, again.data)
    assert again.meta['date'] == first.meta['date']
    with conf.set_temp('retries', 0), pytest.raises(ArchiveError):
        sky_image(M51, size=SIZE, cache=False)


@pytest.mark.parametrize(
    ('survey', 'content'),
    [
        ('CDS/P/DSS2/red', fits_file(np.full((8, 8), np.nan, 'f4'))),
        ('CDS/P/DSS2/color', jpeg(np.zeros((8, 8, 3), np.uint8))),
    ],
    ids=['values', 'picture'],
)
def test_survey_that_does_not_reach_there(hips, survey, content):
    hips.content[PATH] = content
    with pytest.raises(ArchiveError, match='does not reach there'):
        sky_image(M51, size=SIZE, survey=survey)


def test_error_of_the_service_is_passed_on(hips):
    hips.always[PATH] = 'json={"title": "Bad", "description": "No such HiPS"}'
    with pytest.raises(ArchiveError, match=r'400 Bad Request \(No such HiPS'):
        sky_image(M51, size=SIZE, survey='CDS/P/none')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'size': 5}, 'size=5 is no angle'),
        ({'size': 5 * u.m}, 'is no angle'),
        ({'size': 0 * u.deg}, 'not one angle above 0'),
        ({'size': 90 * u.deg}, 'not one angle above 0'),
        ({'size': [1, 2] * u.deg}, 'not one angle above 0'),
        ({'size': np.nan * u.deg}, 'not one angle above 0'),
        ({'size': SIZE, 'survey': 'DSS2'}, 'no identifier of a HiPS'),
        ({'size': SIZE, 'image_format': 'png'}, 'neither "jpg" nor "fits"'),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(QueryError, match=message):
        sky_image(M51, **arguments)


def test_newest_preview_of_hst(mast):
    for k, row in enumerate(mast.observations):
        row['jpegURL'] = mast.url(f'/previews/{k}.jpg')
        mast.content[f'/previews/{k}.jpg'] = jpeg(
            np.full((32, 32), 50 * k + 50, np.uint8)
        )
    position = SkyCoord(10.66 * u.deg, 41.25 * u.deg)
    image = sky_image(position, size=1 * u.arcmin, survey='hst')
    # The last of the three is the newest.
    assert image.data.max() == 150
    assert image.meta['survey'] == 'HST'
    assert image.meta['obs_id'] == 'hst_9634_02_acs_wfc'
    assert image.meta['address'] == mast.url('/previews/2.jpg')
    radius = float(mast.queries[0]['params']['position'].split(',')[2])
    assert radius == pytest.approx(0.5 / 60)


def test_next_newest_preview_where_one_is_missing(mast):
    for k, row in enumerate(mast.observations):
        row['jpegURL'] = mast.url(f'/previews/{k}.jpg')
    mast.always['/previews/2.jpg'] = 'status=404'
    mast.content['/previews/1.jpg'] = jpeg(np.full((32, 32), 99, np.uint8))
    position = SkyCoord(10.66 * u.deg, 41.25 * u.deg)
    image = sky_image(position, size=1 * u.arcmin, survey='HST')
    assert image.meta['obs_id'] == 'hst_9634_01_acs_wfc'


def test_no_preview_there(mast):
    mast.observations = []
    with pytest.raises(ArchiveError, match='no public preview of JWST'):
        sky_image(M51, size=SIZE, survey='JWST')


@pytest.mark.remote_data
def test_hips2fits_itself():
    image = sky_image(M51, size=SIZE, survey='CDS/P/DSS2/red', pixels=128)
    assert image.shape == (128, 128)
    assert image.coordinates.separation(M51) < 1 * u.arcmin
