# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""``astroclip-search fetch``."""

import sys
from pathlib import Path

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
        'fetch',
        help='make a collection of the pictures of an archive',
        description='Make a collection of previews in MAST, or of a table '
        'with addresses of images, or add to it what is new. A run that was '
        'interrupted goes on. Exit status 1 means that some images failed.',
    )
    parser.add_argument(
        'criteria',
        metavar='KEY=VALUE',
        nargs='*',
        help='criteria of MAST, as proposal_id=9634; a key may be repeated',
    )
    parser.add_argument(
        '--table',
        metavar='FILE',
        type=Path,
        help='a table or a stored reply of an archive in place of MAST',
    )
    parser.add_argument(
        '--collection',
        metavar='OUT',
        type=Path,
        required=True,
        help='directory of the collection',
    )
    parser.add_argument(
        '--folder', metavar='DIR', type=Path, help='where the pictures go'
    )
    parser.add_argument('--limit', metavar='N', type=int, help='most pictures')
    parser.add_argument(
        '--model', metavar='NAME', help='the model; the default is shipped'
    )
    parser.add_argument(
        '--quiet', action='store_true', help='no warnings, no progress'
    )
    parser.set_defaults(run=run)


def run(args):
    """
    Fetch pictures and index them.

    Parameters
    ----------
    args : `argparse.Namespace`
        The arguments.

    Returns
    -------
    status : int
        1 if some images failed.
    """
    from astroclip_search.archive import (
        collection_from_mast,
        collection_from_table,
    )
    from astroclip_search.embedding import Embedder
    from astroclip_search.exceptions import QueryError

    if bool(args.criteria) == (args.table is not None):
        msg = 'give either criteria of MAST (KEY=VALUE) or --table FILE'
        raise QueryError(msg)
    options = {
        'path': args.collection,
        'embedder': args.model and Embedder.from_pretrained(args.model),
        'limit': args.limit,
        'folder': args.folder,
        'progress': False if args.quiet else None,
    }
    if args.table is None:
        report = collection_from_mast(_criteria(args.criteria), **options)
    else:
        report = collection_from_table(args.table, **options)
    for row in report.failures:
        sys.stderr.write(f'{row["id"]}: {row["reason"]}\n')
    sys.stdout.write(
        f'{report.added} added, {report.unchanged} unchanged, '
        f'{len(report.failures)} failed; {len(report.collection)} in '
        f'{args.collection}\n'
    )
    return int(len(report.failures) > 0)


def _criteria(words):
    """Turn ``KEY=VALUE`` into keywords, and repeated ones into lists."""
    from astroclip_search.exceptions import QueryError

    criteria = {}
    for word in words:
        key, equals, value = word.partition('=')
        if not equals or not key.isidentifier():
            msg = f'{word!r} is no criterion: write KEY=VALUE'
            raise QueryError(msg)
        criteria.setdefault(key, []).append(value)
    return {k: v if len(v) > 1 else v[0] for k, v in criteria.items()}
