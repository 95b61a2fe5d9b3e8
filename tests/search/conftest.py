# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""A small model and a collection whose vectors are known."""

import numpy as np
import pytest
from _tiny import tiny_bundle
from astropy.table import MaskedColumn, QTable

from astroclip_search import Collection, Embedder


@pytest.fixture(scope='session')
def model_path(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp('model') / 'tiny')


@pytest.fixture(scope='session')
def model(model_path):
    return Embedder.from_pretrained(model_path)


@pytest.fixture(scope='session')
def rows():
    """80 rows; every fifth has no position, some have no instrument."""
    n = 80
    rng = np.random.default_rng(7)
    known = np.arange(n) % 5 != 0
    return QTable(
        {
            'id': [f'row{i:02d}' for i in range(n)],
            'target_name': [f'NGC {i}' for i in range(n)],
            's_ra': MaskedColumn(rng.uniform(80, 82, n), mask=~known),
            's_dec': MaskedColumn(rng.uniform(-70, -68, n), mask=~known),
            'instrument_name': MaskedColumn(
                np.where(np.arange(n) % 2, 'ACS', 'WFC3'),
                mask=np.arange(n) % 7 == 0,
            ),
            'proposal_id': [str(100 + i // 4) for i in range(n)],
            't_exptime': np.arange(n) * 10.0,
            'access_url': [f'https://example.org/{i}.jpg' for i in range(n)],
        }
    )


@pytest.fixture(scope='session')
def vectors(model, rows):
    rng = np.random.default_rng(8)
    vectors = rng.normal(size=(len(rows), model.dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # What a collection keeps is rounded to 16 bits.
    return vectors.astype(np.float32).astype(np.float16)


@pytest.fixture(scope='session')
def collection_path(tmp_path_factory, model, rows, vectors):
    path = tmp_path_factory.mktemp('collections') / 'known.astroclip'
    collection = Collection.create(path, embedder=model)
    collection.add(rows, vectors=vectors.astype(np.float64))
    return path
