# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Rows for the tests of results."""

import io

import numpy as np
from astropy.table import MaskedColumn, Table
from PIL import Image

NAMES = ['M 101', 'NGC 1501', 'κ Cas <b>&', 'field "A"', 'Ωmega ' * 40 + 'Ω']


def rows(n=5, *, seed=0):
    """A table as a collection gives it: positions and texts, some unknown."""
    rng = np.random.default_rng(seed)
    unknown = np.arange(n) % 5 == 3
    table = Table()
    table['id'] = [f'row{i}' for i in range(n)]
    table['target_name'] = [NAMES[i % len(NAMES)] for i in range(n)]
    table['s_ra'] = MaskedColumn(
        rng.uniform(0, 360, n), mask=unknown, unit='deg'
    )
    table['s_dec'] = MaskedColumn(
        np.degrees(np.arcsin(rng.uniform(-1, 1, n))), mask=unknown, unit='deg'
    )
    table['s_fov'] = MaskedColumn(
        np.full(n, 0.05), mask=np.arange(n) % 2 == 1, unit='deg'
    )
    table['t_min'] = MaskedColumn(
        59000.0 + np.arange(n), mask=np.arange(n) == 0, unit='d'
    )
    table['calib_level'] = MaskedColumn(np.full(n, 3), mask=np.arange(n) == 2)
    table['proposal_id'] = MaskedColumn(
        [str(2000 + i) for i in range(n)], mask=np.arange(n) == 1
    )
    table['access_url'] = [
        f'https://example.org/p{i}.jpg?a=1&b="2"' for i in range(n)
    ]
    return table


def jpeg(colour=(200, 30, 60), size=(64, 48)):
    """A small JPEG of one colour."""
    file = io.BytesIO()
    Image.new('RGB', size, colour).save(file, 'JPEG')
    return file.getvalue()
