# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Fixtures of the tests of collections."""

import pytest
from _make import make_collection


@pytest.fixture(scope='session')
def sky(tmp_path_factory):
    """Three segments, big enough for the coarse scan; not to be changed."""
    path = tmp_path_factory.mktemp('sky') / 'sky.astroclip'
    return make_collection(path, 3000, 4000, 500)


@pytest.fixture
def small(tmp_path):
    """Two small segments that a test may change."""
    return make_collection(tmp_path / 'small.astroclip', 60, 40)
