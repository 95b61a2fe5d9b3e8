# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""What is to be embedded: files of directories, lists, tables."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from astropy.table import Table

from astroclip_search.collections._columns import split_table
from astroclip_search.exceptions import CollectionError

__all__ = []

# Endings by which images are known in a directory.
_IMAGES = (
    '.fits', '.fit', '.fts', '.fits.gz', '.fit.gz', '.fits.bz2', '.fits.fz',
    '.fz', '.jpg', '.jpeg', '.png', '.tif', '.tiff', '.gif', '.webp', '.bmp',
)  # fmt: skip


@dataclass
class Job:
    """
    An image that is to become a row, or several.

    Attributes
    ----------
    source : object
        What `~astroclip_search.images.read_image` takes.
    name : str
        Its name, from which ids are made.
    path : str or None
        Absolute path of the file.
    size, time : int
        Size of the file in bytes and its modification time in nanoseconds.
    values : dict
        What is known of it, by column.
    error : str or None
        Why it cannot be embedded.
    key : int
        Hash that stands for the file.
    """

    source: object
    name: str
    path: str | None = None
    size: int = 0
    time: int = 0
    values: dict = field(default_factory=dict)
    error: str | None = None
    key: int = 0

    @property
    def address(self):
        """Address of the image, or ''."""
        given = self.values.get('access_url')
        if given or self.path is None:
            return given or ''
        return Path(self.path).as_uri()


def list_jobs(items, ids=None):
    """
    List the images that a user wants to add.

    Parameters
    ----------
    items : object
        As `Collection.add` takes it.
    ids : sequence of str, optional
        Names in place of those of the files.

    Returns
    -------
    jobs : list of Job
        The images.
    columns : dict
        What is known of the columns of a table.

    Raises
    ------
    CollectionError
        If there are none, or it cannot be told what they are.
    """
    columns = {}
    if isinstance(items, Table):
        jobs, columns = _table_jobs(items)
    elif isinstance(items, str | os.PathLike):
        path = Path(items).expanduser()
        jobs = _folder_jobs(path) if path.is_dir() else [_file_job(path)]
    elif isinstance(items, list | tuple) or hasattr(items, '__next__'):
        jobs = []
        for item in items:
            if isinstance(item, str | os.PathLike):
                path = Path(item).expanduser()
                jobs += (
                    _folder_jobs(path) if path.is_dir() else [_file_job(path)]
                )
            else:
                jobs.append(_memory_job(item, len(jobs)))
    else:
        jobs = [_memory_job(items, 0)]
    if ids is not None:
        ids = [str(i) for i in ids]
        if len(ids) != len(jobs):
            msg = f'there are {len(ids)} ids for {len(jobs)} images'
            raise CollectionError(msg)
        for job, name in zip(jobs, ids, strict=True):
            job.name = name
    return jobs, columns


def _folder_jobs(folder):
    jobs = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith('.'))
        for name in sorted(files):
            if name.lower().endswith(_IMAGES) and not name.startswith('.'):
                path = Path(place, name)
                relative = path.relative_to(folder).as_posix()
                jobs.append(_file_job(path, relative))
    if not jobs:
        msg = (
            f'there are no images in {str(folder)!r}; names of images end in '
            '.fits, .jpg, .png, .tif...'
        )
        raise CollectionError(msg)
    return jobs


def _file_job(path, name=None):
    path = Path(path)
    job = Job(str(path), path.name if name is None else name)
    try:
        stat = path.stat()
    except OSError as exc:
        job.error = f'{str(path)!r} cannot be read ({exc.strerror})'
        return job
    job.path = str(path.resolve())
    job.size, job.time = stat.st_size, stat.st_mtime_ns
    return job


def _memory_job(item, number):
    meta = getattr(item, 'meta', None)
    name = str(meta.get('source', '')) if isinstance(meta, dict) else ''
    if name and 'corner' in meta:
        name += '#' + ','.join(map(str, meta['corner']))
    return Job(item, name or f'image-{number}')


def _table_jobs(table):
    given = 'path' if 'path' in table.colnames else 'access_url'
    if given not in table.colnames:
        msg = (
            'the table has neither vectors nor a column "path" or '
            '"access_url" that says where the images are'
        )
        raise CollectionError(msg)
    columns = split_table(table)
    jobs = []
    for i in range(len(table)):
        values = {
            name: column[i]
            for name, (column, mask, _) in columns.items()
            if not mask[i]
        }
        where = values.get(given)
        if where is None:
            job = Job(None, f'row {i}', error='it has no address of an image')
        else:
            job = _located(str(where))
        job.name = values.get('id', job.name)
        if given == 'path':
            values.pop('path', None)
        job.values = values
        jobs.append(job)
    columns.pop('path' if given == 'path' else '', None)
    return jobs, {name: facts for name, (_, _, facts) in columns.items()}


def _located(address):
    parts = urlsplit(address)
    if parts.scheme in ('http', 'https', 'ftp'):
        return Job(
            None,
            address,
            error='its image is not on this machine; fetch it with '
            'astroclip_search.archive.download and give a column "path"',
        )
    if parts.scheme == 'file':
        address = url2pathname(unquote(parts.path))
    return _file_job(Path(address).expanduser())
