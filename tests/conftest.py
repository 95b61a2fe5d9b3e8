# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Settings of the whole test run."""

import os

import pytest

# Small matrices on shared machines: threads only get in each other's way.
os.environ.setdefault('OMP_NUM_THREADS', '2')
os.environ.setdefault('HF_HUB_OFFLINE', '1')
os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')
os.environ.setdefault('MPLBACKEND', 'Agg')


def pytest_configure(config):
    try:
        from pytest_astropy_header.display import (
            PYTEST_HEADER_MODULES,
            TESTED_VERSIONS,
        )
    except ImportError:
        return
    from astroclip_search import __version__

    PYTEST_HEADER_MODULES.clear()
    PYTEST_HEADER_MODULES.update(
        {
            'numpy': 'numpy',
            'astropy': 'astropy',
            'astroquery': 'astroquery',
            'pyarrow': 'pyarrow',
            'torch': 'torch',
            'onnxruntime': 'onnxruntime',
        }
    )
    TESTED_VERSIONS['astroclip_search'] = __version__


@pytest.fixture(scope='session', autouse=True)
def own_cache(tmp_path_factory):
    """Keep what is remembered of test bundles out of the user's cache."""
    from astropy.config import paths

    folder = tmp_path_factory.mktemp('cache')
    new = getattr(paths, 'temporary_cache_dir_path', None)
    if new is None:  # before Astropy 8
        context = paths.set_temp_cache(folder)
    else:
        context = new(folder, namespace='astroclip_search')
    with context:
        yield
