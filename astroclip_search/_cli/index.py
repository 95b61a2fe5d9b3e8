# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""``astroclip-search index``."""

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
