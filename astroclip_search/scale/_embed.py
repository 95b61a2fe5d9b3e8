# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Embedding on a Dask cluster: a map over tables of images."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import QTable

from astroclip_search._optional import require
from astroclip_search._progress import progress_bar
from astroclip_search.exceptions import AstroClipError, CollectionError
from astroclip_search.scale import _embed_part
from astroclip_search.scale._collect import collect, where_is

__all__ = ['EmbedReport', 'embed_catalog']


@dataclass(frozen=True)
class EmbedReport:
    """
    What became of images that were embedded on a cluster.

    Attributes
    ----------
    collection : `~astroclip_search.Collection`
        Rows and vectors.
    added : int
        Number of rows.
    partitions, reused : int
        Number of partitions, and of those that an earlier run had finished.
    failures : `~astropy.table.QTable`
        Columns ``id``, ``access_url`` and ``reason``; also in the file
        ``<path>.failures.ecsv``.
    """

    collection: object
    added: int
    partitions: int
    reused: int
    failures: QTable


def embed_catalog(
    items,
    path,
    *,
    embedder=None,
    ids=None,
    partition_rows=512,
    thumbnails=128,
    meta=None,
    progress=None,
):
    """
    Embed images on the Dask cluster there is, and collect the rows.

    The images are divided into partitions. Workers read, render and embed
    them as `Collection.add` does, and write each partition to
    ``<path>.parts`` when it is finished; a run that was interrupted goes on
    from there. At the end the partitions are put together, one at a time,
    to a collection, which `to_hats` divides by the sky. Without a
    `dask.distributed.Client` this process does it.

    Parameters
    ----------
    items : path-like, sequence of path-like, or `~astropy.table.Table`
        A directory, files, or a table with a column ``path`` or
        ``access_url``: paths that workers can read, or http addresses that
        they fetch.
    path : path-like
        Directory of the new collection, which every worker can reach.
    embedder : str, path-like or `~astroclip_search.Embedder`, optional
        The model, which workers load by its directory or name; the default
        is ``conf.model``.
    ids : sequence of str, optional
        Ids, in place of the column ``id`` or the names of the files.
    partition_rows : int, optional
        Images of a partition: what is lost with a worker.
    thumbnails : int or None, optional
        Size in pixels of small JPEGs to keep; None for none.
    meta : dict, optional
        What is to be kept with the collection.
    progress : bool, optional
        Whether to show progress; ``conf.progress`` by default.

    Returns
    -------
    report : `EmbedReport`
        The collection and what failed.

    Raises
    ------
    CollectionError
        If ``path`` is taken, two ids are the same, or the cluster fails.
        What is finished stays for the next run.
    ModelError
        If there is no such model, or a worker has another.
    MissingDependencyError
        If the extra ``scale`` is not installed.
    """
    from astroclip_search.collections._prepare import check_ids
    from astroclip_search.collections._sources import list_jobs

    require('dask', extra='scale', purpose='embed images on a cluster')
    path = Path(path).expanduser().absolute()
    if path.exists():
        msg = f'there is {str(path)!r} already; choose another directory'
        raise CollectionError(msg)
    if not isinstance(partition_rows, int | np.integer) or partition_rows < 1:
        msg = f'partition_rows={partition_rows!r} is no number of images'
        raise CollectionError(msg)
    jobs, columns = list_jobs(items, ids)
    check_ids({}, [job.name for job in jobs], len(jobs))
    model, name = _model(embedder)
    folder = path.with_name(f'{path.name}.parts')
    folder.mkdir(parents=True, exist_ok=True)
    parts = [
        jobs[start : start + partition_rows]
        for start in range(0, len(jobs), partition_rows)
    ]
    files = [folder / f'part-{i:06d}.parquet' for i in range(len(parts))]
    work = [
        _embed_part.Work(
            str(file),
            tuple((job.name, *where_is(job)) for job in part),
            name,
            model.fingerprint,
            json.dumps(model.rendering.to_dict(), sort_keys=True),
            thumbnails,
        )
        for file, part in zip(files, parts, strict=True)
    ]
    todo = [one for one in work if not _embed_part.finished(one)]
    _run(todo, progress)
    report = collect(path, model, parts, files, columns, meta, progress)
    shutil.rmtree(folder)
    return EmbedReport(
        *report[:2], len(work), len(work) - len(todo), report[2]
    )


def _model(embedder):
    """The model, and what workers find it by."""
    from astroclip_search.embedding import Embedder

    if embedder is None or not hasattr(embedder, 'iter_images'):
        model = Embedder.from_pretrained(embedder)
    else:
        model = embedder
        if not isinstance(embedder, Embedder):
            return model, embedder  # something that can be sent to workers
    source = getattr(model, '_source', None)
    place = getattr(source, 'path', None) or model.name
    return model, str(place)


def _run(work, progress):
    """Finish partitions, on the cluster if there is one."""
    import dask

    tasks = [
        dask.delayed(_embed_part.embed_part, pure=False)(one) for one in work
    ]
    with progress_bar(
        total=len(tasks), show=progress, unit='partition', leave=False
    ) as bar:
        try:
            for _ in _results(tasks):
                bar.update()
        except AstroClipError:
            raise
        # What a cluster may raise has no limits.
        except Exception as exc:
            msg = (
                f'embedding stopped ({type(exc).__name__}: {exc}); call it '
                'again, and it goes on with what is not finished'
            )
            raise CollectionError(msg) from exc


def _results(tasks):
    """Values of tasks as they come."""
    client = None
    try:
        from distributed import as_completed, get_client

        client = get_client()
    except (ImportError, ValueError):  # no package, no cluster
        pass
    if client is None:
        for task in tasks:
            yield task.compute(scheduler='synchronous')
        return
    futures = client.compute(tasks)
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:
        client.cancel(futures)
