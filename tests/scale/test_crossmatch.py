# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Catalogues and results joined by position."""

import warnings

import numpy as np
import pytest
from _sizes import DIM
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from astroclip_search.exceptions import AstroClipWarning, QueryError
from astroclip_search.results import SearchResult
from astroclip_search.scale import crossmatch, search_hats

QUERY = np.random.default_rng(7).normal(size=DIM).astype(np.float32)


@pytest.fixture(scope='module')
def stars(collection, lsdb, tmp_path_factory):
    """Stars half an arcsecond north of some rows, and others."""
    table = collection.table()
    table = table[
        ~np.broadcast_to(getattr(table['s_ra'], 'mask', False), 4497)
    ]
    table = table[::7]
    rng = np.random.default_rng(3)
    made = Table(
        {
            'source_id': np.arange(len(table)),
            'near': table['id'],
            'ra': table['s_ra'].unmasked.value,
            'dec': np.minimum(table['s_dec'].value + 0.5 / 3600, 89.9999),
            'g_mag': rng.uniform(10, 20, len(table)),
        }
    )
    path = tmp_path_factory.mktemp('stars') / 'stars'
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        lsdb.from_astropy(
            made, ra_column='ra', dec_column='dec', margin_threshold=10
        ).write_catalog(path)
    return path, made


def test_images_near_stars(collection, catalog, stars):
    path, table = stars
    near = crossmatch(catalog, path, radius=1 * u.arcsec)
    found = search_hats(near, QUERY, limit=40, where={'g_mag': (None, 15)})
    bright = table['g_mag'] <= 15
    mask = np.isin(collection.table()['id'], table['near'][bright])
    wanted = collection.search(QUERY, limit=40, mask=mask)
    assert list(found['id']) == list(wanted['id'])
    np.testing.assert_allclose(found['score'], wanted['score'], atol=1e-6)
    assert list(found['near']) == list(found['id'])
    assert (found['g_mag'] <= 15).all()
    np.testing.assert_allclose(found['_dist_arcsec'].value, 0.5, atol=1e-3)
    assert found['_dist_arcsec'].unit == u.arcsec
    assert found.meta['fingerprint'] == 'sha256:abc'


def test_result(collection, stars):
    path, table = stars
    result = collection.search(QUERY, limit=100)
    joined = crossmatch(result, path, radius=1 * u.arcsec)
    assert isinstance(joined, SearchResult)
    wanted = [i for i in result['id'] if i in set(table['near'])]
    assert 5 < len(wanted) == len(joined)
    assert list(joined['id']) == list(joined['near']) == wanted
    assert (np.diff(joined['rank']) > 0).all()
    apart = joined.coordinates.separation(
        SkyCoord(joined['ra'], joined['dec'], unit='deg')
    )
    np.testing.assert_allclose(
        apart.arcsec, joined['_dist_arcsec'].value, atol=1e-3
    )


def test_nothing_near(collection, stars):
    result = collection.search(QUERY, limit=20)
    assert len(crossmatch(result, stars[0], radius=0.01 * u.arcsec)) == 0
    assert len(crossmatch(result[:0], stars[0], radius=1 * u.arcsec)) == 0


def test_missing_margin(catalog):
    with pytest.warns(AstroClipWarning, match='has no margin'):
        crossmatch(catalog, catalog, radius=1 * u.arcsec)


@pytest.mark.parametrize(
    'options', [{'radius': 1}, {'radius': 0 * u.deg}, {'radius': 1 * u.s}]
)
def test_bad_radius(catalog, options):
    with pytest.raises(QueryError, match='no angle above 0'):
        crossmatch(catalog, catalog, **options)


def test_bad_neighbours(catalog):
    with pytest.raises(QueryError, match='n_neighbors=0'):
        crossmatch(catalog, catalog, radius=1 * u.deg, n_neighbors=0)
