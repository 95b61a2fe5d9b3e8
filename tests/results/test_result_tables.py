# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Result tables: columns, units, slices, order."""

import numpy as np
import pytest
from _rows import jpeg, rows
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable

from astroclip_search.exceptions import QueryError
from astroclip_search.results import Description, SearchResult


def test_columns_units_and_ucds(result):
    assert result.colnames[:2] == ['rank', 'id']
    assert result.colnames[-3:] == ['similarity', 'score', 'false_match_rate']
    assert result['s_ra'].unit == u.deg
    assert result['t_min'].unit == u.d
    assert result['s_ra'].info.meta['ucd'] == 'pos.eq.ra'
    assert result['similarity'].info.meta['ucd'] == 'stat.correlation'
    assert 'cosine' in result['similarity'].info.description.lower()
    assert list(result['rank']) == [1, 2, 3, 4, 5]


def test_score_is_one_minus_the_rate(result):
    expected = [0.999, 0.99, 0.98, 0.8, 0.6]
    assert np.allclose(result['score'], expected, rtol=0, atol=1e-15)


def test_unknown_values_are_masked(result):
    assert list(result['s_ra'].mask) == [False, False, False, True, False]
    assert np.isnan(result.coordinates.ra.deg[3])
    assert result['proposal_id'].mask[1]


def test_meta_says_what_made_it(result):
    from astroclip_search import __version__

    assert result.meta['versions']['astroclip_search'] == __version__
    assert result.meta['query'].startswith('a <script>')
    assert result.meta['date'].endswith('+00:00')


@pytest.mark.parametrize(
    'cut',
    [
        slice(1, 4),
        [2, 0],
        np.array([False, False, True, False, True]),
        slice(None, None, -1),
    ],
    ids=['slice', 'list', 'mask', 'reversed'],
)
def test_slices_stay_results(result, cut):
    part = result[cut]
    index = np.arange(5)[cut]
    assert type(part) is SearchResult
    assert list(part['id']) == [f'row{i}' for i in index]
    assert part.meta['collection'] == 'made up'
    known = [i in (0, 2) for i in index]
    assert [t is not None for t in part.thumbnails] == known
    assert len(part.coordinates) == len(index)


def test_columns_and_copies_stay_results(result):
    assert type(result['id', 's_ra']) is SearchResult
    assert result['rank', 's_ra'].thumbnails == [None] * 5
    copy = result.copy()
    copy['similarity'][0] = 0.9
    assert type(copy) is SearchResult
    assert result['similarity'][0] == 0.5
    assert copy.thumbnails[0] == jpeg()


def test_sorting_keeps_thumbnails_with_their_rows(result):
    result.sort('similarity')
    assert [t is not None for t in result.thumbnails] == [
        False, False, True, False, True,
    ]  # fmt: skip


def test_separation_from_a_position():
    position = SkyCoord(10.0, 20.0, unit='deg')
    table = rows()
    result = SearchResult.from_rows(table, position=position)
    ra, dec = np.radians(table['s_ra'][0]), np.radians(table['s_dec'][0])
    a, d = np.radians([10.0, 20.0])
    # Spherical law of cosines, independent of SkyCoord.
    expected = np.arccos(
        np.sin(d) * np.sin(dec) + np.cos(d) * np.cos(dec) * np.cos(ra - a)
    )
    assert result['separation'].unit == u.deg
    assert np.isclose(
        result['separation'][0].to_value(u.rad), expected, rtol=1e-10
    )
    assert result['separation'].mask[3]
    assert np.all(result['similarity'].mask)


def test_no_rows():
    result = SearchResult.from_rows(
        rows()[:0], similarity=[], false_match_rate=[]
    )
    assert len(result) == 0
    assert result.thumbnails == []
    assert '0 rows' in result._repr_html_()


@pytest.mark.parametrize('name', ['similarity', 'false_match_rate'])
def test_lengths_must_agree(name):
    with pytest.raises(QueryError, match=f'{name} has 2 values for 5 rows'):
        SearchResult.from_rows(rows(), **{name: [0.1, 0.2]})


@pytest.fixture
def description():
    return Description.from_scores(
        ['dust', 'comets', 'quasars', 'nebulae'],
        similarity=[0.1, 0.4, 0.3, 0.2],
        false_match_rate=[0.6, 0.001, 0.2, 0.25],
        null_rate=0.25,
        meta={'vocabulary': 'four'},
    )


def test_description_puts_the_null_row_where_chance_begins(description):
    assert list(description['label']) == [
        'comets', 'quasars', 'nebulae', '(none of these)', 'dust',
    ]  # fmt: skip
    assert np.allclose(description['score'], [0.999, 0.8, 0.75, 0.75, 0.4])
    assert description['similarity'].mask[3]
    assert description.best == 'comets'
    assert description.none_of_these is False
    assert isinstance(description, QTable)
    assert type(description[:2]) is Description


def test_description_can_say_none_of_these():
    description = Description.from_scores(
        ['a', 'b'],
        similarity=[0.1, 0.2],
        false_match_rate=[0.9, 0.5],
        null_rate=0.5,
    )
    assert description.none_of_these is True
    assert description.best is None
    assert description['label'][-1] == 'a'


def test_description_lengths_must_agree():
    with pytest.raises(QueryError, match='2 labels, 1 similarities'):
        Description.from_scores(
            ['a', 'b'],
            similarity=[0.1],
            false_match_rate=[0.9, 0.5],
            null_rate=0.5,
        )
