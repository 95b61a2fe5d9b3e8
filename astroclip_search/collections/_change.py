# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Changes of a collection: each is one new manifest, or nothing."""

from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np

from astroclip_search.collections._columns import choose
from astroclip_search.collections._files import sync_folder, write_failed
from astroclip_search.collections._lock import write_lock
from astroclip_search.collections._manifest import (
    PREVIOUS,
    SEGMENTS,
    collect_garbage,
    commit,
    read_manifest,
)
from astroclip_search.collections._snapshot import Snapshot
from astroclip_search.collections._write import (
    Rows,
    write_removed,
    write_segment,
)
from astroclip_search.exceptions import CollectionError

__all__ = []

# Rows of a segment: bounds the memory of writing one.
SEGMENT_ROWS = 1 << 18


class Writer:
    """
    The one who may change a collection, for the length of a block.

    Parameters
    ----------
    snapshot : Snapshot
        The current state.
    """

    def __init__(self, snapshot):
        self.snapshot = snapshot
        self.folder = snapshot.folder

    def commit(self, *, segments=(), removed=(), drop=(), **changes):
        """
        Make a new state.

        Parameters
        ----------
        segments : sequence of SegmentInfo
            Segments that were written.
        removed : sequence of int
            Rows of the current state that go.
        drop : set of str
            Names of segments that go.
        **changes : object
            Other fields of the manifest.
        """
        old = self.snapshot.manifest
        if segments or drop or len(removed):
            changes['index'] = None  # it knows the rows of before
        gone = dict(self._removals(np.asarray(removed, np.int64)))
        kept = [
            replace(info, **gone.get(info.name, {}))
            for info in old.segments
            if info.name not in drop
        ]
        new = replace(old, segments=(*kept, *segments), **changes)
        sync_folder(self.folder / SEGMENTS)
        commit(self.folder, old, new)
        self.snapshot = Snapshot.open(self.folder, known=self.snapshot)

    def _removals(self, rows):
        for segment, _, mine in self.snapshot.parts(rows):
            rows = np.concatenate([segment.removed, mine])
            folder = self.folder / SEGMENTS
            yield segment.info.name, write_removed(folder, segment.info, rows)

    def write(self, rows):
        """
        Write rows that are ready, in segments of bounded size.

        Parameters
        ----------
        rows : Rows
            The rows.

        Returns
        -------
        segments : list of SegmentInfo
            What to commit.
        """
        n = len(rows)
        folder = self.folder / SEGMENTS
        if n <= SEGMENT_ROWS:
            return [write_segment(folder, rows)] if n else []
        # Each segment one part of the sky, so that a cone meets few of them.
        order = np.argsort(rows.hpx, kind='stable')
        return [
            write_segment(
                folder, take(rows, order[start : start + SEGMENT_ROWS])
            )
            for start in range(0, n, SEGMENT_ROWS)
        ]


@contextmanager
def writing(collection):
    """
    Hold the lock of a collection and its current state for a block.

    Parameters
    ----------
    collection : Collection
        The collection; it shows the new state when the block ends.

    Yields
    ------
    writer : Writer
        What makes changes.

    Raises
    ------
    CollectionError
        If someone else is writing, or the disk is full.
    """
    folder = collection.path
    with write_lock(folder):
        writer = Writer(Snapshot.open(folder, known=collection._snapshot))
        try:
            yield writer
        except OSError as exc:
            collect_garbage(folder, _needed(folder, writer))
            raise write_failed(folder, exc) from exc
        finally:
            collection._snapshot = writer.snapshot


def _needed(folder, writer):
    """Files of the current state and of the one before."""
    names = set(writer.snapshot.manifest.files)
    with suppress(CollectionError):
        names |= read_manifest(folder, name=PREVIOUS).files
    return names


def take(rows, chosen):
    """
    Choose rows that are ready.

    Parameters
    ----------
    rows : Rows
        The rows.
    chosen : (k,) `~numpy.ndarray` of int
        Which.

    Returns
    -------
    rows : Rows
        The chosen ones.
    """
    columns = {
        name: (choose(values, chosen), mask[chosen], facts)
        for name, (values, mask, facts) in rows.columns.items()
    }
    pictures = rows.thumbnails
    if pictures is not None:
        pictures = [pictures[i] for i in chosen.tolist()]
    return Rows(
        columns,
        rows.vectors[chosen],
        rows.keys[chosen],
        rows.hpx[chosen],
        rows.xyz[chosen],
        None if rows.files is None else rows.files[chosen],
        pictures,
    )


def read_rows(snapshot, chosen, *, pictures=True):
    """
    Read rows as they must be written again.

    Parameters
    ----------
    snapshot : Snapshot
        The collection.
    chosen : (k,) `~numpy.ndarray` of int64
        Which.
    pictures : bool, optional
        Whether thumbnails are read.

    Returns
    -------
    rows : Rows
        The rows, bit for bit.
    """
    n = len(chosen)
    vectors = np.empty((n, snapshot.manifest.dim), np.float16)
    keys, hpx = np.empty(n, np.uint64), np.empty(n, np.int64)
    xyz, files = np.empty((n, 3)), np.zeros((n, 3), np.int64)
    for segment, places, mine in snapshot.parts(chosen):
        vectors[places] = segment.vectors[mine]
        keys[places] = segment.keys[mine]
        hpx[places], xyz[places] = segment.hpx[mine], segment.xyz[mine]
        if segment.files is not None:
            files[places] = segment.files[mine]
    columns = {
        name: (*_stored(snapshot, chosen, name), facts)
        for name, facts in snapshot.facts.items()
    }
    return Rows(
        columns,
        vectors,
        keys,
        hpx,
        xyz,
        files if files.any() else None,
        snapshot.thumbnails(chosen) if pictures else None,
    )


def _stored(snapshot, chosen, name):
    """A column as Arrow, without making a Python object of each value."""
    import pyarrow as pa

    kinds = {
        'str': pa.string(),
        'float': pa.float64(),
        'int': pa.int64(),
        'bool': pa.bool_(),
    }
    kind = kinds[snapshot.facts[name]['kind']]
    pieces, order = [], [np.empty(0, np.int64)]
    for segment, places, mine in snapshot.parts(chosen):
        order.append(places)
        if name in segment.columns:
            array = segment.columns[name].array.take(pa.array(mine))
            if pa.types.is_dictionary(array.type):
                array = array.dictionary_decode()
        else:
            array = pa.nulls(len(mine), kind)
        pieces.append(array)
    values = pa.concat_arrays(pieces) if pieces else pa.nulls(0, kind)
    # Back into the order in which they were asked for.
    back = np.argsort(np.concatenate(order), kind='stable')
    return values.take(pa.array(back)), np.zeros(len(chosen), bool)
