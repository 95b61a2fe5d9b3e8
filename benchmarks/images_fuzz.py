# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Feed damaged and hostile files to the reader, in processes with limits.

    python benchmarks/images_fuzz.py --count 20000 --seed 1 [--data FOLDER]

Every case must end in a picture or in an `AstroClipError`, within seconds and
within 1 GB above what the interpreter takes, and with no warning but ours. A
case is fully given by the seed and its number: ``--only N`` runs one again.
"""

import argparse
import json
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'tests' / 'images'))

CASE_SECONDS = 10
SILENCE_SECONDS = 120
MAX_GROWTH = 1 << 30
MAX_FILE = 700_000


def bases(folder):
    """Good files by name: small real ones, then generated ones."""
    from _mutate import generated_files

    files = {}
    if folder and Path(folder).is_dir():
        for path in sorted(Path(folder).iterdir()):
            if path.suffix != '.jsonl' and path.stat().st_size < MAX_FILE:
                files[path.name] = path.read_bytes()
    return {**files, **generated_files()}


def run_case(files, seed, number, work):
    """Run one case; return what came of it."""
    from _mutate import mutate

    from astroclip_search.exceptions import AstroClipError, AstroClipWarning
    from astroclip_search.images import image_facts, read_image, render, tiles

    rng = np.random.default_rng([seed, number])
    name = list(files)[rng.integers(len(files))]
    data = mutate(files[name], rng)
    path = work / f'case-{number}'
    path.write_bytes(data)
    outcome = 'picture'
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            image = read_image(path)
            render(image)
            image_facts(image)
            if number % 10 == 0:
                next(tiles(image, size=16), None)
                repr(image)
        except AstroClipError:
            outcome = 'our error'
        except Exception as exc:
            outcome = f'{type(exc).__name__}: {exc}'[:200]
    path.unlink()
    foreign = [
        item for item in caught
        if not issubclass(item.category, AstroClipWarning)
    ]  # fmt: skip
    if foreign:
        outcome = f'warning {foreign[0].category.__name__}: ' + str(
            foreign[0].message
        )
    elif len(caught) > 1:
        outcome = f'{len(caught)} warnings'
    return name, outcome


def worker(args):
    """Run cases in this process, reporting each in a line."""
    import tempfile

    def too_long(*_):
        msg = f'more than {CASE_SECONDS} s'
        raise TimeoutError(msg)

    signal.signal(signal.SIGPROF, too_long)
    files = bases(args.data)
    with tempfile.TemporaryDirectory() as folder:
        run_case(files, args.seed, args.start, Path(folder))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        used = int(Path('/proc/self/statm').read_text().split()[0]) * 4096
        limit = used + 3 * MAX_GROWTH
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for number in range(args.start, args.stop):
            print(json.dumps({'begin': number}), flush=True)
            signal.setitimer(signal.ITIMER_PROF, CASE_SECONDS)
            started = time.process_time()
            name, outcome = run_case(files, args.seed, number, Path(folder))
            signal.setitimer(signal.ITIMER_PROF, 0)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            if peak - before > MAX_GROWTH:
                outcome = f'memory grew by {(peak - before) >> 20} MB'
            row = {
                'number': number, 'name': name, 'outcome': outcome,
                'seconds': time.process_time() - started,
            }  # fmt: skip
            print(json.dumps(row), flush=True)


def rows_of(command):
    """Lines of a process as they come; killed where none comes."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    last = [time.monotonic()]

    def watch():
        while process.poll() is None:
            if time.monotonic() - last[0] > SILENCE_SECONDS:
                process.kill()
            time.sleep(1)

    threading.Thread(target=watch, daemon=True).start()
    for line in process.stdout:
        last[0] = time.monotonic()
        # Compiled code of a dependency prints lines of its own.
        if line.startswith('{"'):
            yield json.loads(line)
    yield {'returncode': process.wait()}


def run_part(args, start, stop):
    """Run cases in a process of their own; start again after a crash."""
    while start < stop:
        command = [
            sys.executable, __file__, '--worker', '--seed', str(args.seed),
            '--start', str(start), '--stop', str(stop),
            '--data', str(args.data or ''),
        ]  # fmt: skip
        begun = done = None
        for row in rows_of(command):
            if 'begin' in row:
                begun = row['begin']
            elif 'returncode' in row:
                reason = f'process ended with {row["returncode"]}'
            else:
                done = row['number']
                yield row
        if done == stop - 1:
            return
        number = start if begun is None else begun
        yield {'number': number, 'name': '', 'outcome': reason, 'seconds': 0}
        start = number + 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--count', type=int, default=20_000)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--part', type=int, default=2000)
    parser.add_argument('--data', help='folder of real FITS files')
    parser.add_argument('--only', type=int)
    parser.add_argument('--worker', action='store_true')
    parser.add_argument('--start', type=int, default=0)
    parser.add_argument('--stop', type=int, default=0)
    args = parser.parse_args()
    if args.worker:
        worker(args)
        return 0
    if args.only is not None:
        args.start, args.stop = args.only, args.only + 1
        worker(args)
        return 0
    counts, bad, slowest = Counter(), [], 0.0
    for start in range(args.start, args.start + args.count, args.part):
        stop = min(start + args.part, args.start + args.count)
        for row in run_part(args, start, stop):
            good = row['outcome'] in ('picture', 'our error')
            counts[row['outcome'] if good else 'BAD'] += 1
            slowest = max(slowest, row['seconds'])
            if not good:
                bad.append(row)
                print(json.dumps(row), flush=True)
        print(f'{stop} {dict(counts)}', flush=True)
    print(f'{dict(counts)}; slowest case {slowest:.1f} s of CPU')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
