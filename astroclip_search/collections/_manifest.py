# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
The manifest: which files make up a collection.

``manifest.json`` is replaced atomically, with the generation before it kept
as ``manifest.previous.json``. Files that neither names are left over from an
interrupted change, or no longer needed, and the next writer removes them.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from astroclip_search.collections._files import replace_file
from astroclip_search.exceptions import CollectionError

__all__ = []

FORMAT = 'astroclip-collection'
VERSION = 1
NAME = 'manifest.json'
PREVIOUS = 'manifest.previous.json'
SEGMENTS = 'segments'


@dataclass(frozen=True)
class SegmentInfo:
    """
    What the manifest says of a segment.

    Attributes
    ----------
    name : str
        Its file is ``segments/<name>.arrow``.
    rows : int
        Rows in the file, removed ones included.
    bytes, sha256 : int, str
        Size and digest of the file.
    hpx : tuple of int
        Least and greatest HEALPix index of its rows.
    max_error : float
        Greatest distance of a vector from its code.
    thumbnails, thumbnail_bytes, thumbnail_sha256 : str, int, str
        File of thumbnails, or ''.
    removed, removed_rows, removed_sha256 : str, int, str
        File of the numbers of removed rows, or ''.
    """

    name: str
    rows: int
    bytes: int
    sha256: str
    hpx: tuple
    max_error: float
    thumbnails: str = ''
    thumbnail_bytes: int = 0
    thumbnail_sha256: str = ''
    removed: str = ''
    removed_rows: int = 0
    removed_sha256: str = ''

    @property
    def file(self):
        """Name of the Arrow file."""
        return f'{self.name}.arrow'

    @property
    def files(self):
        """Names of all its files."""
        names = (self.file, self.thumbnails, self.removed)
        return tuple(name for name in names if name)


@dataclass(frozen=True)
class Manifest:
    """
    One state of a collection.

    Attributes
    ----------
    dim : int
        Dimension of the vectors.
    fingerprint : str or None
        Fingerprint of the model.
    model : str or None
        Its name.
    rendering : dict or None
        How its images were rendered.
    meta : dict
        What the user wants to keep with it.
    generation : int
        Number of the state.
    created, modified : str
        Dates, ISO 8601, UTC.
    segments : tuple of SegmentInfo
        The segments.
    index : dict or None
        What is known of the approximate index.
    """

    dim: int
    fingerprint: str | None = None
    model: str | None = None
    rendering: dict | None = None
    meta: dict | None = None
    generation: int = 0
    created: str = ''
    modified: str = ''
    segments: tuple = ()
    index: dict | None = None

    @property
    def rows(self):
        """Number of rows that were not removed."""
        return sum(s.rows - s.removed_rows for s in self.segments)

    @property
    def files(self):
        """Names of all files in the folder of segments."""
        names = {name for s in self.segments for name in s.files}
        if self.index:
            names.add(self.index['file'])
        return names


def read_manifest(folder, *, name=NAME):
    """
    Read the manifest of a collection.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Directory of the collection.
    name : str, optional
        Its file.

    Returns
    -------
    manifest : Manifest
        The current state.

    Raises
    ------
    CollectionError
        If there is none, or it is damaged.
    """
    path = folder / name
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as exc:
        msg = (
            f'there is no collection in {str(folder)!r} (no {name}); make '
            'one with Collection.create'
        )
        raise CollectionError(msg) from exc
    except OSError as exc:
        msg = f'{str(path)!r} cannot be read ({exc.strerror})'
        raise CollectionError(msg) from exc
    return _parse(data, path)


def commit(folder, old, new):
    """
    Make a state the current one.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Directory of the collection.
    old : Manifest or None
        The state before.
    new : Manifest
        What is to be written.

    Returns
    -------
    manifest : Manifest
        The new state, with its generation and date.
    """
    now = datetime.now(UTC).isoformat(timespec='seconds')
    new = replace(
        new,
        generation=(old.generation if old else 0) + 1,
        created=old.created if old else now,
        modified=now,
    )
    if old is not None:
        replace_file(folder / PREVIOUS, _dump(old))
    replace_file(folder / NAME, _dump(new))
    keep = new.files | (old.files if old else set())
    collect_garbage(folder, keep)
    return new


def collect_garbage(folder, keep):
    """
    Remove files that no manifest names.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Directory of the collection.
    keep : set of str
        Names of the files that are needed.
    """
    for path in (folder / SEGMENTS).iterdir():
        if path.name not in keep:
            # Windows keeps files that a reader has mapped; later, then.
            with suppress(OSError):
                path.unlink()
    for path in folder.glob('.manifest*.new'):
        with suppress(OSError):
            path.unlink()


def _dump(manifest):
    data = asdict(manifest)
    data = {'format': FORMAT, 'version': VERSION, **data}
    data['checksum'] = _checksum(data)
    return json.dumps(data, indent=1).encode()


def _checksum(data):
    """Digest of everything but the digest, in one spelling."""
    data = {key: value for key, value in data.items() if key != 'checksum'}
    text = json.dumps(data, sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()


def _parse(data, path):
    try:
        data = json.loads(data)
        if data['format'] != FORMAT:
            raise ValueError(data['format'])
        version = data['version']
        if version == VERSION and data['checksum'] != _checksum(data):
            msg = 'checksum does not match'
            raise ValueError(msg)
    except (ValueError, KeyError, TypeError) as exc:
        msg = f'{str(path)!r} is damaged ({exc})'
        if path.with_name(PREVIOUS).exists():
            msg += (
                f'; copy {PREVIOUS} over it to return to the state before '
                'the last change'
            )
        raise CollectionError(msg) from exc
    if version != VERSION:
        msg = (
            f'{str(path)!r} has version {version} of the format, this '
            f'package reads version {VERSION}; update astroclip_search'
        )
        raise CollectionError(msg)
    for key in ('format', 'version', 'checksum'):
        del data[key]
    try:
        data['segments'] = tuple(
            SegmentInfo(**{**s, 'hpx': tuple(s['hpx'])})
            for s in data['segments']
        )
        return Manifest(**data)
    except TypeError as exc:
        msg = f'{str(path)!r} is damaged ({exc})'
        raise CollectionError(msg) from exc
