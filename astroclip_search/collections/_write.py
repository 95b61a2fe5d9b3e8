# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Segments are written here, whole or not at all."""

import hashlib
import json
import secrets
from dataclasses import dataclass

import numpy as np

from astroclip_search.collections._columns import VECTOR, choose, to_arrow
from astroclip_search.collections._files import HashingFile
from astroclip_search.collections._manifest import SegmentInfo

__all__ = []

_CHUNK = 1 << 15


@dataclass
class Rows:
    """
    Rows on their way into a segment.

    Attributes
    ----------
    columns : dict
        As `astroclip_search.collections._columns.split_table` gives them.
    vectors : (n, d) `~numpy.ndarray`
        Unit vectors, float16.
    keys : (n,) `~numpy.ndarray`, uint64
        Hashes of the ids.
    hpx, xyz : `~numpy.ndarray`
        Places on the sky.
    files : (n, 3) `~numpy.ndarray`, int64, or None
        Hash of the path, size and modification time of the file that each
        row was made of.
    thumbnails : list of bytes or None
        A picture for each row.
    """

    columns: dict
    vectors: np.ndarray
    keys: np.ndarray
    hpx: np.ndarray
    xyz: np.ndarray
    files: np.ndarray | None = None
    thumbnails: list | None = None

    def __len__(self):
        return len(self.vectors)


def hash_text(texts):
    """
    Hash strings to 64 bits, the same in every process.

    Parameters
    ----------
    texts : iterable of str
        The strings.

    Returns
    -------
    keys : (n,) `~numpy.ndarray`, uint64
        Their hashes (BLAKE2b).
    """
    blake2b = hashlib.blake2b
    data = b''.join(
        blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=8).digest()
        for text in texts
    )
    return np.frombuffer(data, np.dtype('<u8')).astype(np.uint64)


def quantize(vectors):
    """
    Round vectors to 8 bits.

    Parameters
    ----------
    vectors : (n, d) `~numpy.ndarray`, float16
        The vectors.

    Returns
    -------
    codes : (n, d) `~numpy.ndarray`, int8
        The codes.
    scales : (n,) `~numpy.ndarray`, float32
        A vector is about its code times its scale.
    errors : (n,) `~numpy.ndarray`, float32
        Length of the difference, rounded up.
    """
    n = len(vectors)
    codes = np.empty(vectors.shape, np.int8)
    scales, errors = np.empty(n, np.float32), np.empty(n, np.float32)
    for start in range(0, n, _CHUNK):
        part = slice(start, start + _CHUNK)
        exact = vectors[part].astype(np.float32)
        scale = np.abs(exact).max(axis=1, initial=1e-12) / np.float32(127)
        rounded = np.rint(exact / scale[:, None])
        codes[part] = rounded
        scales[part] = scale
        rounded *= scale[:, None]
        rounded -= exact
        errors[part] = np.sqrt(np.einsum('ij,ij->i', rounded, rounded))
    errors *= np.float32(1 + 1e-4)
    return codes, scales, errors


def write_segment(folder, rows):
    """
    Write rows as a segment.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Folder of the segments.
    rows : Rows
        The rows, in any order.

    Returns
    -------
    info : SegmentInfo
        What the manifest must say of it.
    """
    import pyarrow as pa

    name = secrets.token_hex(8)
    order = np.argsort(rows.hpx, kind='stable')
    n = len(rows)
    vectors = np.ascontiguousarray(rows.vectors[order])
    codes, scales, errors = quantize(vectors)
    fields, arrays = [], []
    for key, (values, mask, facts) in rows.columns.items():
        field, array = to_arrow(key, choose(values, order), mask[order], facts)
        fields.append(field)
        arrays.append(array)
    stored = {
        '_key': rows.keys[order],
        '_hpx': rows.hpx[order],
        '_xyz': rows.xyz[order],
        '_code': codes,
        '_scale': scales,
        '_error': errors,
        VECTOR: vectors,
    }
    if rows.files is not None:
        stored['_file'] = rows.files[order]
    thumbs = {}
    if rows.thumbnails is not None and any(rows.thumbnails):
        pictures = [rows.thumbnails[i] or b'' for i in order.tolist()]
        ends = np.cumsum([0, *map(len, pictures)], dtype=np.int64)
        stored['_thumbnail'] = np.stack([ends[:-1], ends[1:]], axis=1)
        with HashingFile(folder / f'{name}.thumbnails') as file:
            file.write(b''.join(pictures))
        thumbs = {
            'thumbnails': file.path.name,
            'thumbnail_bytes': file.bytes,
            'thumbnail_sha256': file.sha256,
        }
    for key, values in stored.items():
        arrays.append(_array(values))
        fields.append(pa.field(key, arrays[-1].type))
    schema = pa.schema(
        fields, metadata={'astroclip': json.dumps({'segment': name})}
    )
    batch = pa.record_batch(arrays, schema=schema)
    with HashingFile(folder / f'{name}.arrow') as file:
        sink = pa.PythonFile(file, mode='w')
        with pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(batch)
    known = rows.hpx[rows.hpx >= 0]
    return SegmentInfo(
        name=name,
        rows=n,
        bytes=file.bytes,
        sha256=file.sha256,
        hpx=(int(known.min()), int(known.max())) if len(known) else (0, -1),
        max_error=float(errors.max(initial=0)),
        **thumbs,
    )


def _array(values):
    """Wrap numbers as Arrow, without a copy; rows become lists."""
    import pyarrow as pa

    values = np.ascontiguousarray(values)
    kind = pa.from_numpy_dtype(values.dtype)
    array = pa.Array.from_buffers(
        kind, values.size, [None, pa.py_buffer(values)]
    )
    if values.ndim == 2:
        array = pa.FixedSizeListArray.from_arrays(array, values.shape[1])
    return array


def write_removed(folder, info, rows):
    """
    Write the numbers of the rows of a segment that are removed.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Folder of the segments.
    info : SegmentInfo
        The segment.
    rows : (n,) `~numpy.ndarray` of int
        All its removed rows, earlier ones too.

    Returns
    -------
    changes : dict
        What changes in the manifest.
    """
    rows = np.unique(rows).astype('<i4')
    path = folder / f'{info.name}-{secrets.token_hex(4)}.removed'
    with HashingFile(path) as file:
        file.write(rows.tobytes())
    return {
        'removed': path.name,
        'removed_rows': len(rows),
        'removed_sha256': file.sha256,
    }
