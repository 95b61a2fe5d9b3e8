# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""What search results and descriptions have in common."""

from astropy.io.registry import UnifiedReadWriteMethod
from astropy.table import QTable

from astroclip_search.results._files import ResultRead, ResultWrite

__all__ = ['ResultTable']


class ResultTable(QTable):
    """
    A `~astropy.table.QTable` that stays what it is when it is sliced.

    Slices, masks, column subsets and copies have the same class, the same
    provenance in ``meta``, and know the thumbnails of their rows.
    """

    read = UnifiedReadWriteMethod(ResultRead)
    write = UnifiedReadWriteMethod(ResultWrite)

    def _carry_to(self, other):
        """Give another table of ours what is no column and no ``meta``."""
        if isinstance(other, ResultTable):
            for name, value in self.__dict__.items():
                if name.startswith('_acs_'):
                    setattr(other, name, value)
        return other

    def _new_from_slice(self, slice_):
        return self._carry_to(super()._new_from_slice(slice_))

    def __getitem__(self, item):
        return self._carry_to(super().__getitem__(item))

    def copy(self, copy_data=True):
        """
        Copy the table.

        Parameters
        ----------
        copy_data : bool, optional
            Whether to copy the values too.

        Returns
        -------
        table : same class
            The copy.
        """
        return self._carry_to(super().copy(copy_data=copy_data))

    def to_votable(self, *, name='astroclip_search'):
        """
        Make a VOTable, with the provenance in INFO elements.

        Parameters
        ----------
        name : str, optional
            Name of the table.

        Returns
        -------
        votable : `~astropy.io.votable.tree.VOTableFile`
            With units, UCDs and descriptions; ``to_xml(path)`` writes it.
        """
        from astroclip_search.results._votable import to_votable

        return to_votable(self, name=name)
