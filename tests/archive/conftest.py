# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Servers on the loopback, and caches of their own."""

import pytest
from _faults import FaultServer, serving
from _mastserver import MastServer
from _tiny import tiny_bundle
from astropy.config import paths

from astroclip_search import conf
from astroclip_search.archive import _portal, _transfer


def temporary_cache(folder):
    """Context in which Astropy keeps the files of the package in a folder."""
    new = getattr(paths, 'temporary_cache_dir_path', None)
    if new is None:  # before Astropy 8
        return paths.set_temp_cache(folder)
    return new(folder, namespace='astroclip_search')


@pytest.fixture(autouse=True)
def isolated(monkeypatch, tmp_path_factory):
    """No proxy for the loopback, short waits, a cache of its own."""
    for module in (_transfer, _portal):
        monkeypatch.setattr(module, 'backoff', lambda attempt, rng: 0.01)
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    cache = temporary_cache(tmp_path_factory.mktemp('cache'))
    with cache, conf.set_temp('progress', 'off'):
        yield


@pytest.fixture
def server():
    with serving(FaultServer()) as running:
        yield running


@pytest.fixture
def mast(monkeypatch):
    with serving(MastServer()) as running:
        running.point_astroquery(monkeypatch)
        yield running


@pytest.fixture(scope='session')
def tiny(tmp_path_factory):
    """A small model of random weights."""
    from astroclip_search import Embedder

    return Embedder.from_pretrained(
        tiny_bundle(tmp_path_factory.mktemp('bundle') / 'tiny')
    )


@pytest.fixture
def hips(server, monkeypatch):
    from astroquery.hips2fits import conf as hips_conf

    pytest.importorskip('matplotlib')
    item = type(hips_conf).server
    monkeypatch.setattr(item, 'cfgtype', 'string')
    with hips_conf.set_temp(
        'server', server.url('/hips-image-services/hips2fits')
    ):
        yield server
