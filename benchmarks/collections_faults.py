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
import subprocess
import sys
import tempfile
import threading
import time
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


def faults(path, number, *, quota, longest=1.0):
    """Let writers fail so often; say how the collection was after each."""
    rng = random.Random(number)
    sizes = []
    for k in range(number):
        writer = subprocess.Popen(
            [sys.executable, __file__, '--write', path, str(k), str(quota)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        first = writer.stdout.readline()
        if not quota:
            time.sleep(rng.uniform(0, longest))
            writer.kill()
        rest, errors = writer.communicate(timeout=60)
        if 'Error' in errors:
            raise RuntimeError(errors)
        sizes.append(check(path, [first, *rest.splitlines()]))
    return sizes


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
    writer = subprocess.Popen(
        [sys.executable, __file__, '--write', path, '1', '0'],
        stdout=subprocess.PIPE,
        text=True,
    )
    told = []
    listener = threading.Thread(target=lambda: told.extend(writer.stdout))
    listener.start()
    running = [
        subprocess.Popen(
            [sys.executable, __file__, '--read', path, str(seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(number)
    ]
    ended = [reader.communicate() for reader in running]
    writer.kill()
    listener.join()
    writer.stdout.close()
    writer.wait()
    states = {line.partition(' ')[2].strip() for line in told}
    seen = [
        line.partition(' ')[2].strip()
        for out, _ in ended
        for line in out.splitlines()
    ]
    errors = [err for _, err in ended if err]
    if errors or not set(seen) <= states:
        msg = f'{errors[:1]} {len(set(seen) - states)} unknown states'
        raise RuntimeError(msg)
    return len(seen), len(set(seen))


def main():
    if sys.argv[1:2] == ['--write']:
        return write(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    if sys.argv[1:2] == ['--read']:
        return read(sys.argv[2], float(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--kills', type=int, default=200)
    parser.add_argument('--full', type=int, default=20)
    parser.add_argument('--readers', type=int, default=8)
    parser.add_argument('--seconds', type=float, default=20)
    args = parser.parse_args()
    from astroclip_search import Collection

    folder = tempfile.mkdtemp()
    os.environ['OMP_NUM_THREADS'] = '1'
    try:
        path = Path(folder) / 'c'
        Collection.create(path, dim=DIM)
        for name, number, quota in (
            ('killed', args.kills, 0),
            ('disk full', args.full, 1),
        ):
            sizes = faults(path, number, quota=quota)
            sys.stdout.write(
                f'{name} {len(sizes)} times: opened, verified and complete '
                f'every time ({min(sizes, default=0)} to '
                f'{max(sizes, default=0)} rows)\n'
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
    return None


if __name__ == '__main__':
    main()
