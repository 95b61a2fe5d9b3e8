# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""From proposals and previews to a trained and measured model."""
