# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Results sent to other programs."""

import threading

import numpy as np
import pytest
from _rows import rows
from astropy.table import Table

from astroclip_search.exceptions import QueryError
from astroclip_search.results import SearchResult


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A real SAMP hub on the loopback, and where clients find it."""
    from pyvo import samp

    lockfile = tmp_path / 'samp'
    monkeypatch.setenv('SAMP_HUB', f'std-lockurl:{lockfile.as_uri()}')
    with samp.conf.set_temp('use_internet', False):
        hub = samp.SAMPHubServer(
            web_profile=False, lockfile=str(lockfile), mode='single'
        )
        hub.start()
        yield hub
        hub.stop()


def test_another_program_receives_the_rows(result, hub):
    from pyvo import samp

    received, done = {}, threading.Event()
    client = samp.SAMPIntegratedClient(name='receiver')
    client.connect()

    def load(private_key, sender, message_id, mtype, params, extra):
        received['name'] = params['name']
        received['table'] = Table.read(params['url'], format='votable')
        client.ereply(message_id, 'samp.ok', result={})
        done.set()

    client.bind_receive_call('table.load.votable', load)
    try:
        assert result.send(name='mine') == ['receiver']
        assert done.wait(10)
    finally:
        client.disconnect()
    assert received['name'] == 'mine'
    table = received['table']
    assert list(table['id']) == list(result['id'])
    assert list(table['target_name']) == list(result['target_name'])
    known = ~np.asarray(result['s_ra'].mask)
    assert np.array_equal(
        np.asarray(table['s_ra'])[known],
        np.asarray(result['s_ra'].value.unmasked)[known],
    )


def test_nobody_there_to_receive(result, hub):
    with pytest.raises(QueryError, match="'topcat' is not connected"):
        result.send('topcat')


def test_no_hub(result, tmp_path, monkeypatch):
    missing = (tmp_path / 'none').as_uri()
    monkeypatch.setenv('SAMP_HUB', f'std-lockurl:{missing}')
    with pytest.raises(QueryError, match='start a program with a hub'):
        result.send()


def test_aladin_gets_the_rows_that_have_a_position(result):
    class Widget:
        def add_table(self, table, **options):
            self.table = table
            self.options = options

    widget = Widget()
    assert result.show_aladin(aladin=widget) is widget
    assert list(widget.table['id']) == ['row0', 'row1', 'row2', 'row4']


def test_aladin_needs_a_position():
    table = rows()
    table['s_ra'].mask = True
    with pytest.raises(QueryError, match='no row has a position'):
        SearchResult.from_rows(table).show_aladin()
