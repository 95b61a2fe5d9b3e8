# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Kill writers and fill disks, and see that nothing is lost.

A writer adds, removes, updates and compacts, and tells after each change
which rows must be there. It is killed (SIGKILL) at a random moment; then the
collection must open, verify, and hold exactly the rows of the last change
that was told, or of the one after it. The same with a limit on the size of
files in place of the kill::

    python benchmarks/collections_faults.py --kills 200 --full 20 --readers 8
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

DIM = 16


def vector_of(number):
    """Vector of a row, which its number determines."""
    vector = np.random.default_rng(number).normal(size=DIM)
    return vector / np.linalg.norm(vector)


def numbers_of(collection):
    """Numbers of all rows; an empty collection has no columns."""
    return collection.table()['number'].tolist() if len(collection) else []


def rows_of(numbers):
    from astropy.table import Table

    numbers = np.asarray(numbers)
    return Table(
        {
            'id': [f'row-{i}' for i in numbers],
            'number': numbers,
            's_ra': numbers * 7.0 % 360,
            's_dec': numbers * 3.0 % 180 - 90,
        }
    ), np.stack([vector_of(i) for i in numbers])


def write(path, seed, quota):
    """Change the collection until somebody ends it."""
    from astroclip_search import Collection
    from astroclip_search.exceptions import CollectionError

    rng = random.Random(seed)
    collection = Collection.open(path)
    there = set(numbers_of(collection))
    following = max(there, default=-1) + 1
    if quota:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = rng.randrange(1, 30_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    tell(there)
    while True:
        action = rng.choice(['add', 'add', 'remove', 'compact', 'update'])
        after = set(there)
        if action == 'add' or len(there) < 20:
            new = range(following, following + rng.randrange(1, 60))
            after |= set(new)
            following = new.stop
            step = (collection.add, rows_of(new))
        elif action == 'remove':
            gone = rng.sample(sorted(there), min(len(there) // 2, 40))
            after -= set(gone)
            step = (collection.remove, [f'row-{i}' for i in gone])
        elif action == 'update':
            some = rng.sample(sorted(there), 5)
            step = (collection.update, rows_of(some)[0])
        else:
            step = (collection.compact, None)
        tell(after, will=True)
        try:
            call, values = step
            if action == 'compact' and call == collection.compact:
                call()
            elif call == collection.add:
                call(values[0], vectors=values[1])
            else:
                call(values)
        except CollectionError as exc:
            if not quota:
                raise
            sys.stdout.write(f'full {exc}\n')
            sys.stdout.flush()
            return
        there = after
        tell(there)


def tell(numbers, *, will=False):
    """Say what is there, or will be after the next change."""
    word = 'will' if will else 'is'
    sys.stdout.write(f'{word} {" ".join(map(str, sorted(numbers)))} .\n')
    sys.stdout.flush()


def check(path, told):
    """See that the collection holds what was told; say how many rows."""
    from astroclip_search import Collection

    allowed = []
    for line in reversed(told):
        word, *numbers = line.split()
        if not numbers or numbers[-1] != '.':
            continue  # cut off by the kill, or the report of a full disk
        allowed.append(set(map(int, numbers[:-1])))
        if word == 'is':
            break
    collection = Collection.open(path)
    collection.verify()
    numbers = numbers_of(collection)
    if len(numbers) != len(set(numbers)) or set(numbers) not in allowed:
        msg = f'rows {len(numbers)}, allowed {[len(a) for a in allowed]}'
        raise RuntimeError(msg)
    if numbers:
        expected = np.stack([vector_of(i) for i in numbers])
        if not np.allclose(collection.vectors(), expected, atol=1e-3):
            msg = 'vectors are not those of their rows'
            raise RuntimeError(msg)
    return len(numbers)


def start(function, *args):
    """Run a function in a process of its own, which has all loaded."""
    receive, send = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # of threads
        child = os.fork()
    if child == 0:
        status = 1
        try:
            # Its threads are not there any more.
            sys.modules.pop('torch', None)
            os.dup2(send, 1)
            sys.stdout = os.fdopen(1, 'w')
            function(*args)
            status = 0
        except BaseException:
            sys.stdout.write(f'error {traceback.format_exc()!r}\n')
            sys.stdout.flush()
        finally:
            os._exit(status)
    os.close(send)
    return child, os.fdopen(receive)


def warm_up():
    """Load what a change needs, so that kills meet changes, not imports."""
    from astroclip_search import Collection

    with tempfile.TemporaryDirectory() as folder:
        collection = Collection.create(Path(folder) / 'c', dim=DIM)
        table, vectors = rows_of(range(30))
        collection.add(table, vectors=vectors)
        collection.update(table[:3])
        collection.remove('row-1')
        collection.compact()
        collection.verify()
        collection.search(vectors[0])


def faults(path, number, *, quota, longest=0.5):
    """Let writers fail so often; say how the collection was after each."""
    rng = random.Random(number)
    sizes, changes = [], 0
    for k in range(number):
        child, output = start(write, path, k, quota)
        with output:
            lines = [output.readline()]
            if not quota:
                time.sleep(rng.uniform(0, longest))
                os.kill(child, signal.SIGKILL)
            lines += output.readlines()
        os.waitpid(child, 0)
        changes += sum(line.startswith('is') for line in lines) - 1
        if any(line.startswith('error') for line in lines):
            raise RuntimeError(lines[-1])
        sizes.append(check(path, lines))
    return sizes, changes


def read(path, seconds):
    """Read again and again; every answer must be that of one state."""
    from astroclip_search import Collection

    end = time.monotonic() + seconds
    n = 0
    while time.monotonic() < end:
        collection = Collection.open(path)
        numbers = numbers_of(collection)
        if numbers:
            result = collection.search(vector_of(numbers[0]), limit=1)
            if result['number'][0] != numbers[0]:
                msg = f'row {result["number"][0]} instead of {numbers[0]}'
                raise RuntimeError(msg)
        sys.stdout.write(f'saw {" ".join(map(str, sorted(numbers)))} .\n')
        n += 1
    sys.stdout.flush()


def readers(path, number, seconds):
    """Readers beside a writer see committed states alone."""
    child, output = start(write, path, 1, 0)
    told = []
    listener = threading.Thread(target=lambda: told.extend(output))
    running = [start(read, path, seconds) for _ in range(number)]
    listener.start()
    lines = []
    for reader, answers in running:
        with answers:
            lines += answers.readlines()
        os.waitpid(reader, 0)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    listener.join()
    output.close()
    states = {line.partition(' ')[2].strip() for line in told}
    errors = [line for line in (*lines, *told) if line.startswith('error')]
    seen = [
        line.partition(' ')[2].strip()
        for line in lines
        if line.startswith('saw')
    ]
    if errors or not set(seen) <= states:
        msg = f'{errors[:1]} {len(set(seen) - states)} unknown states'
        raise RuntimeError(msg)
    return len(seen), len(set(seen))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--kills', type=int, default=200)
    parser.add_argument('--full', type=int, default=20)
    parser.add_argument('--readers', type=int, default=8)
    parser.add_argument('--seconds', type=float, default=20)
    args = parser.parse_args()
    from astroclip_search import Collection

    folder = tempfile.mkdtemp()
    warm_up()
    try:
        path = Path(folder) / 'c'
        Collection.create(path, dim=DIM)
        for name, number, quota in (
            ('killed', args.kills, 0),
            ('disk full', args.full, 1),
        ):
            sizes, changes = faults(path, number, quota=quota)
            sys.stdout.write(
                f'{name} {len(sizes)} times within {changes} changes: opened, '
                f'verified and complete every time, {min(sizes, default=0)} '
                f'to {max(sizes, default=0)} rows\n'
            )
            sys.stdout.flush()
        if args.readers:
            answers, states = readers(path, args.readers, args.seconds)
            sys.stdout.write(
                f'{args.readers} readers: {answers} answers, of {states} '
                'states, all committed\n'
            )
    finally:
        shutil.rmtree(folder)


if __name__ == '__main__':
    main()
