# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Partitions in the form in which collections filter rows."""

from functools import cached_property

import numpy as np

from astroclip_search.scale._arrow import plain_array
from astroclip_search.scale._facts import INDEX

__all__ = []


class Part:
    """
    A partition in the form of a segment of a collection.

    Parameters
    ----------
    frame : `pandas.DataFrame`
        Rows of LSDB, with Arrow columns.
    columns : dict
        What is known of the columns that filters look at.
    """

    alive = None
    removed = np.empty(0, np.int32)

    def __init__(self, frame, columns):
        from astroclip_search.collections._columns import (
            StoredColumn,
            to_field,
        )

        self._frame = frame
        self.columns = {}
        for name, facts in columns.items():
            array = plain_array(frame, name, facts['kind'])
            field = to_field(name, array.type, facts)
            self.columns[name] = StoredColumn(array, field)

    def __len__(self):
        return len(self._frame)

    @cached_property
    def hpx(self):
        """Indices of the rows, ascending; -1 where there is no position."""
        index = self._frame.index.to_numpy().astype(np.int64)
        return np.where(np.isfinite(self.xyz[:, 0]), index, -1)

    @cached_property
    def xyz(self):
        """Unit vectors of the positions; not-a-number where unknown."""
        from astroclip_search.collections._healpix import unit_vectors

        ra, dec = (
            np.radians(self._frame[name].to_numpy(np.float64, na_value=np.nan))
            for name in ('s_ra', 's_dec')
        )
        return unit_vectors(ra, dec)


def view_of(frame, facts, names):
    """
    See a partition as a collection of one segment.

    Parameters
    ----------
    frame : `pandas.DataFrame`
        Rows of LSDB, in the order of the sky.
    facts : CatalogFacts
        What is known of the catalogue.
    names : sequence of str
        Columns that filters look at.

    Returns
    -------
    snapshot : Snapshot
        What filters take.
    """
    from astroclip_search.collections._snapshot import Snapshot

    columns = {name: facts.columns[name] for name in names}
    made = Snapshot(None, None, [Part(frame, columns)], {})
    made.facts = facts.columns
    return made


def ordered(frame):
    """
    Bring a partition into the order of the sky, if it is not.

    Parameters
    ----------
    frame : `pandas.DataFrame`
        Rows of LSDB.

    Returns
    -------
    frame : `pandas.DataFrame`
        The same rows.
    """
    if frame.index.name != INDEX or frame.index.is_monotonic_increasing:
        return frame
    return frame.iloc[np.argsort(frame.index.to_numpy(), kind='stable')]
