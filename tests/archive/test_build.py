# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Collections made from archives."""

import io

import astropy.units as u
import numpy as np
import pytest
from astropy.io.votable import from_table
from astropy.table import Table
from PIL import Image
from pyvo.dal import DALResults

from astroclip_search import Collection, Embedder
from astroclip_search.archive import (
    _cli,
    collection_from_mast,
    collection_from_table,
    collection_from_vo,
)
from astroclip_search.exceptions import ArchiveError, QueryError

DOWNLOAD = '/api/v0.1/Download/file'
CRITERIA = {'obs_collection': 'HST', 'proposal_id': ['9634']}


def jpeg(number):
    array = np.random.default_rng(number).integers(0, 255, (4, 4), np.uint8)
    file = io.BytesIO()
    Image.fromarray(array).resize((64, 64)).save(file, 'jpeg')
    return file.getvalue()


def test_collection_from_mast(mast, tmp_path, tiny):
    mast.content[DOWNLOAD] = jpeg(0)
    report = collection_from_mast(
        CRITERIA, path=tmp_path / 'hst', embedder=tiny, folder=tmp_path / 'p'
    )
    assert (report.added, report.unchanged) == (3, 0)
    assert len(report.failures) == 0
    collection = Collection.open(tmp_path / 'hst')
    table = collection.table()
    table.sort('id')
    assert list(table['id']) == [
        f'hst_9634_0{n}_acs_wfc_total_drz' for n in range(3)
    ]
    for name in ('s_region', 't_min', 'em_min', 'proposal_id', 'access_url'):
        assert name in table.colnames
    assert list(table['s_ra'].to_value('deg')) == [10.65, 10.66, 10.67]
    assert table['em_min'][0].to_value('m') == pytest.approx(470e-9)
    assert table['access_url'][0].startswith(mast.address)
    assert collection.thumbnail(table['id'][0]).startswith(b'\xff\xd8')


def test_everything_works_offline_afterwards(mast, tmp_path, tiny):
    mast.content[DOWNLOAD] = jpeg(0)
    collection_from_mast(CRITERIA, path=tmp_path / 'a', embedder=tiny)
    mast.always[DOWNLOAD] = mast.always['/api/v0/invoke'] = 'status=404'
    asked = len(mast.requests)
    report = collection_from_mast(CRITERIA, path=tmp_path / 'b', embedder=tiny)
    assert len(report.collection) == 3
    assert len(mast.requests) == asked
    # The same again adds nothing.
    again = collection_from_mast(CRITERIA, path=tmp_path / 'b', embedder=tiny)
    assert (again.added, again.unchanged) == (0, 3)


def test_other_criteria_are_another_list(mast, tmp_path, tiny):
    mast.content[DOWNLOAD] = jpeg(0)
    collection_from_mast(CRITERIA, path=tmp_path / 'a', embedder=tiny)
    report = collection_from_mast(
        CRITERIA, path=tmp_path / 'b', embedder=tiny, limit=1
    )
    assert len(report.collection) == 1


def table_of(server, count=6):
    table = Table({'name': [f'n{k}' for k in range(count)]})
    table['s_ra'] = np.arange(count) * u.deg
    table['s_dec'] = np.zeros(count) * u.deg
    table['obs_id'] = table['name']
    table['preview'] = [server.url(f'/{k}.jpg') for k in range(count)]
    for k in range(count):
        server.content[f'/{k}.jpg'] = jpeg(k)
    return table


def test_failures_are_kept_and_the_next_run_mends_them(server, tmp_path, tiny):
    table = table_of(server)
    table['preview'][5] = 'javascript:alert(1)'
    server.faults['/1.jpg'] = ['status=404']
    server.content['/2.jpg'] = b'\xff\xd8\xff' + bytes(100)  # no picture
    options = {'path': tmp_path / 'c', 'url_column': 'preview'}
    report = collection_from_table(table, embedder=tiny, **options)
    assert report.added == 3
    reasons = dict(report.failures['id', 'reason'].iterrows())
    assert reasons['n1'] == 'HTTP status 404 Not Found'
    assert reasons['n5'] == 'the archive gives no address of a picture'
    assert set(reasons) == {'n1', 'n2', 'n5'}
    server.requests.clear()
    report = collection_from_table(table, embedder=tiny, **options)
    assert (report.added, report.unchanged) == (1, 3)
    assert [path for path, _ in server.requests] == ['/1.jpg']
    assert set(report.failures['id']) == {'n2', 'n5'}


def test_table_without_addresses(server, tmp_path, tiny):
    table = table_of(server)
    with pytest.raises(QueryError, match="no column 'picture'"):
        collection_from_table(
            table, path=tmp_path / 'c', url_column='picture', embedder=tiny
        )
    with pytest.raises(QueryError, match='no addresses of images'):
        collection_from_table(table, path=tmp_path / 'c', embedder=tiny)
    assert not (tmp_path / 'c').exists()


def test_results_of_the_virtual_observatory(server, tmp_path, tiny):
    table = table_of(server, 4)
    table.rename_column('preview', 'access_url')
    table['access_format'] = [
        'image/jpeg',
        'application/x-votable+xml;content=datalink',
        'image/jpeg',
        'image/jpeg',
    ]
    votable = from_table(table)
    votable.resources[0].type = 'results'
    report = collection_from_vo(
        DALResults(votable), path=tmp_path / 'c', embedder=tiny, limit=3
    )
    assert sorted(report.collection.table()['id']) == ['n0', 'n2']
    assert list(report.failures['id']) == ['n1']
    assert 'is no picture' in report.failures['reason'][0]


def test_command(mast, tmp_path, tiny, monkeypatch, capsys):
    monkeypatch.setattr(Embedder, 'from_pretrained', lambda *args: tiny)
    mast.content[DOWNLOAD] = jpeg(0)
    out = tmp_path / 'c'

    def run(*words):
        from astroclip_search.cli import main

        return main(['fetch', '--collection', str(out), *words])

    assert run('obs_collection=HST', 'proposal_id=9634') == 0
    assert '3 added, 0 unchanged, 0 failed; 3 in' in capsys.readouterr().out
    table = table_of(mast, 2)
    table['preview'].name = 'access_url'
    mast.always['/1.jpg'] = 'status=404'
    table.write(tmp_path / 't.csv')
    assert run('--table', str(tmp_path / 't.csv')) == 1
    captured = capsys.readouterr()
    assert '1 added, 0 unchanged, 1 failed; 4 in' in captured.out
    assert captured.err == 'n1: HTTP status 404 Not Found\n'
    assert run() == 2
    assert 'give either criteria' in capsys.readouterr().err
    assert run('--table', 't.csv', 'x=y') == 2
    assert run('proposal') == 2
    assert _cli._criteria(['a=1', 'b=x=y', 'a=2']) == {
        'a': ['1', '2'], 'b': 'x=y',
    }  # fmt: skip


def test_failing_archive_leaves_no_collection(mast, tmp_path, tiny):
    mast.always['/api/v0/invoke'] = 'status=401'
    with pytest.raises(ArchiveError, match='refuses the query'):
        collection_from_mast(CRITERIA, path=tmp_path / 'c', embedder=tiny)
    assert not (tmp_path / 'c').exists()
