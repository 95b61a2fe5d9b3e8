# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""``astroclip-search index``."""

import shutil
import sys
from pathlib import Path

from astroclip_search.exceptions import CollectionError

__all__ = []


def register(subparsers):
    """
    Add the command.

    Parameters
    ----------
    subparsers : object
        What `argparse.ArgumentParser.add_subparsers` returns.
    """
    parser = subparsers.add_parser(
        'index',
        help='make a collection of the images in a directory',
        description='Make a collection of the images in a directory, or add '
        'to it what is new. Exit status 1 means that some images failed.',
    )
    parser.add_argument(
        'directory', metavar='DIR', type=Path, help='where the images are'
    )
    parser.add_argument(
        '--collection',
        metavar='OUT',
        type=Path,
        required=True,
        help='directory of the collection',
    )
    parser.add_argument(
        '--model', metavar='NAME', help='the model; the default is shipped'
    )
    parser.add_argument(
        '--quiet', action='store_true', help='no warnings, no progress'
    )
    parser.set_defaults(run=run)


def run(args):
    """
    Index a directory.

    Parameters
    ----------
    args : `argparse.Namespace`
        The arguments.

    Returns
    -------
    status : int
        1 if some images failed.
    """
    if not args.directory.is_dir():
        msg = f'there is no directory {str(args.directory)!r}'
        raise CollectionError(msg)
    from astroclip_search._session import get_collection, get_embedder
    from astroclip_search.collections import Collection
    from astroclip_search.collections._sources import list_jobs

    list_jobs(args.directory)  # an error without images, before anything else
    new = not (args.collection / 'manifest.json').exists()
    if new:
        embedder = get_embedder(args.model)
        collection = Collection.create(args.collection, embedder=embedder)
    elif args.model is None:
        collection = get_collection(args.collection)
    else:
        embedder = get_embedder(args.model)
        collection = Collection.open(args.collection, embedder=embedder)
    report = collection.add(
        args.directory, progress=False if args.quiet else None
    )
    for row in report.failures:
        sys.stderr.write(
            f'astroclip-search: {row["id"]}: '
            f'{" ".join(str(row["reason"]).split())}\n'
        )
    failed = len(report.failures)
    if new and not report.added:
        shutil.rmtree(args.collection)
        msg = (
            f'none of the {failed} images in {str(args.directory)!r} can be '
            'indexed; no collection was made'
        )
        raise CollectionError(msg)
    if not args.quiet:
        sys.stdout.write(
            f'{report.added} added, {report.unchanged} unchanged, {failed} '
            f'failed; {len(collection)} rows in {args.collection}\n'
        )
    return 1 if failed else 0
