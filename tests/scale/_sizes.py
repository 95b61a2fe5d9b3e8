# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""How large the collection of the tests is."""

N, DIM = 4500, 16
