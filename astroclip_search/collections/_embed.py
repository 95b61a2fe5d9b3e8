# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Images become rows.

Rows are committed every now and then, whole files at a time, so that an
interrupted run loses little and goes on where it was.
"""

import time

import numpy as np
from astropy.table import MaskedColumn, Table

from astroclip_search._progress import progress_bar
from astroclip_search.collections._add import AddReport, failures_of
from astroclip_search.collections._change import writing
from astroclip_search.collections._prepare import prepare
from astroclip_search.collections._sources import list_jobs
from astroclip_search.collections._write import hash_text
from astroclip_search.exceptions import AstroClipError, CollectionError

__all__ = []

# A commit costs a few milliseconds, an image about as much.
_COMMIT_ROWS = 2048
_COMMIT_SECONDS = 30.0


def add_images(
    collection, items, *, ids=None, progress=None, tiles=None, thumbnails=None
):
    """
    Embed images and add them.

    Parameters
    ----------
    collection : Collection
        The collection.
    items, ids, progress, tiles, thumbnails : object
        As `Collection.add` takes them.

    Returns
    -------
    report : AddReport
        What became of them.
    """
    if tiles is not None and (
        not isinstance(tiles, int | np.integer) or tiles < 1
    ):
        msg = f'tiles={tiles!r} is no size in pixels'
        raise CollectionError(msg)
    jobs, columns = list_jobs(items, ids)
    with writing(collection) as writer:
        # Refuse before anything is embedded.
        embedder = collection._get_embedder() if jobs else None
        adding = Adding(writer, columns, tiles)
        todo = adding.choose(jobs)
        with progress_bar(
            total=len(todo), show=progress, unit='image', leave=False
        ) as bar:
            try:
                for item in (
                    embedder.iter_images(
                        adding.sources(todo), thumbnail=thumbnails
                    )
                    if todo
                    else ()
                ):
                    adding.take(item)
                    bar.update(adding.finished - bar.n)
                adding.commit(everything=True)
            except KeyboardInterrupt:
                adding.commit()
                raise
    return AddReport(
        adding.added, adding.unchanged, failures_of(adding.failures)
    )


class Adding:
    """
    Rows between the model and the disk.

    Parameters
    ----------
    writer : Writer
        What writes them.
    columns : dict
        What is known of the columns of the user's table.
    tiles : int or None
        Size of tiles.
    """

    def __init__(self, writer, columns, tiles):
        self.writer = writer
        self.columns = columns
        self.tiles = tiles
        self.added = self.unchanged = 0
        self.failures = []
        self._owners = []  # the job of each image that was handed out
        self._rows = []  # (job, id, vector, values, thumbnail)
        self._done = set()  # jobs of which nothing more is to come
        self._last = None
        self._taken = set()
        self._old = {}  # rows that a changed file had before
        self._time = time.monotonic()

    @property
    def finished(self):
        """Number of images of which nothing more is to come."""
        return len(self._done)

    def choose(self, jobs):
        """
        Leave out what is there already.

        Parameters
        ----------
        jobs : list of Job
            All that is wanted.

        Returns
        -------
        jobs : list of Job
            What is new or has changed.
        """
        snapshot = self.writer.snapshot
        keys = self._keys(jobs)
        known = _known_files(snapshot, keys)
        there = snapshot.locate([job.name for job in jobs])
        todo = []
        for job, key, row in zip(
            jobs, keys.tolist(), there.tolist(), strict=True
        ):
            if job.error is None:
                rows, size, modified = known.get(key, ([], None, None))
                if rows and (size, modified) == (job.size, job.time):
                    self.unchanged += 1
                    continue
                if rows:
                    self._old[id(job)] = rows
                clash = job.name in self._taken or (
                    row >= 0 and row not in rows
                )
                # Another file of the same name: tell them apart by place.
                if clash and job.path and 'id' not in job.values:
                    job.name = job.path
                elif clash:
                    job.error = 'its id is in the collection already'
            if job.error is not None:
                self._fail(job, job.error)
                continue
            self._taken.add(job.name)
            todo.append(job)
        return todo

    def _keys(self, jobs):
        """Identity of the files, which depends on how they are divided."""
        suffix = '' if self.tiles is None else f'#tiles={self.tiles}'
        keys = hash_text((job.path or '') + suffix for job in jobs)
        keys = keys.astype(np.uint64).view(np.int64)
        for job, key in zip(jobs, keys.tolist(), strict=True):
            job.key = key if job.path else 0
        return keys

    def _fail(self, job, reason):
        self.failures.append((job.name, job.address, str(reason)))

    def sources(self, jobs):
        """
        Hand out images, tile by tile where asked for.

        Parameters
        ----------
        jobs : list of Job
            What is to be embedded.

        Yields
        ------
        source : object
            What `~astroclip_search.images.read_image` takes.
        """
        for job in jobs:
            if self.tiles is None:
                self._owners.append(job)
                yield job.source
                continue
            from astroclip_search.images import tiles

            try:
                for tile in tiles(job.source, size=self.tiles):
                    self._owners.append(job)
                    yield tile
            except AstroClipError as exc:
                self._fail(job, exc)

    def take(self, item):
        """
        Take over what the model made.

        Parameters
        ----------
        item : `~astroclip_search.embedding.Embedded`
            An image and its vector.
        """
        job = self._owners[item.index]
        self._owners[item.index] = None
        if self._last is not None and self._last is not job:
            self._done.add(id(self._last))
        self._last = job
        if self.tiles is None:
            self._done.add(id(job))
        name = job.name
        if self.tiles is not None:
            x, y = item.source.meta.get('corner', (0, 0))
            name += f'#{x},{y}'
        if item.error is not None:
            self.failures.append((name, job.address, str(item.error)))
        else:
            values = {**item.facts, **job.values, 'id': name}
            if job.address:
                values['access_url'] = job.address
            self._rows.append((job, name, item.vector, values, item.thumbnail))
        waited = time.monotonic() - self._time
        if len(self._rows) >= _COMMIT_ROWS or waited > _COMMIT_SECONDS:
            self.commit()

    def commit(self, *, everything=False):
        """
        Write the rows of the files that are complete.

        Parameters
        ----------
        everything : bool, optional
            Whether nothing more is to come.
        """
        ready = [
            row for row in self._rows if everything or id(row[0]) in self._done
        ]
        self._time = time.monotonic()
        if not ready:
            return
        names = [row[1] for row in ready]
        vectors = np.stack([row[2] for row in ready])
        table = _to_table([row[3] for row in ready], self.columns)
        snapshot = self.writer.snapshot
        rows, _ = prepare(
            table,
            vectors,
            dim=snapshot.manifest.dim,
            known=snapshot.facts,
            ids=names,
        )
        rows.files = np.array(
            [(job.key, job.size, job.time) for job, *_ in ready], np.int64
        )
        rows.thumbnails = [row[4] for row in ready]
        removed = [
            i
            for key in {id(row[0]) for row in ready}
            for i in self._old.pop(key, ())
        ]
        self.writer.commit(segments=self.writer.write(rows), removed=removed)
        written = {id(row) for row in ready}
        self._rows = [row for row in self._rows if id(row) not in written]
        self.added += len(ready)


def _known_files(snapshot, keys):
    """Rows, size and time of the files that the collection has."""
    wanted = np.unique(keys)
    known = {}
    for start, segment in zip(
        snapshot.starts, snapshot.segments, strict=False
    ):
        if segment.files is None or not len(wanted):
            continue
        there = np.isin(segment.files[:, 0], wanted)
        if segment.alive is not None:
            there &= segment.alive
        for row in np.flatnonzero(there).tolist():
            key, size, modified = segment.files[row].tolist()
            entry = known.setdefault(key, ([], size, modified))
            entry[0].append(int(start) + row)
    return known


def _to_table(rows, facts):
    """Make a table of dictionaries; what one lacks is masked."""
    from astroclip_search.obscore import COLUMNS

    names = dict.fromkeys(name for row in rows for name in row)
    table = Table()
    for name in names:
        values = [row.get(name) for row in rows]
        mask = [value is None for value in values]
        there = [value for value in values if value is not None]
        blank = '' if not there or isinstance(there[0], str) else 0
        filled = [blank if value is None else value for value in values]
        unit = facts.get(name, {}).get('unit')
        if unit is None and name in COLUMNS:
            unit = COLUMNS[name].unit
        table[name] = MaskedColumn(
            filled,
            mask=mask,
            unit=unit,
            description=facts.get(name, {}).get('description'),
        )
    return table
