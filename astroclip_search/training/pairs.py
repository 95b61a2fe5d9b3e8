# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Sets of pairs on disk: what is trained on."""

import json
from pathlib import Path

import numpy as np

from astroclip_search.exceptions import TrainingError
from astroclip_search.training.splits import PARTS

__all__ = ['Pairs']

MANIFEST, INFO, INDEX = 'pairs.jsonl', 'pairs.json', 'pairs.index.npy'
INDEX_DTYPE = np.dtype(
    [('offset', '<i8'), ('caption', '<i4'), ('group', '<i4'), ('part', 'i1')]
)


class Pairs:
    """
    A set of pairs of images and captions on disk.

    `build_pairs` writes one: ``pairs.jsonl`` with a row for each image,
    ``pairs.json`` with what is known of the whole, ``pairs.index.npy``. Rows
    are read when they are asked for, and the index is mapped, so that the
    memory a set takes does not grow with it.

    Parameters
    ----------
    path : path-like
        The directory.

    Raises
    ------
    TrainingError
        If there is no complete set of pairs.
    """

    def __init__(self, path):
        self.path = Path(path)
        if not (self.path / INFO).is_file():
            msg = (
                f'{self.path} holds no set of pairs ({INFO} is missing); '
                'make one with build_pairs.'
            )
            raise TrainingError(msg)
        self.info = json.loads((self.path / INFO).read_text('utf-8'))
        self._index = np.load(self.path / INDEX, mmap_mode='r')
        size = (self.path / MANIFEST).stat().st_size
        if (len(self._index), size) != (self.info['n'], self.info['bytes']):
            msg = (
                f'{self.path / MANIFEST} was altered since build_pairs wrote '
                'it; build the pairs again.'
            )
            raise TrainingError(msg)

    def __len__(self):
        return len(self._index)

    def __repr__(self):
        return f'<Pairs {self.path}: {len(self)} images>'

    @property
    def captions(self):
        """Number of the caption of each row, (n,) int32."""
        return self._index['caption']

    @property
    def groups(self):
        """Number of the group of each row, (n,) int32."""
        return self._index['group']

    def part(self, name):
        """
        Rows of a part.

        Parameters
        ----------
        name : {'train', 'validation', 'test', 'all'}
            The part.

        Returns
        -------
        rows : `~numpy.ndarray` of int
            Numbers of the rows.

        Raises
        ------
        TrainingError
            If the part is unknown or empty.
        """
        if name not in (*PARTS, 'all'):
            msg = f'part={name!r} is unknown; parts are {(*PARTS, "all")}.'
            raise TrainingError(msg)
        if name == 'all':
            return np.arange(len(self))
        rows = np.flatnonzero(self._index['part'] == PARTS.index(name))
        if not len(rows):
            msg = (
                f'The {name} part of {self.path} is empty; build the pairs '
                'again with a share for it.'
            )
            raise TrainingError(msg)
        return rows

    def __getitem__(self, row):
        """
        Read a row.

        Parameters
        ----------
        row : int
            Number of the row.

        Returns
        -------
        pair : dict
            With ``id``, ``image``, ``captions`` (list of dict with ``kind``
            and ``text``), ``caption_id``, ``part``, and what is known of
            ``proposal_id``, ``s_ra``, ``s_dec``, ``instrument_name``...
        """
        with (self.path / MANIFEST).open('rb') as file:
            file.seek(self._index['offset'][row])
            return json.loads(file.readline())

    def image(self, pair):
        """Path of the image of a row that was read."""
        return self.path / pair['image']
