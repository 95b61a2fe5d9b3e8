# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""What a query is made of, worked out by hand."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table

from astroclip_search._query import (
    check_angle,
    check_limit,
    check_size,
    combine,
    parse_query,
)
from astroclip_search.exceptions import QueryError


def test_text_is_one_term():
    (term,) = parse_query(' spiral galaxy ')
    assert (term.kind, term.value) == ('text', 'spiral galaxy')
    assert term.weight == 1


@pytest.mark.parametrize('minus', ['-', '\N{MINUS SIGN}', '- '])
def test_minus_subtracts(minus):
    spiral, bar = parse_query(['spiral', f'{minus}bar'])
    assert (spiral.weight, bar.weight) == (1, -1)
    assert bar.value == 'bar'


def test_weights_multiply():
    terms = parse_query([('spiral', 0.5), ('-bar', 2)])
    assert [term.weight for term in terms] == [0.5, -2]
    assert str(terms[0]) == '0.5 * spiral'


def test_word_inside_is_not_subtracted():
    (term,) = parse_query('edge-on galaxy')
    assert term.weight == 1
    assert term.value == 'edge-on galaxy'


def test_existing_file_is_an_image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'm51.fits').touch()
    (tmp_path / 'dust').touch()
    for item in ('m51.fits', str(tmp_path / 'm51.fits'), tmp_path / 'dust'):
        assert parse_query(item)[0].kind == 'image'
    # A file called like a word does not hide the word.
    assert parse_query('dust')[0].kind == 'text'


def test_hdulist_is_one_image_and_not_a_list_of_terms():
    hdus = fits.HDUList([fits.PrimaryHDU(np.ones((4, 4))), fits.ImageHDU()])
    assert [term.kind for term in parse_query(hdus)] == ['image']


def test_image_with_weight_and_image_with_wcs_differ():
    image = np.ones((4, 4))
    assert parse_query((image, -2))[0].weight == -2
    assert parse_query((image, fits.Header()))[0].weight == 1


def test_rows_are_examples():
    table = Table({'id': ['a', 'b'], 'x': [1, 2]})
    terms = parse_query([table[1], {'id': 'c'}])
    assert [(t.kind, t.value) for t in terms] == [('row', 'b'), ('row', 'c')]


@pytest.mark.parametrize(
    ('query', 'match'),
    [
        ('', 'empty text'),
        ('  ', 'empty text'),
        ('-', 'empty text'),
        ([], 'empty list'),
        (['spiral', ''], 'empty text'),
        (['spiral', None], 'cannot be searched for'),
        (3.0, 'cannot be searched for'),
        (True, 'cannot be searched for'),
        (('spiral', float('nan')), 'must be finite'),
        (('spiral', 0), 'must be finite and not 0'),
        ({'name': 'M 51'}, 'needs an "id"; this one has name'),
        (Table({'id': ['a', 'b']}), 'give a row of it'),
        (SkyCoord([1, 2] * u.deg, [3, 4] * u.deg), 'one position, not 2'),
        ('missing.fits', "no file 'missing.fits'"),
    ],
)
def test_bad_query(query, match):
    with pytest.raises(QueryError, match=match):
        parse_query(query)


def test_missing_path_and_directory(tmp_path):
    with pytest.raises(QueryError, match='is a directory'):
        parse_query(tmp_path)
    with pytest.raises(QueryError, match='does not exist'):
        parse_query(tmp_path / 'nothing')


def test_size_belongs_to_a_position():
    place = parse_query(SkyCoord(1 * u.deg, 2 * u.deg))
    check_size(place, 2 * u.arcmin)
    with pytest.raises(QueryError, match='needs size='):
        check_size(place, None)
    with pytest.raises(QueryError, match='is for a SkyCoord'):
        check_size(parse_query('spiral'), 2 * u.arcmin)
    with pytest.raises(QueryError, match='size=2 has no unit'):
        check_size(place, 2)


@pytest.mark.parametrize(
    ('value', 'match'),
    [
        (5, 'has no unit'),
        (5 * u.m, 'is no angle'),
        (-1 * u.deg, 'one positive angle'),
        (np.nan * u.deg, 'one positive angle'),
        ([1, 2] * u.deg, 'one positive angle'),
    ],
)
def test_bad_angle(value, match):
    with pytest.raises(QueryError, match=match):
        check_angle('radius', value)


@pytest.mark.parametrize('limit', [0, -3, 2.5, '7', True])
def test_bad_limit(limit):
    with pytest.raises(QueryError, match='whole number above 0'):
        check_limit(limit)


def test_combine_by_hand():
    # 3 x - 4 y has length 5.
    vector = combine([[1, 0, 0], [0, 1, 0]], [3, -4])
    np.testing.assert_allclose(vector, [0.6, -0.8, 0], atol=1e-7)
    assert vector.dtype == np.float32


def test_terms_that_cancel():
    with pytest.raises(QueryError, match='cancel each other'):
        combine([[1, 0], [1, 0]], [1, -1])
