# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""A short run of the fault benchmark: kills, full disks, readers."""

import importlib.util
import sys
from pathlib import Path

import pytest

from astroclip_search import Collection

SCRIPT = Path(__file__).parents[2] / 'benchmarks' / 'collections_faults.py'

pytestmark = pytest.mark.skipif(
    sys.platform == 'win32', reason='signals and limits of POSIX'
)


@pytest.fixture(scope='module')
def script():
    if not SCRIPT.exists():
        pytest.skip('the benchmarks are not beside the tests')
    spec = importlib.util.spec_from_file_location('faults', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.warm_up()
    return module


@pytest.mark.parametrize(
    ('quota', 'number'), [(0, 8), (1, 8)], ids=['killed', 'disk full']
)
def test_nothing_is_lost(script, tmp_path, quota, number):
    Collection.create(tmp_path / 'c', dim=script.DIM)
    sizes, changes = script.faults(tmp_path / 'c', number, quota=quota)
    assert len(sizes) == number
    assert changes > 0


def test_readers_see_committed_states(script, tmp_path):
    Collection.create(tmp_path / 'c', dim=script.DIM)
    answers, states = script.readers(tmp_path / 'c', 2, 1.0)
    assert answers > 0
    assert states > 0
