# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""``astroclip-search describe``."""

from pathlib import Path

from astroclip_search._cli._output import (
    add_output_options,
    columns,
    output_format,
    print_table,
    write,
)

__all__ = []

_HEADER = [
    ('rank', 4, '>'),
    ('label', 40, '<'),
    ('similarity', 10, '>'),
    ('score', 6, '>'),
    ('false_match_rate', 16, '>'),
]


def register(subparsers):
    """
    Add the command.

    Parameters
    ----------
    subparsers : object
        What `argparse.ArgumentParser.add_subparsers` returns.
    """
    parser = subparsers.add_parser(
        'describe',
        help='describe an image by the classes of a vocabulary',
        description='Describe an image by the classes of a vocabulary. Where '
        'chance begins stands "(none of these)".',
    )
    parser.add_argument(
        'file', metavar='FILE', type=Path, help='a FITS file or a picture'
    )
    parser.add_argument(
        '--vocabulary',
        metavar='NAME',
        help='a shipped vocabulary, or a file with a class on each line',
    )
    parser.add_argument('--model', metavar='NAME', help='the model')
    parser.add_argument(
        '--limit', metavar='N', type=int, help='number of classes'
    )
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(args):
    """
    Describe an image, and write the classes.

    Parameters
    ----------
    args : `argparse.Namespace`
        The arguments.

    Returns
    -------
    status : int
        0; that no class fits is an answer too.
    """
    form = output_format(args)
    from astroclip_search._describe import describe

    limit = 10 if args.limit is None and form == 'text' else args.limit
    found = describe(
        args.file,
        vocabulary=args.vocabulary,
        limit=limit,
        embedder=args.model,
    )
    if form != 'text':
        write(found, form, args.output)
        return 0
    data = columns(found)
    forms = {'similarity': '.3f', 'score': '.4f', 'false_match_rate': '.2g'}
    rows = [
        [
            None if value is None else format(value, forms.get(name, ''))
            for name, value in zip(data, row, strict=True)
            if name in {column[0] for column in _HEADER}
        ]
        for row in zip(*data.values(), strict=True)
    ]
    print_table(_HEADER, rows)
    return 0
