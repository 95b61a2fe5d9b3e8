# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Collections as data sets of Hugging Face (an extra)."""

import numpy as np
import pytest
from _make import make_collection, make_rows

pytest.importorskip('datasets')


def test_dataset_has_the_rows_and_vectors(tmp_path):
    collection = make_collection(tmp_path / 'c.astroclip', 20, 10)
    rows, _ = make_rows(20)
    dataset = collection.to_datasets()
    assert len(dataset) == 30
    ids = dataset['id'][:]
    assert sorted(ids) == sorted(f'row-{i}' for i in range(30))
    times = dict(zip(ids, dataset['t_exptime'][:], strict=True))
    for row in rows:
        assert times[row['id']] == row['t_exptime']
    expected = collection.vectors(ids)
    assert np.allclose(
        np.asarray(dataset['vector'][:], dtype=np.float32), expected, atol=1e-3
    )
