# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Update, compact and verify collections."""

import numpy as np
from astropy.table import Table

from astroclip_search.collections._change import (
    SEGMENT_ROWS,
    read_rows,
    writing,
)
from astroclip_search.collections._files import digest_of
from astroclip_search.collections._manifest import SEGMENTS
from astroclip_search.collections._prepare import prepare
from astroclip_search.collections._write import write_segment
from astroclip_search.exceptions import CollectionError

__all__ = []


def update(collection, table, vectors=None):
    """
    Do what `Collection.update` promises.

    Parameters
    ----------
    collection : Collection
        The collection.
    table, vectors : object
        As there.
    """
    if not isinstance(table, Table) or 'id' not in table.colnames:
        msg = 'update needs a table with a column "id"'
        raise CollectionError(msg)
    with writing(collection) as writer:
        snapshot = writer.snapshot
        ids = [str(i) for i in table['id']]
        rows = snapshot.find(ids)
        if len(np.unique(rows)) < len(rows):
            msg = 'an id is there twice in the table; give each row once'
            raise CollectionError(msg)
        if not len(rows):
            return
        whole = snapshot.table(rows)
        for name in table.colnames:
            whole[name] = table[name]
        stored = read_rows(snapshot, rows)
        ready, _ = prepare(
            whole,
            stored.vectors if vectors is None else vectors,
            dim=snapshot.manifest.dim,
            known=snapshot.facts,
            ids=ids,
        )
        if vectors is None:
            ready.vectors = stored.vectors
        ready.files, ready.thumbnails = stored.files, stored.thumbnails
        writer.commit(segments=writer.write(ready), removed=rows)


def compact(collection, *, drop_damaged=False):
    """
    Do what `Collection.compact` promises.

    Parameters
    ----------
    collection : Collection
        The collection.
    drop_damaged : bool, optional
        Whether damaged segments are given up.
    """
    with writing(collection) as writer:
        snapshot = writer.snapshot
        if snapshot.damaged and not drop_damaged:
            names = ', '.join(snapshot.damaged)
            msg = (
                f'segments {names} of {str(collection.path)!r} are damaged; '
                'restore them, or give their rows up with '
                'compact(drop_damaged=True)'
            )
            raise CollectionError(msg)
        if (
            len(snapshot.segments) < 2
            and snapshot.alive is None
            and (not snapshot.damaged)
        ):
            return
        rows = snapshot.all_rows()
        hpx = np.concatenate(
            [segment.hpx for segment in snapshot.segments]
            or [np.empty(0, np.int64)]
        )
        rows = rows[np.argsort(hpx[rows], kind='stable')]
        folder = collection.path / SEGMENTS
        segments = [
            write_segment(
                folder, read_rows(snapshot, rows[start : start + SEGMENT_ROWS])
            )
            for start in range(0, len(rows), SEGMENT_ROWS)
        ]
        everything = {info.name for info in snapshot.manifest.segments}
        writer.commit(segments=segments, drop=everything)


def verify(collection):
    """
    Do what `Collection.verify` promises.

    Parameters
    ----------
    collection : Collection
        The collection.

    Returns
    -------
    checked : dict
        Numbers of segments, rows and bytes.
    """
    import warnings

    from astroclip_search.collections._snapshot import Snapshot

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # they come as an error below
        snapshot = Snapshot.open(collection.path)
    problems = list(snapshot.damaged.values())
    size, folder = 0, collection.path / SEGMENTS
    for segment in snapshot.segments:
        info = segment.info
        files = [(info.file, info.sha256)]
        if info.thumbnails:
            files.append((info.thumbnails, info.thumbnail_sha256))
        for name, digest in files:
            try:
                size += (folder / name).stat().st_size
                if digest_of(folder / name) != digest:
                    problems.append(f'{name!r} does not have its checksum')
            except OSError as exc:
                problems.append(f'{name!r} cannot be read ({exc.strerror})')
        if (np.diff(segment.hpx) < 0).any():
            problems.append(f'rows of {info.file!r} are not in order')
    keys = [
        segment.keys if segment.alive is None else segment.keys[segment.alive]
        for segment in snapshot.segments
    ]
    if keys and len(np.unique(np.concatenate(keys))) < snapshot.n_alive:
        problems.append('some ids are there twice')
    if problems:
        msg = (
            f'collection {str(collection.path)!r} is damaged: '
            f'{"; ".join(problems)}. Restore these files from a copy, or '
            'give their rows up with compact(drop_damaged=True)'
        )
        raise CollectionError(msg)
    return {
        'segments': len(snapshot.segments),
        'rows': snapshot.n_alive,
        'bytes': size,
    }
