# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Verification of weights files.

Reading a whole file for its SHA-256 takes as long as a search. It is done
once for each state of the file: what was found is remembered in the user's
cache together with the size, the inode and the times of the file, and done
again as soon as one of them differs.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from astroclip_search.exceptions import ModelError

__all__ = ['read_header', 'sha256_of', 'verified_sha256', 'write_atomically']


def write_atomically(path, data):
    """
    Write a file whole or not at all.

    Parameters
    ----------
    path : path-like
        The file.
    data : bytes
        Its contents.
    """
    path = Path(path)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        with temporary.open('wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sha256_of(path):
    """
    SHA-256 of a file.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    digest : str
        64 hexadecimal digits.
    """
    with Path(path).open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def read_header(path):
    """
    Read where the tensors of a safetensors file lie.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    header : dict
        ``dtype``, ``shape`` and ``data_offsets`` of each tensor by name.
    start : int
        Byte at which the tensors begin.

    Raises
    ------
    ModelError
        If the file is missing, no safetensors file, or cut off.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open('rb') as file:
            length = int.from_bytes(file.read(8), 'little')
            header = json.loads(file.read(min(length, size)))
        header.pop('__metadata__', None)
        end = max(v['data_offsets'][1] for v in header.values())
    except FileNotFoundError as exc:
        msg = (
            f'the weights file {path} is missing. A model without weights '
            'answers at random; install it again.'
        )
        raise ModelError(msg) from exc
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        msg = (
            f'{path} is no safetensors file that can be read ({exc}). '
            'Install the model again.'
        )
        raise ModelError(msg) from exc
    if 8 + length + end != size:
        msg = (
            f'the weights file {path} holds {size} bytes where its header '
            f'announces {8 + length + end}. Install the model again.'
        )
        raise ModelError(msg)
    return header, 8 + length


def _check_finite(path):
    """Refuse NaN and infinities in the float16 or float32 tensors."""
    header, start = read_header(path)
    data = np.memmap(path, np.uint8, 'r')
    kinds = {'F16': np.float16, 'F32': np.float32, 'F64': np.float64}
    for name, entry in header.items():
        if entry['dtype'] in kinds:
            first, last = (start + o for o in entry['data_offsets'])
            values = data[first:last].view(kinds[entry['dtype']])
            if not np.isfinite(values).all():
                msg = (
                    f'the tensor {name!r} of {path} holds values that are '
                    'not finite. The model is broken; train or install it '
                    'again.'
                )
                raise ModelError(msg)


def _state(path):
    """What changes when a file is changed."""
    s = path.stat()
    return [s.st_size, s.st_ino, s.st_mtime_ns, s.st_ctime_ns]


def verified_sha256(path):
    """
    SHA-256 of a weights file whose values were checked to be finite.

    Parameters
    ----------
    path : path-like
        The safetensors file.

    Returns
    -------
    digest : str
        64 hexadecimal digits.

    Raises
    ------
    ModelError
        If the file is missing, cut off, or holds NaN or infinities.
    """
    from astropy.config import get_cache_dir_path

    path = Path(path).resolve()
    read_header(path)
    state = _state(path)
    key = hashlib.sha256(str(path).encode()).hexdigest()[:32]
    record = None
    # Without a cache that can be used, every load reads the whole file.
    with suppress(OSError, RuntimeError):
        folder = get_cache_dir_path('astroclip_search') / 'verified'
        record = folder / f'{key}.json'
        with suppress(ValueError, TypeError, KeyError):
            known = json.loads(record.read_text(encoding='utf-8'))
            if known['state'] == state:
                return known['sha256']
    _check_finite(path)
    digest = sha256_of(path)
    if record is not None and _state(path) == state:
        with suppress(OSError):
            record.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({'state': state, 'sha256': digest})
            write_atomically(record, text.encode())
    return digest
