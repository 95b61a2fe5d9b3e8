# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Time until the first answer, against what it is built on::

    python benchmarks/cold_start.py [--repeat 5]

The commands take turns, so that a busy machine slows all of them, and the
median of each is compared. Only ratios mean something.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

OPEN_CLIP = 'import torch, open_clip'
# Where the registries pair torch and torchvision badly, the import above
# stops half-way; this one goes on as our own does.
OPEN_CLIP_WHOLE = (
    'from astroclip_search.embedding._torchvision import import_open_clip; '
    'import_open_clip()'
)
COMMANDS = {
    'command line': [
        str(Path(sys.executable).with_name('astroclip-search')),
        'search',
        'spiral galaxy',
    ],
    'torch, open_clip': [sys.executable, '-c', OPEN_CLIP],
    'torch, open_clip (whole)': [sys.executable, '-c', OPEN_CLIP_WHOLE],
    'astroclip_search': [sys.executable, '-c', 'import astroclip_search'],
    'search, describe': [
        sys.executable,
        '-c',
        'from astroclip_search import search, describe, Embedder, Collection',
    ],
    'astropy': [
        sys.executable,
        '-c',
        'import astropy.table, astropy.coordinates',
    ],
}
SECOND = """
import time
from astroclip_search import search
search('globular cluster')
times = []
for text in ('spiral galaxy', 'planetary nebula', 'dust', 'comet', 'jets'):
    start = time.perf_counter()
    search(text)
    times.append(time.perf_counter() - start)
print(sorted(times)[len(times) // 2])
"""


def seconds(command):
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=False)
    return time.perf_counter() - start, done.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--repeat', type=int, default=5)
    args = parser.parse_args()
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    times = {name: [] for name in COMMANDS}
    status = {}
    for turn in range(args.repeat + 1):
        for name, command in COMMANDS.items():
            taken, status[name] = seconds(command)
            if turn:  # the first turn fills the caches of the system
                times[name].append(taken)
    median = {name: statistics.median(taken) for name, taken in times.items()}
    second = subprocess.run(
        [sys.executable, '-c', SECOND],
        capture_output=True,
        check=True,
        text=True,
    )
    report = {
        'seconds': {name: round(taken, 3) for name, taken in median.items()},
        'status': status,
        'command line / (torch, open_clip)': round(
            median['command line'] / median['torch, open_clip'], 3
        ),
        'command line / (torch, open_clip, whole)': round(
            median['command line'] / median['torch, open_clip (whole)'], 3
        ),
        'import / astropy': round(
            median['astroclip_search'] / median['astropy'], 3
        ),
        'import of all names / astropy': round(
            median['search, describe'] / median['astropy'], 3
        ),
        'second search, ms': round(1000 * float(second.stdout), 1),
    }
    print(json.dumps(report, indent=1))


if __name__ == '__main__':
    main()
