# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Previews of proposals: which are drawn, what is resumed and reported."""

import json
from pathlib import Path

import pytest
from astropy.table import QTable

from astroclip_search import archive
from astroclip_search.exceptions import ArchiveError, TrainingError
from astroclip_search.training import fetch_previews


class Mast:
    """What MAST lists, and a server that gives it."""

    def __init__(self, **listed):
        self.listed = listed
        self.asked = []
        self.broken = set()

    def previews(self, *, obs_collection, proposal_id, progress):
        self.asked.append(proposal_id)
        if self.listed[f'p{proposal_id}'] is None:
            msg = 'MAST does not answer'
            raise ArchiveError(msg)
        names = [
            f'{proposal_id}_{i:02d}_total_drz.jpg'
            for i in range(self.listed[f'p{proposal_id}'])
        ]
        return QTable(
            {
                'id': names,
                'access_url': [f'https://mast/{name}' for name in names],
                's_ra': [1.5] * len(names),
                's_dec': [-2.5] * len(names),
                'instrument_name': ['ACS/WFC'] * len(names),
            }
        )

    def download(self, urls, folder, *, seed, progress):
        paths = [
            None if url in self.broken else Path(folder) / url[-20:]
            for url in urls
        ]
        failed = [url for url in urls if url in self.broken]
        failures = QTable(
            {'url': failed, 'reason': ['HTTP 503'] * len(failed)},
            dtype=('str', 'str'),
        )
        return archive.DownloadReport(paths, 0, 0, failures)


@pytest.fixture
def mast(monkeypatch):
    server = Mast(p10=30, p11=4, p12=None, p13=0)
    monkeypatch.setattr(archive, 'mast_previews', server.previews)
    monkeypatch.setattr(archive, 'download', server.download)
    return server


def test_at_most_twenty_without_replacement(mast, tmp_path):
    table = fetch_previews(['10', 11, '11'], tmp_path)
    ids = table['id'].tolist()
    assert len(ids) == len(set(ids)) == 24
    assert sum(name.startswith('10_') for name in ids) == 20
    assert table['proposal_id'].tolist() == ['10'] * 20 + ['11'] * 4
    assert table['s_dec'][0] == -2.5


def test_draw_depends_on_seed_and_proposal_alone(mast, tmp_path):
    one = fetch_previews(['10', '11'], tmp_path / 'a', per_proposal=3)
    two = fetch_previews(['11', '10'], tmp_path / 'b', per_proposal=3)
    assert set(one['id']) == set(two['id'])
    three = fetch_previews(['10'], tmp_path / 'c', per_proposal=3, seed=1)
    assert set(three['id']) != {i for i in one['id'] if i[:2] == '10'}


def test_failures_are_recorded_and_asked_again(mast, tmp_path):
    mast.broken.add('https://mast/11_01_total_drz.jpg')
    table = fetch_previews(['11', '12', '13'], tmp_path)
    assert len(table) == 3
    assert table.meta['failures'] == 2
    lines = (tmp_path / 'failures.jsonl').read_text().splitlines()
    assert [json.loads(line)['reason'] for line in lines] == [
        'MAST does not answer',
        'HTTP 503',
    ]
    mast.listed['p12'], mast.broken = 2, set()
    mast.asked.clear()
    table = fetch_previews(['11', '12', '13'], tmp_path)
    assert mast.asked == ['12']  # the others were known
    assert len(table) == 6
    assert (tmp_path / 'failures.jsonl').read_text() == ''


def test_nothing_at_all(mast, tmp_path):
    with pytest.raises(TrainingError, match='MAST does not answer'):
        fetch_previews(['12'], tmp_path)
    with pytest.raises(TrainingError, match='lists none'):
        fetch_previews(['13'], tmp_path)


@pytest.mark.remote_data
def test_mast_itself(tmp_path):
    table = fetch_previews(['9425'], tmp_path, per_proposal=2)
    assert len(table) == 2
    assert all(Path(path).stat().st_size > 1000 for path in table['image'])
