# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Results that several tests use."""

import numpy as np
import pytest


@pytest.fixture
def result():
    """Five rows, best first, one of them without a position."""
    from _rows import jpeg, rows

    from astroclip_search.results import SearchResult

    return SearchResult.from_rows(
        rows(),
        similarity=np.array([0.5, 0.4, 0.3, 0.2, 0.1]),
        false_match_rate=np.array([0.001, 0.01, 0.02, 0.2, 0.4]),
        thumbnails=[jpeg(), None, jpeg(), None, None],
        meta={
            'query': 'a <script>alert(1)</script> galaxy',
            'collection': 'made up',
            'model': {'name': 'none', 'fingerprint': 'sha256:0'},
            'counts': [5, 4],
        },
    )
