# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Recorded replies of archives, mapped to ObsCore."""

import csv
import gzip
import json

import astropy.units as u
import numpy as np
import pytest
from _shared import shared_data
from astropy.table import Table
from astropy.time import Time
from mocpy import MOC

from astroclip_search.archive import to_obscore
from astroclip_search.exceptions import ArchiveError
from astroclip_search.obscore import COLUMNS

CAOM = ['caom.json', 'advSearch.json', 'advSearchPos.json']
SAME = [
    'obs_id', 'obs_collection', 'obs_title', 'dataproduct_type',
    'target_name', 'instrument_name', 'proposal_id', 'proposal_pi',
]  # fmt: skip


def load(name):
    return json.loads(shared_data('mast', name).read_text())


def values(table, name):
    """Plain values, None where masked or where the column is missing."""
    if name not in table.colnames:
        return [None] * len(table)
    column = table[name]
    data = getattr(column, 'unmasked', column)
    data = np.asarray(getattr(data, 'value', data)).tolist()
    mask = np.broadcast_to(getattr(column, 'mask', False), len(table))
    return [None if m else v for v, m in zip(data, mask, strict=True)]


def check_table(table, count):
    assert len(table) == count
    ids = values(table, 'id')
    assert len(set(ids)) == count
    assert None not in ids
    for name in table.colnames:
        info = COLUMNS[name]
        unit = table[name].unit
        assert unit == (u.Unit(info.unit) if info.unit else None)
        assert table[name].info.meta['ucd'] == info.ucd
        assert table[name].info.description


@pytest.mark.parametrize('name', CAOM)
def test_caom_observations(name):
    rows = load(name)['data']
    table = to_obscore(shared_data('mast', name))
    check_table(table, len(rows))
    # Positions, times and exposure are those of the reply, to the last bit.
    for key in ('s_ra', 's_dec', 't_min', 't_max', 't_exptime'):
        assert values(table, key) == [row[key] for row in rows]
    for key in SAME:
        assert values(table, key) == [row[key] or None for row in rows]
    for key in ('em_min', 'em_max'):  # nm, 0 where it is unknown
        expected = [row[key] or None for row in rows]
        for found, nm in zip(values(table, key), expected, strict=True):
            assert (found is None) == (nm is None)
            assert found is None or found == pytest.approx(nm * 1e-9)
    assert values(table, 'access_url') == [row['jpegURL'] for row in rows]
    assert values(table, 'calib_level') == [row['calib_level'] for row in rows]
    assert values(table, 'target_class') == [
        row['target_classification'] for row in rows
    ]
    assert set(values(table, 'access_format')) == {'image/jpeg'}


@pytest.mark.parametrize('name', CAOM)
def test_footprints_keep_their_vertices_and_can_be_read(name):
    rows = load(name)['data']
    table = to_obscore(shared_data('mast', name))
    for row, region in zip(rows, values(table, 's_region'), strict=True):
        shape, frame, *numbers = row['s_region'].split()
        assert frame in ('GSC1', 'J2000', 'ICRS')
        assert region.split() == [shape, 'ICRS', *numbers]
        assert MOC.from_stcs(region, max_depth=10).sky_fraction > 0


def test_caom_facilities():
    table = to_obscore(shared_data('mast', 'caom.json'))
    found = set(
        zip(
            values(table, 'obs_collection'),
            values(table, 'facility_name'),
            strict=True,
        )
    )
    assert found == {('HST', 'HST'), ('HLA', 'HST'), ('GALEX', 'GALEX')}


