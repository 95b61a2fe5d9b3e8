# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Download a thousand files from a server that fails 30 % of requests.

Each request draws a fault with probability 0.3; one file in twenty fails
always. A file is retrievable if one of the first ``retries + 1`` answers is
honest. Run from the root of the repository::

    python benchmarks/archive_faults.py
"""

import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / 'tests' / 'archive'))

from _faults import FaultServer, picture, serving

from astroclip_search.archive import download

COUNT = 1000
SHARE = 0.3
RETRIES = 4
TIMEOUT = 1.0
PASSING = (
    'stall', 'stalled_body', 'drip', 'reset', 'status=500', 'status=502',
    'status=503', 'busy=1', 'busy=0', 'down=1', 'truncated', 'untagged',
    'changed', 'chunked=1', 'endless', 'html', 'disguised', 'text', 'empty',
)  # fmt: skip
LASTING = ('status=404', 'stall', 'html', 'untagged', 'loop', 'huge', 'reset')


def script(server):
    """Set the faults; return the paths that can be had."""
    rng = random.Random(0)
    good = set()
    for n in range(COUNT):
        path = f'/{n}.jpg'
        server.content[path] = picture(path, rng.randrange(5_000, 200_000))
        if n % 20 == 7:
            server.always[path] = LASTING[n // 20 % len(LASTING)]
            continue
        faults = []
        while rng.random() < SHARE:
            faults.append(rng.choice(PASSING))
        server.faults[path] = faults
        if len(faults) <= RETRIES:
            good.add(path)
    return good


def run(server, urls, folder):
    process = psutil.Process()
    before = process.memory_info().rss
    peak, stop = [before], threading.Event()

    def watch():
        while not stop.wait(0.05):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    server.requests.clear()
    server.peak = 0
    start = time.perf_counter()
    report = download(
        urls, folder, workers=8, retries=RETRIES, timeout=TIMEOUT,
        max_size=10_000_000, progress=False,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    stop.set()
    watcher.join()
    print(
        f'{seconds:6.1f} s, {report.fetched} fetched, {report.present} there '
        f'already, {len(report.failures)} failed, {len(server.requests)} '
        f'requests, {server.peak} at once at most, memory +'
        f'{(peak[0] - before) / 1e6:.0f} MB'
    )
    return report


def main():
    with (
        serving(FaultServer(stall=3.0)) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        good = script(server)
        drawn = sum(map(len, server.faults.values()))
        print(
            f'{COUNT} files, {drawn} passing faults, {len(good)} retrievable'
        )
        urls = [server.url(f'/{n}.jpg') for n in range(COUNT)]
        report = run(server, urls, folder)
        intact = 0
        for n, path in enumerate(report.paths):
            name = f'/{n}.jpg'
            if path is not None:
                intact += path.read_bytes() == server.content[name]
            if (path is not None) != (name in good):
                print('wrong:', name, server.always.get(name))
        print(f'{intact} of {len(good)} retrievable files are intact')
        reasons = {}
        for reason in report.failures['reason']:
            kind = reason.split('(')[0].strip()
            reasons[kind] = reasons.get(kind, 0) + 1
        for kind, count in sorted(reasons.items()):
            print(f'  {count:3d}  {kind}')
        asked = {
            url.removeprefix(server.address) for url in report.failures['url']
        }
        again = run(server, urls, folder)
        only = {path for path, _ in server.requests} == asked
        print(
            f'rerun asked only for what is missing: {only}; '
            f'{again.present} there already'
        )


if __name__ == '__main__':
    main()
