# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Real data that some tests use where it lies beside the repository."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / 'shared' / 'data'


def shared_data(*parts):
    """Path of a file or folder of the real data, or skip the test."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip('the real data are not beside this checkout')
    return path


def read_jsonl(path):
    """Rows of a JSON Lines file."""
    with Path(path).open(encoding='utf-8') as file:
        return [json.loads(line) for line in file]
