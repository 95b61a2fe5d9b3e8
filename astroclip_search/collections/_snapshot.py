# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""One consistent state of a collection, open for reading."""

import warnings
from functools import cached_property

import numpy as np

from astroclip_search.collections._columns import to_column
from astroclip_search.collections._kernels import to_float32
from astroclip_search.collections._manifest import SEGMENTS, read_manifest
from astroclip_search.collections._segment import Segment
from astroclip_search.collections._write import hash_text
from astroclip_search.exceptions import AstroClipWarning, CollectionError

__all__ = []

# Rows whose similarities tell what chance does: rates down to 1e-3 are
# counted, and it costs a fraction of a millisecond.
_SAMPLE = 1 << 12

# Entries, less one, of the table in which keys are looked up.
_TABLE = (1 << 20) - 1

# How often a reader looks again when a writer removed what it was to open.
_TRIES = 20


class Snapshot:
    """
    The segments that one manifest names.

    Rows are numbered through all segments, removed ones included.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Directory of the collection.
    manifest : Manifest
        The state.
    segments : list of Segment
        Its segments, without damaged ones.
    damaged : dict
        What is wrong with the others, by name.
    """

    def __init__(self, folder, manifest, segments, damaged):
        self.folder = folder
        self.manifest = manifest
        self.segments = segments
        self.damaged = damaged
        lengths = [len(segment) for segment in segments]
        self.starts = np.cumsum([0, *lengths])
        self.n_rows = int(self.starts[-1])
        self.facts = {}
        for segment in segments:
            for name, column in segment.columns.items():
                self.facts.setdefault(name, column.facts)

    @classmethod
    def open(cls, folder, *, known=None):
        """
        Open the current state.

        Parameters
        ----------
        folder : `~pathlib.Path`
            Directory of the collection.
        known : Snapshot, optional
            An earlier state, whose segments are used again.

        Returns
        -------
        snapshot : Snapshot
            The state.

        Raises
        ------
        CollectionError
            If there is no collection, or its manifest is damaged.

        Warns
        -----
        AstroClipWarning
            If a segment is damaged; the others can be used.
        """
        for _ in range(_TRIES):
            manifest = read_manifest(folder)
            segments, damaged, gone = _open_all(folder, manifest, known)
            # Files of a state that is no longer current may be gone.
            if not gone or (
                read_manifest(folder).generation == manifest.generation
            ):
                break
        told = known.damaged if known is not None else {}
        for why in (damaged[name] for name in damaged if name not in told):
            warnings.warn(why, AstroClipWarning, stacklevel=3)
        return cls(folder, manifest, segments, damaged)

    @cached_property
    def alive(self):
        """Mask of rows that were not removed, or None for all."""
        masks = [segment.alive for segment in self.segments]
        if all(mask is None for mask in masks):
            return None
        return np.concatenate(
            [
                np.ones(len(segment), bool) if mask is None else mask
                for segment, mask in zip(self.segments, masks, strict=True)
            ]
        )

    @cached_property
    def n_alive(self):
        """Number of rows that were not removed."""
        removed = sum(len(segment.removed) for segment in self.segments)
        return self.n_rows - removed

    @cached_property
    def sample(self):
        """Rows that make the background, or None for all."""
        if self.n_alive <= _SAMPLE:
            return None
        rng = np.random.default_rng(self.n_alive)
        rows = self.all_rows()
        return np.sort(rng.choice(rows, _SAMPLE, replace=False))

    @cached_property
    def sample_codes(self):
        """Codes and scales of the sample, side by side in memory."""
        return self.codes(self.sample)

    def codes(self, rows):
        """
        Read the codes of vectors.

        Parameters
        ----------
        rows : (k,) `~numpy.ndarray`, int64
            Rows.

        Returns
        -------
        codes : (k, d) `~numpy.ndarray`, int8
            Vectors, rounded to multiples of the scales.
        scales : (k,) `~numpy.ndarray`, float32
            One for each row.
        """
        codes = np.empty((len(rows), self.manifest.dim), np.int8)
        scales = np.empty(len(rows), np.float32)
        for segment, places, mine in self.parts(rows):
            first, last = int(places[0]), int(places[-1]) + 1
            if last - first == len(mine):  # as where rows ascend
                out = codes[first:last]
                np.take(segment.codes, mine, axis=0, out=out, mode='clip')
            else:
                codes[places] = segment.codes[mine]
            scales[places] = segment.scales[mine]
        return codes, scales

    def all_rows(self):
        """
        Numbers of the rows that were not removed.

        Returns
        -------
        rows : (n,) `~numpy.ndarray`, int64
            Ascending.
        """
        if self.alive is None:
            return np.arange(self.n_rows)
        return np.flatnonzero(self.alive)

    def without_removed(self, rows):
        """
        Leave removed rows out.

        Parameters
        ----------
        rows : (k,) `~numpy.ndarray`, int64
            Rows.

        Returns
        -------
        rows : (m,) `~numpy.ndarray`, int64
            Those that were not removed.
        """
        return rows if self.alive is None else rows[self.alive[rows]]

    def parts(self, rows):
        """
        Divide rows by segment.

        Parameters
        ----------
        rows : (k,) `~numpy.ndarray`, int64
            Rows, in any order.

        Yields
        ------
        segment : Segment
            A segment that has some of them.
        places : (m,) `~numpy.ndarray` of int or slice
            Their places in ``rows``.
        mine : (m,) `~numpy.ndarray`, int64
            Their numbers in the segment.
        """
        rows = np.asarray(rows, np.int64)
        if len(self.segments) == 1 and len(rows):
            yield self.segments[0], np.arange(len(rows)), rows
            return
        number = np.searchsorted(self.starts, rows, side='right') - 1
        order = np.argsort(number, kind='stable')
        bounds = np.searchsorted(
            number[order], np.arange(len(self.segments) + 1)
        )
        for i in np.flatnonzero(np.diff(bounds)).tolist():
            places = order[bounds[i] : bounds[i + 1]]
            yield self.segments[i], places, rows[places] - self.starts[i]

    def vectors(self, rows):
        """
        Read vectors.

        Parameters
        ----------
        rows : (k,) `~numpy.ndarray`, int64
            Rows.

        Returns
        -------
        vectors : (k, d) `~numpy.ndarray`, float32
            Unit vectors, as they are stored.
        """
        out = np.empty((len(rows), self.manifest.dim), np.float32)
        for segment, places, mine in self.parts(rows):
            out[places] = to_float32(segment.vectors[mine])
        return out

    def table(self, rows, names=None):
        """
        Read columns.

        Parameters
        ----------
        rows : (k,) `~numpy.ndarray`, int64
            Rows.
        names : sequence of str, optional
            Columns; by default all.

        Returns
        -------
        table : `~astropy.table.Table`
            Values that are unknown are masked.
        """
        # Tables are slow to import, and a process may do without them.
        from astropy.table import Table

        return Table(self.columns(rows, names), copy=False)

    def values(self, rows):
        """
        Read all columns as plain values.

        Parameters
        ----------
        rows : (k,) `~numpy.ndarray`, int64
            Rows.

        Returns
        -------
        columns : dict of list
            Values of each column, None where unknown.
        """
        columns = {name: [None] * len(rows) for name in self.facts}
        for segment, places, mine in self.parts(rows):
            for name, stored in segment.columns.items():
                values = np.asarray(stored.take(mine)).tolist()
                known = ~np.broadcast_to(stored.mask(mine), len(mine))
                for i in np.flatnonzero(known).tolist():
                    columns[name][places[i]] = values[i]
        return columns

    def columns(self, rows, names=None):
        """
        Read columns, without making a table of them.

        Parameters
        ----------
        rows : (k,) `~numpy.ndarray`, int64
            Rows.
        names : sequence of str, optional
            Columns; by default all.

        Returns
        -------
        columns : dict of `~astropy.table.Column`
            Values that are unknown are masked.
        """
        names = list(self.facts) if names is None else names
        parts = list(self.parts(rows))
        columns = {}
        for name in names:
            pieces = [
                (places, None, None)
                if name not in segment.columns
                else (
                    places,
                    segment.columns[name].take(mine),
                    segment.columns[name].mask(mine),
                )
                for segment, places, mine in parts
            ]
            columns[name] = to_column(pieces, len(rows), self.facts[name])
        return columns

    def thumbnails(self, rows):
        """
        Read pictures.

        Parameters
        ----------
        rows : (k,) `~numpy.ndarray`, int64
            Rows.

        Returns
        -------
        pictures : list of bytes or None
            JPEG files.
        """
        pictures = [None] * len(rows)
        for segment, places, mine in self.parts(rows):
            found = segment.thumbnails(mine)
            for place, picture in zip(places.tolist(), found, strict=True):
                pictures[place] = picture
        return pictures

    def locate(self, ids, keys=None):
        """
        Find rows by their ids.

        Parameters
        ----------
        ids : sequence of str
            Ids.
        keys : (k,) `~numpy.ndarray`, uint64, optional
            Their hashes, where they are known.

        Returns
        -------
        rows : (k,) `~numpy.ndarray`, int64
            Row of each, -1 where there is none.
        """
        ids = [str(i) for i in ids]
        rows = np.full(len(ids), -1, np.int64)
        if not ids:
            return rows
        wanted = hash_text(ids) if keys is None else keys
        order = np.argsort(wanted, kind='stable')
        ranked = wanted[order]
        for start, segment in zip(self.starts, self.segments, strict=False):
            hits = _members(segment.keys, ranked)
            if segment.alive is not None:
                hits = hits[segment.alive[hits]]
            if not len(hits):
                continue
            found = segment.columns['id'].take(hits)
            by_id = dict(zip(found, hits.tolist(), strict=True))
            low = np.searchsorted(ranked, segment.keys[hits], 'left')
            high = np.searchsorted(ranked, segment.keys[hits], 'right')
            for a, b in zip(low.tolist(), high.tolist(), strict=True):
                for i in order[a:b].tolist():
                    if ids[i] in by_id:
                        rows[i] = start + by_id[ids[i]]
        return rows

    def find(self, ids):
        """
        Find rows by their ids, all of which must be there.

        Parameters
        ----------
        ids : str or sequence of str
            Ids.

        Returns
        -------
        rows : (k,) `~numpy.ndarray`, int64
            Row of each.

        Raises
        ------
        CollectionError
            If one is not there.
        """
        ids = [ids] if isinstance(ids, str) else list(ids)
        rows = self.locate(ids)
        if (rows < 0).any():
            lost = [str(ids[i]) for i in np.flatnonzero(rows < 0)[:3]]
            msg = (
                f'collection {self.folder.name!r} has no row with the id '
                f'{lost[0]!r}'
            )
            if (rows < 0).sum() > 1:
                msg += f' and {(rows < 0).sum() - 1} others of those given'
            msg += '; its ids are in table(["id"])'
            raise CollectionError(msg)
        return rows


def _members(keys, ranked):
    """Places of the keys that are among others, which are ascending."""
    if len(ranked) == 1:
        return np.flatnonzero(keys == ranked[0])
    # A table of low bits rules nearly all out, at a few ns each.
    bits = keys.view(np.int64) & _TABLE
    table = np.zeros(_TABLE + 1, bool)
    table[ranked.view(np.int64) & _TABLE] = True
    places = np.flatnonzero(table[bits])
    at = np.searchsorted(ranked, keys[places])
    at[at == len(ranked)] = 0
    return places[ranked[at] == keys[places]]


def _open_all(folder, manifest, known):
    """Open segments; say which are damaged and whether files are gone."""
    old = {s.info: s for s in known.segments} if known is not None else {}
    segments, damaged, gone = [], {}, False
    for info in manifest.segments:
        try:
            segment = old.get(info)
            if segment is None:
                segment = Segment(folder / SEGMENTS, info, manifest.dim)
            segments.append(segment)
        except FileNotFoundError as exc:
            gone = True
            damaged[info.name] = (
                f'{exc.filename!r} is missing; the other segments stay usable'
            )
        except CollectionError as exc:
            damaged[info.name] = str(exc)
    return segments, damaged, gone
