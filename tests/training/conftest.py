# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""One small model and one small set of pairs for all tests of training."""

import pytest
from _sets import small_set
from _tiny import tiny_bundle


@pytest.fixture(autouse=True)
def no_graphs(monkeypatch):
    """Leave ONNX graphs out of bundles: they are tested elsewhere."""
    monkeypatch.setattr(
        'astroclip_search.embedding._write._write_graphs', lambda bundle: None
    )


@pytest.fixture(autouse=True, scope='session')
def one_thread():
    """Small matrices: threads only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='session')
def tiny(tmp_path_factory):
    """Path of a bundle of random weights."""
    return tiny_bundle(tmp_path_factory.mktemp('model') / 'tiny')


@pytest.fixture(scope='session')
def pairs(tmp_path_factory):
    """48 images of 12 captions."""
    return small_set(tmp_path_factory.mktemp('set'))
