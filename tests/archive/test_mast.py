# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Queries of MAST, answered by a portal on the loopback."""

import json
from concurrent.futures import ThreadPoolExecutor

import astropy.units as u
import pytest
from _mastserver import observation
from _shared import shared_data
from astropy.coordinates import SkyCoord

from astroclip_search import conf
from astroclip_search.archive import (
    download,
    mast_observations,
    mast_previews,
)
from astroclip_search.exceptions import ArchiveError, QueryError

PORTAL = '/api/v0/invoke'


def filters(query):
    items = query['params']['filters']
    return {item['paramName']: item['values'] for item in items}


def test_observations_are_asked_for_and_mapped(mast):
    table = mast_observations(obs_collection='HST', limit=2)
    assert filters(mast.queries[0]) == {
        'obs_collection': ['HST'],
        'dataRights': ['PUBLIC'],
    }
    assert list(table['obs_id']) == [
        'hst_9634_00_acs_wfc',
        'hst_9634_01_acs_wfc',
    ]
    assert list(table['s_ra'].to_value('deg')) == [10.65, 10.66]
    assert table['em_min'][0].to_value('m') == pytest.approx(470e-9)
    assert table['s_region'][0].startswith('POLYGON ICRS 10.6 41.2')
    assert table['proposal_id'][0] == '9634'


def test_recorded_reply_passes_through_astroquery(mast):
    path = shared_data('mast', 'caom.json')
    rows = json.loads(path.read_text())['data']
    mast.observations = rows
    table = mast_observations(obs_collection=['HST', 'HLA'])
    assert list(table['obs_id']) == [row['obs_id'] for row in rows]
    assert list(table['s_ra'].to_value('deg')) == [r['s_ra'] for r in rows]


def test_one_query_for_each_proposal(mast):
    mast.observations[2]['proposal_id'] = '10775'
    table = mast_observations(proposal_id=[9634, '10775', '1'])
    asked = [filters(query)['proposal_id'] for query in mast.queries]
    assert asked == [['9634'], ['10775'], ['1']]
    assert list(table['proposal_id']) == ['9634', '9634', '10775']


def test_position_and_radius(mast):
    mast_observations(
        obs_collection='HST',
        coordinates=SkyCoord(10.5 * u.deg, 41 * u.deg),
        radius=30 * u.arcmin,
    )
    query = mast.queries[0]
    assert query['service'] == 'Mast.Caom.Filtered.Position'
    numbers = [float(x) for x in query['params']['position'].split(',')]
    assert numbers == pytest.approx([10.5, 41, 0.5])


def test_interval_is_passed_on(mast):
    mast_observations(t_min=[52454, 52455])
    assert filters(mast.queries[0])['t_min'] == [{'min': 52454, 'max': 52455}]


def test_queries_from_threads(mast):
    def ask(number):
        return len(mast_previews(proposal_id=['9634', '1'][number % 2]))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(8))) == [3, 0] * 4


def test_previews_of_the_paper(mast):
    table = mast_previews(proposal_id='9634')
    # "total", not "color", and no single filter or science file.
    assert list(table['id']) == [
        f'hst_9634_0{n}_acs_wfc_total_drz' for n in range(3)
    ]
    assert table['access_url'][0] == (
        f'{mast.address}/api/v0.1/Download/file'
        '?uri=mast:HST/product/hst_9634_00_acs_wfc_total_drz.jpg'
    )
    first = observation(0)
    for name in ('target_name', 'proposal_id', 'instrument_name', 't_min'):
        value = table[name][0]
        assert getattr(value, 'value', value) == first[name]
    assert table['em_max'][0].to_value('m') == pytest.approx(960e-9)
    assert table['access_estsize'][0] == 52 * u.kB
    assert filters(mast.queries[0])['dataRights'] == ['PUBLIC']


def test_other_choices_of_previews(mast):
    table = mast_previews(proposal_id='9634', contains='f606w', excludes='')
    assert set(table['id']) == {
        f'hst_9634_0{n}_acs_wfc_f606w_drz' for n in range(3)
    }
    assert len(mast_previews(proposal_id='9634', limit=2)) == 2
    assert len(mast_previews(obs_collection='JWST')) == 0


def test_previews_are_downloaded(mast, tmp_path):
    table = mast_previews(proposal_id='9634')
    report = download(table['access_url'], tmp_path)
    assert report.fetched == 3
    assert report.paths[0].name.startswith('hst_9634_00_acs_wfc_total_drz-')


def test_nothing_found(mast):
    assert len(mast_observations(proposal_id='1')) == 0
    table = mast_previews(proposal_id='1')
    assert len(table) == 0
    assert 'access_url' in table.colnames


@pytest.mark.parametrize(
    'fault', ['status=503', 'busy=0', 'html', 'stall', 'reset', 'truncated']
)
def test_query_is_tried_again(mast, fault):
    mast.faults[PORTAL] = [fault]
    with conf.set_temp('timeout', 0.4), conf.set_temp('retries', 1):
        assert len(mast_observations(obs_collection='HST')) == 3


@pytest.mark.parametrize(
    ('fault', 'message'),
    [
        ('status=503', 'did not answer the query in 2 tries .503 Server'),
        ('html', 'did not answer the query in 2 tries'),
        ('status=401', 'refuses the query: 401'),
    ],
)
def test_query_that_fails_is_explained(mast, fault, message):
    mast.always[PORTAL] = fault
    with (
        conf.set_temp('retries', 1),
        pytest.raises(ArchiveError, match=message),
    ):
        mast_observations(obs_collection='HST')


def test_error_of_the_portal_is_passed_on(mast):
    reply = {'status': 'ERROR', 'msg': 'bad column', 'data': [], 'fields': []}
    mast.content[PORTAL] = json.dumps(reply).encode()
    with pytest.raises(ArchiveError, match='reports an error: bad column'):
        mast_observations(obs_collection='HST')


@pytest.mark.parametrize(
    ('criteria', 'message'),
    [
        ({}, 'needs a criterion'),
        ({'coordinates': 'M 31'}, 'needs a criterion'),
        ({'no_such_field': 1}, "'no_such_field' does not exist"),
        ({'t_min': 5}, 't_min=5 must be a pair of limits'),
        ({'target_name': ['M*', 'N*']}, 'has 2 patterns'),
        ({'obs_collection': 'HST', 'radius': 5}, 'radius=5 is no angle'),
        ({'obs_collection': 'HST', 'coordinates': 5}, 'is not a position'),
    ],
)
def test_bad_criteria(mast, criteria, message):
    if 'radius' in criteria:
        criteria['coordinates'] = SkyCoord(1, 2, unit='deg')
    with pytest.raises(QueryError, match=message):
        mast_observations(**criteria)


@pytest.mark.remote_data
def test_mast_itself():
    table = mast_previews(proposal_id='9634', limit=3)
    assert {'access_url', 's_ra', 's_region', 't_min'} <= {*table.colnames}
