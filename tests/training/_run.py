# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""A training process of its own: ``python _run.py PAIRS OUTPUT CONFIG``."""

import sys
from pathlib import Path

if __name__ == '__main__':
    from astroclip_search.training import TrainingConfig, fine_tune

    pairs, output, config = sys.argv[1:]
    fine_tune(
        pairs,
        output=output,
        config=TrainingConfig.from_json(Path(config).read_text()),
        device='cpu',
    )
