# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Embedded partitions become a collection."""

import shutil

import numpy as np

from astroclip_search._progress import progress_bar
from astroclip_search.scale import _embed_part

__all__ = []


def collect(path, model, parts, files, columns, meta, progress):
    """
    Put partitions together, one at a time.

    Parameters
    ----------
    path : `~pathlib.Path`
        Directory of the collection.
    model : object
        What made the vectors.
    parts, files : list
        Images and file of each partition.
    columns : dict
        What is known of the columns of the user.
    meta : dict or None
        What is kept with the collection.
    progress : bool or None
        Whether to show progress.

    Returns
    -------
    collection : `~astroclip_search.Collection`
        The collection.
    added : int
        Number of rows.
    failures : `~astropy.table.QTable`
        What has no vector.
    """
    from astroclip_search.collections import Collection
    from astroclip_search.collections._add import failures_of
    from astroclip_search.collections._change import writing
    from astroclip_search.collections._embed import _to_table
    from astroclip_search.collections._prepare import prepare

    part = path.with_name(f'.{path.name}.partial')
    shutil.rmtree(part, ignore_errors=True)
    failures, known, added, segments = [], {}, 0, []
    try:
        made = Collection.create(
            part,
            dim=model.dim,
            fingerprint=model.fingerprint,
            rendering=model.rendering,
            meta=meta,
        )
        with writing(made) as writer:
            for jobs, file in progress_bar(
                list(zip(parts, files, strict=True)),
                show=progress,
                unit='partition',
                leave=False,
            ):
                done = _embed_part.read(file)
                failures += [
                    (job.name, where_is(job)[0], item.reason)
                    for job, item in zip(jobs, done, strict=True)
                    if item.vector is None
                ]
                good = [
                    (job, item)
                    for job, item in zip(jobs, done, strict=True)
                    if item.vector is not None
                ]
                if not good:
                    continue
                values = [_values(job, item) for job, item in good]
                rows, _ = prepare(
                    _to_table(values, columns),
                    np.stack([item.vector for _, item in good]),
                    dim=model.dim,
                    known=known,
                    ids=[job.name for job, _ in good],
                )
                rows.thumbnails = [item.thumbnail for _, item in good]
                for key, (_, _, facts) in rows.columns.items():
                    known.setdefault(key, facts)
                segments += writer.write(rows)
                added += len(rows)
            writer.commit(segments=segments, model=model.name)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    table = failures_of(failures)
    if failures:
        file = path.with_name(f'{path.name}.failures.ecsv')
        table.write(file, format='ascii.ecsv', overwrite=True)
    collection = Collection.open(path)
    if len(segments) > 1:
        collection.compact()
    return collection, added, table


def _values(job, item):
    values = {**item.facts, **job.values, 'id': job.name}
    if job.address:
        values['access_url'] = job.address
    return values


def where_is(job):
    """
    Tell where an image is.

    Parameters
    ----------
    job : Job
        The image.

    Returns
    -------
    source : str
        Path or address.
    reason : str or None
        Why it is nowhere.
    """
    address = job.values.get('access_url', '') or ''
    if job.path is None and address.startswith(('http://', 'https://')):
        return address, None
    return job.path or '', job.error
