# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Results written and read: nothing is lost."""

import io

import numpy as np
import pytest
from _rows import rows
from astropy.io.votable import parse, validate
from astropy.table import Table

from astroclip_search.exceptions import AstroClipError
from astroclip_search.results import SearchResult


def unmasked(column):
    values = getattr(column, 'value', column)
    return np.asarray(getattr(values, 'unmasked', values))


def mask(column):
    return np.broadcast_to(getattr(column, 'mask', False), len(column))


def assert_same(back, result):
    assert type(back) is SearchResult
    assert back.colnames == result.colnames
    for name in result.colnames:
        a, b = back[name], result[name]
        assert a.unit == b.unit, name
        assert a.info.description == b.info.description, name
        ucd = (b.info.meta or {}).get('ucd')
        assert (a.info.meta or {}).get('ucd') == ucd, name
        known = ~mask(b)
        assert np.array_equal(mask(a), mask(b)), name
        assert np.array_equal(
            unmasked(a)[known].astype(unmasked(b).dtype), unmasked(b)[known]
        ), name
    for key in ('query', 'collection', 'model', 'counts', 'versions', 'date'):
        assert back.meta[key] == result.meta[key]


@pytest.mark.parametrize(
    'ending', ['.ecsv', '.vot', '.xml', '.fits', '.parquet']
)
def test_round_trip(result, tmp_path, ending):
    if ending in ('.fits',):
        # FITS holds ASCII texts alone; others must survive in the rest.
        result['target_name'] = [
            str(t).encode('ascii', 'replace').decode()
            for t in result['target_name']
        ]
        result['target_name'].info.meta = {'ucd': 'meta.id;src'}
        result['target_name'].info.description = 'Name of the target'
    path = tmp_path / f'result{ending}'
    result.write(path)
    assert_same(SearchResult.read(path), result)


@pytest.mark.parametrize('n', [0, 1, 300])
def test_round_trip_of_other_lengths(tmp_path, n):
    result = SearchResult.from_rows(
        rows(n, seed=4),
        similarity=np.linspace(1, 0, n),
        false_match_rate=np.linspace(0, 1, n),
        meta={'query': 'x', 'collection': 'y', 'model': None, 'counts': []},
    )
    path = tmp_path / 'result.vot'
    result.write(path)
    assert_same(SearchResult.read(path), result)


def test_votable_is_valid_and_keeps_provenance(result, tmp_path):
    path = tmp_path / 'result.vot'
    result.to_votable(name='found').to_xml(str(path))
    report = io.StringIO()
    assert validate(str(path), output=report), report.getvalue()
    votable = parse(str(path))
    table = votable.get_first_table()
    assert table.name == 'found'
    fields = {field.name: field for field in table.fields}
    assert fields['s_ra'].ucd == 'pos.eq.ra'
    assert str(fields['s_ra'].unit) == 'deg'
    infos = {i.name: i.value for i in votable.resources[0].infos}
    assert infos['QUERY_STATUS'] == 'OK'
    assert infos['astroclip_search.collection'] == '"made up"'
    assert list(table.to_table()['target_name'])[2] == 'κ Cas <b>&'


def test_an_existing_file_is_not_replaced_unasked(result, tmp_path):
    path = tmp_path / 'result.vot'
    path.write_text('mine')
    with pytest.raises(OSError, match='overwrite=True'):
        result.write(path)
    assert path.read_text() == 'mine'
    result.write(path, overwrite=True)
    assert len(SearchResult.read(path)) == 5


def test_obscore_has_every_mandatory_column(result):
    table = result.to_obscore()
    # ObsCore 1.1, table 1, mandatory fields.
    expected = """
        dataproduct_type calib_level obs_collection obs_id obs_publisher_did
        access_url access_format access_estsize target_name s_ra s_dec s_fov
        s_region s_resolution t_min t_max t_exptime t_resolution em_min em_max
        em_res_power o_ucd pol_states facility_name instrument_name
    """
    assert ' '.join(table.colnames) == ' '.join(expected.split())
    assert np.all(table['em_min'].mask)
    assert list(table['access_url']) == list(result['access_url'])
    assert isinstance(table, Table)
    assert not isinstance(table, SearchResult)


def test_texts_that_fits_cannot_hold(result, tmp_path):
    with pytest.raises(AstroClipError, match='texts in FITS are ASCII'):
        result.write(tmp_path / 'r.fits')
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize('ending', ['.ecsv', '.vot', '.fits', '.parquet'])
def test_texts_that_look_unknown(ending, tmp_path):
    table = Table({'id': ['a', '--', 'masked'], 'caption': ['--', 'N/A', '0']})
    made = SearchResult.from_rows(table)
    made.write(tmp_path / f'r{ending}')
    back = SearchResult.read(tmp_path / f'r{ending}')
    for name in ('id', 'caption'):
        assert list(back[name]) == list(table[name])
        assert not np.any(getattr(back[name], 'mask', False))
