# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""A segment, mapped into memory."""

import hashlib
from functools import cached_property

import numpy as np

from astroclip_search.collections._columns import VECTOR, StoredColumn
from astroclip_search.exceptions import CollectionError

__all__ = []

_DTYPES = {
    '_key': np.uint64,
    '_hpx': np.int64,
    '_xyz': np.float64,
    '_code': np.int8,
    '_scale': np.float32,
    '_error': np.float32,
    VECTOR: np.float16,
}


class Segment:
    """
    Rows of one file.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Folder of the segments.
    info : SegmentInfo
        What the manifest says of it.
    dim : int
        Dimension of the vectors.

    Attributes
    ----------
    vectors : (n, d) `~numpy.ndarray`, float16
        Unit vectors.
    codes : (n, d) `~numpy.ndarray`, int8
        The same, rounded to multiples of ``scales``.
    scales : (n,) `~numpy.ndarray`, float32
        One for each row.
    hpx : (n,) `~numpy.ndarray`, int64
        HEALPix indices, ascending.
    xyz : (n, 3) `~numpy.ndarray`, float64
        Unit vectors of the positions.
    keys : (n,) `~numpy.ndarray`, uint64
        Hashes of the ids.
    removed : (k,) `~numpy.ndarray`, int32
        Rows that were removed.
    columns : dict of StoredColumn
        The columns that people see.

    Raises
    ------
    FileNotFoundError
        If a file is gone.
    CollectionError
        If a file is damaged.
    """

    def __init__(self, folder, info, dim):
        import pyarrow as pa

        self.info = info
        self.folder = folder
        path = folder / info.file
        size = path.stat().st_size
        if size != info.bytes:
            raise _damaged(path, f'{size} bytes instead of {info.bytes}')
        try:
            batch = _only_batch(path)
            batch.validate()
            stored = {}
            self.columns = {}
            for field, array in zip(batch.schema, batch.columns, strict=True):
                if field.name.startswith('_') or field.name == VECTOR:
                    stored[field.name] = array
                else:
                    self.columns[field.name] = StoredColumn(array, field)
            n = info.rows
            self.keys, self.hpx, self.scales, self.errors = (
                _numbers(stored[name], _DTYPES[name], (n,))
                for name in ('_key', '_hpx', '_scale', '_error')
            )
            self.xyz = _numbers(stored['_xyz'], np.float64, (n, 3))
            self.codes = _numbers(stored['_code'], np.int8, (n, dim))
            self.vectors = _numbers(stored[VECTOR], np.float16, (n, dim))
            self.files = self._pairs = None
            if '_file' in stored:
                self.files = _numbers(stored['_file'], np.int64, (n, 3))
            if '_thumbnail' in stored:
                self._pairs = _numbers(stored['_thumbnail'], np.int64, (n, 2))
        except (pa.ArrowException, KeyError, ValueError, OSError) as exc:
            raise _damaged(path, exc) from exc
        self.removed = _removed(folder, info)

    def __len__(self):
        return self.info.rows

    @cached_property
    def alive(self):
        """Mask of the rows that were not removed, or None for all."""
        if not len(self.removed):
            return None
        alive = np.ones(len(self), bool)
        alive[self.removed] = False
        return alive

    def thumbnails(self, rows):
        """
        Read pictures.

        Parameters
        ----------
        rows : sequence of int
            Rows of the segment.

        Returns
        -------
        pictures : list of bytes or None
            JPEG files.
        """
        if self._pairs is None:
            return [None] * len(rows)
        pictures = []
        with (self.folder / self.info.thumbnails).open('rb') as file:
            for start, end in self._pairs[np.asarray(rows)].tolist():
                file.seek(start)
                pictures.append(file.read(end - start) or None)
        return pictures


def _only_batch(path):
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source)
        if reader.num_record_batches != 1:
            msg = f'{reader.num_record_batches} record batches instead of one'
            raise ValueError(msg)
        return reader.get_batch(0)


def _numbers(array, dtype, shape):
    """View of an Arrow column as an array."""
    width = 1 if len(shape) == 1 else shape[1]
    if len(shape) == 2:
        if array.type.list_size != width:
            msg = f'lists of {array.type.list_size} instead of {width}'
            raise ValueError(msg)
        array = array.values
    values = np.frombuffer(array.buffers()[1], dtype, shape[0] * width)
    return values.reshape(shape)


def _removed(folder, info):
    if not info.removed:
        return np.empty(0, np.int32)
    path = folder / info.removed
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != info.removed_sha256:
        raise _damaged(path, 'checksum does not match')
    return np.frombuffer(data, '<i4')


def _damaged(path, why):
    msg = (
        f'segment {path.name!r} of {str(path.parents[1])!r} is damaged '
        f'({why}); the other segments stay usable. Restore the file, or add '
        'its rows again after Collection.compact(drop_damaged=True)'
    )
    return CollectionError(msg)
