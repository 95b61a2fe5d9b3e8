# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Run the benchmarks one after another, and keep what they say.

    python benchmarks/run_all.py --data FOLDER [--quick] [--output FILE]

``FOLDER`` holds ``pairs/`` and ``fits/``. Each script runs in a process of
its own and prints its table; all of them go to a text file, under a
description of the machine. Ratios mean something on a busy machine, seconds
do not.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = (
    'astroclip-search', 'numpy', 'astropy', 'pyarrow', 'onnxruntime', 'torch',
    'open_clip_torch', 'faiss-cpu',
)  # fmt: skip


def commands(data, quick):
    """The scripts with their arguments, the shortest first."""
    rows = ['100000'] if quick else ['100000', '1000000']
    yield 'cold_start.py', []
    yield 'images.py', ['speed', 'fidelity', 'throughput', '--data', data]
    yield 'embedding.py', ['--data', f'{data}/pairs']
    for n in rows:
        yield 'collection.py', ['--rows', n]
    yield 'training.py', ['speed', 'memory']
    yield 'archive_faults.py', []
    if not quick:
        yield 'images.py', ['mosaic']
        yield 'collections_faults.py', []
        yield 'images_fuzz.py', ['--data', f'{data}/fits']


def machine():
    """Describe the machine and the software."""
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30
    system = f'{platform.system()} {platform.machine()}'
    load = os.getloadavg()[0]
    packages = ', '.join(f'{name} {version(name)}' for name in PACKAGES)
    lines = [
        f'{datetime.now(UTC):%Y-%m-%d %H:%M} UTC',
        f'{system}, {os.cpu_count()} cores, {memory:.0f} GiB; load {load:.1f}',
        f'Python {platform.python_version()}, {packages}',
    ]
    return '\n'.join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', required=True)
    parser.add_argument('--quick', action='store_true')
    parser.add_argument('--output', type=Path)
    args = parser.parse_args()
    parts, failed = [machine()], 0
    print(parts[0], flush=True)
    for name, options in commands(args.data, args.quick):
        start = time.monotonic()
        run = subprocess.run(
            [sys.executable, '-W', 'ignore', str(HERE / name), *options],
            capture_output=True,
            text=True,
        )
        title = f'{name} {" ".join(options)}'
        text = run.stdout.strip()
        if run.returncode:
            failed += 1
            text += f'\nFAILED ({run.returncode}): {run.stderr[-2000:]}'
        took = time.monotonic() - start
        parts.append(f'== {title} ({took:.0f} s)\n{text}')
        print(parts[-1], flush=True)
    if args.output is not None:
        args.output.write_text('\n\n'.join(parts) + '\n', encoding='utf-8')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