def test_caom_products():
    rows = load('products.json')['data']
    table = to_obscore(shared_data('mast', 'products.json'))
    check_table(table, len(rows))
    assert values(table, 'obs_id') == [row['obs_id'] for row in rows]
    for row, url, size in zip(
        rows,
        values(table, 'access_url'),
        values(table, 'access_estsize'),
        strict=True,
    ):
        assert url == (
            'https://mast.stsci.edu/api/v0.1/Download/file?uri='
            + row['dataURI']
        )
        assert size == -(-row['size'] // 1000)
    assert values(table, 'id')[0] == 'u9o40504m_c3m'
    assert values(table, 'access_format')[0] == 'image/fits'


def test_mission_search():
    rows = load('mission_results.json')['results']
    table = to_obscore(shared_data('mast', 'mission_results.json'))
    check_table(table, len(rows))
    assert values(table, 's_ra') == [row['sci_ra'] for row in rows]
    assert values(table, 's_dec') == [row['sci_dec'] for row in rows]
    expected = Time([row['sci_start_time'] for row in rows], scale='utc').mjd
    assert values(table, 't_min') == pytest.approx(expected, abs=1e-9)
    assert values(table, 'instrument_name')[0] == 'WFPC'
    assert values(table, 'filters')[-1] == 'F550M CLEAR2L'
    assert values(table, 'proposal_id') == [
        str(row['sci_pep_id']) for row in rows
    ]


def test_mission_products():
    rows = load('mission_products.json')['products']
    table = to_obscore(shared_data('mast', 'mission_products.json'))
    check_table(table, len(rows))
    assert values(table, 'access_url')[0] == (
        'https://mast.stsci.edu/search/hst/api/v0.1/retrieve_product'
        '?product_name=Z14Z0104T/z14z0104t_shf.fits'
    )
    assert values(table, 'data_rights') == ['PUBLIC'] * len(rows)


@pytest.mark.parametrize(
    ('name', 'count'),
    [
        ('esahubble_cone_search.vot', 317),
        ('esahubble_cone_search_m31_5.vot', 2000),
        ('esahubble_m31.test.vot', 119),
    ],
)
def test_votables_of_esa(name, count):
    path = shared_data('mast', name)
    table = to_obscore(path)
    check_table(table, count)
    reply = Table.read(path, format='votable')
    reply.rename_columns(reply.colnames, [n.lower() for n in reply.colnames])
    for key, ours in (
        ('ra', 's_ra'), ('dec', 's_dec'), ('start_time_mjd', 't_min'),
        ('end_time_mjd', 't_max'), ('exposure_duration', 't_exptime'),
        ('fov_size', 's_fov'),
    ):  # fmt: skip
        if key in reply.colnames:
            assert values(table, ours) == values(reply, key)
    if 'wave_min' in reply.colnames:
        nm = np.array(values(reply, 'wave_min'), dtype=float)
        metres = np.array(values(table, 'em_min'), dtype=float)
        np.testing.assert_allclose(metres, nm * 1e-9, rtol=1e-12)
    assert values(table, 'obs_id') == values(reply, 'observation_id')


def test_csv_of_esa():
    path = shared_data('mast', 'hst_ehst_observations.csv')
    with path.open(newline='') as file:
        rows = list(csv.DictReader(file))
    table = to_obscore(path)
    check_table(table, 2184)
    assert values(table, 's_ra') == [float(row['ra']) for row in rows]
    assert values(table, 's_dec') == [float(row['dec']) for row in rows]
    assert values(table, 'proposal_id') == [row['proposal_id'] for row in rows]
    starts = Time([row['start'] for row in rows], scale='utc').mjd
    assert values(table, 't_min') == pytest.approx(starts, abs=1e-9)


@pytest.mark.parametrize(
    ('name', 'title', 'proposal', 'preview', 'end', 'count'),
    [
        ('jwst_latest.csv', 'obs_title', 'proposal_id', 'jpegURL', 't_max',
         6156),
        ('jwst_older.csv', 'obs_title', 'proposal_id', 'jpegURL', 't_max',
         11504),
        ('jwst_ngc.csv', 'title', 'proposal', 'jpeg', 'collected_to', 1042),
    ],
)  # fmt: skip
def test_tables_of_jwst(name, title, proposal, preview, end, count):
    path = shared_data('mast', name)
    with path.open(newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    table = to_obscore(path)
    check_table(table, count)
    assert values(table, 'obs_title') == [
        row[title].strip() or None for row in rows
    ]
    assert values(table, 'proposal_id') == [
        row[proposal].strip() or None for row in rows
    ]
    base = 'https://mast.stsci.edu/api/v0.1/Download/file?uri='
    assert values(table, 'access_url') == [
        base + row[preview] if row[preview] else None for row in rows
    ]
    assert set(values(table, 'obs_collection')) <= {'JWST', None}
    ends = [row[end] for row in rows]
    known = [k for k, v in enumerate(ends) if v]
    mjd = Time([ends[k] for k in known], scale='utc').mjd
    found = values(table, 't_max')
    assert [found[k] for k in known] == pytest.approx(mjd, abs=1e-9)


def test_every_other_recorded_reply_is_refused_in_one_line():
    accepted = {
        *CAOM, 'products.json', 'mission_results.json',
        'mission_products.json', 'hst_ehst_observations.csv',
    }  # fmt: skip
    refused = 0
    for path in shared_data('mast').iterdir():
        name = path.name
        if name in accepted or name.startswith(('jwst_', 'esahubble_')):
            continue
        with pytest.raises(ArchiveError) as caught:
            to_obscore(path)
        assert '\n' not in str(caught.value)
        refused += 1
    assert refused == 14


@pytest.mark.parametrize('name', ['J6FL25S4Q', 'X0MC5101T'])
def test_error_replies_of_esa(name):
    with pytest.raises(ArchiveError, match='no valid VOTable'):
        to_obscore(shared_data('mast', f'esahubble_{name}.test.vot'))


def test_error_of_a_tap_service_is_passed_on():
    votable = b"""<?xml version="1.0"?><VOTABLE version="1.3"
      xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="results">
      <INFO name="QUERY_STATUS" value="ERROR">no such column</INFO>
      </RESOURCE></VOTABLE>"""
    with pytest.raises(ArchiveError, match='an error: no such column'):
        to_obscore(votable)


def test_error_of_mast_is_passed_on():
    with pytest.raises(ArchiveError, match='reports an error: no way'):
        to_obscore({'status': 'ERROR', 'msg': 'no way', 'data': []})


def test_units_of_a_table_are_converted():
    table = Table({'obs_id': ['a'], 's_ra': [1.5], 's_dec': [2.5]})
    table['em_min'] = [500.0] * u.nm
    table['t_exptime'] = [2.0] * u.min
    found = to_obscore(table)
    assert found['em_min'][0].to_value('m') == pytest.approx(5e-7)
    assert found['t_exptime'][0].to_value('s') == pytest.approx(120)


def test_compressed_reply():
    rows = [{'obs_id': 'a', 's_ra': 1.0, 's_dec': 2.0}]
    data = gzip.compress(json.dumps({'data': rows}).encode())
    assert to_obscore(data)['s_ra'][0] == 1 * u.deg
    with pytest.raises(ArchiveError, match='damaged'):
        to_obscore(data[:-12])


def test_rows_that_repeat_an_observation_stay_apart():
    row = {'obs_id': 'a', 's_ra': 1.0, 's_dec': 2.0}
    rows = [row, {**row, 'filters': 'F606W'}, row, row]
    ids = values(to_obscore({'data': rows}), 'id')
    assert len(set(ids)) == 4


# What hostile replies must not be able to do.


def test_addresses_of_other_kinds_are_dropped():
    urls = [
        'javascript:alert(1)', 'file:///etc/passwd', 'data:text/html,x',
        'https://archive/a.jpg', 'MAST:HST/product/a.jpg', None,
    ]  # fmt: skip
    rows = [
        {'obs_id': str(k), 's_ra': 0.0, 's_dec': 0.0, 'access_url': url}
        for k, url in enumerate(urls)
    ]
    found = values(to_obscore({'data': rows}), 'access_url')
    assert found[:3] == [None] * 3
    assert found[3] == urls[3]
    assert found[4].startswith('https://mast.stsci.edu/')
    assert found[5] is None


def test_html_in_a_title_stays_text():
    title = '<script>alert(1)</script>'
    row = {'obs_id': 'a', 's_ra': 0.0, 's_dec': 0.0, 'obs_title': title}
    assert values(to_obscore({'data': [row]}), 'obs_title') == [title]


@pytest.mark.parametrize(
    'declaration',
    [
        '<!DOCTYPE VOTABLE [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>',
        '<!DOCTYPE VOTABLE [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!doctype VOTABLE [<!entity a "x">]>',
    ],
)
def test_entities_are_refused(declaration):
    votable = f"""<?xml version="1.0"?>{declaration}
      <VOTABLE version="1.3"><RESOURCE><TABLE>
      <FIELD name="obs_id" datatype="char" arraysize="*"/><DATA><TABLEDATA>
      <TR><TD>&a;</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"""
    with pytest.raises(ArchiveError, match='declares XML entities'):
        to_obscore(votable.encode())


@pytest.mark.parametrize(
    'reply',
    [
        b'', b'{', b'[1, 2]', b'{"data": 3}', b'{"data": [[1]]}',
        b'<html><body>Login</body></html>', b'<VOTABLE', b'a,b\n1,2,3\n',
        b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR', b'{"a":' * 100_000,
    ],
)  # fmt: skip
def test_rubbish_is_refused_in_one_line(reply):
    with pytest.raises(ArchiveError) as caught:
        to_obscore(reply)
    assert '\n' not in str(caught.value)
