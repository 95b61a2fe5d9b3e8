# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""``astroclip-search search``."""

import re
import sys
from pathlib import Path

from astroclip_search._cli._output import (
    add_output_options,
    columns,
    output_format,
    print_table,
    to_json,
    write,
)
from astroclip_search.exceptions import QueryError

__all__ = []

# A word to subtract begins as an option does; argparse leaves the real minus
# sign alone.
_SUBTRACT = re.compile(r'\A-(?=[^\W\d_]{2})')

_HEADER = [
    ('rank', 4, '>'),
    ('target', 0, '<'),
    ('RA', 9, '>'),
    ('Dec', 9, '>'),
    ('instrument', 11, '<'),
    ('proposal', 8, '<'),
    ('similarity', 10, '>'),
    ('score', 6, '>'),
    ('separation', 10, '>'),
]
_ALWAYS = frozenset(name for name, _, _ in _HEADER[:6])


def register(subparsers):
    """
    Add the command.

    Parameters
    ----------
    subparsers : object
        What `argparse.ArgumentParser.add_subparsers` returns.
    """
    parser = subparsers.add_parser(
        'search',
        help='find observations by text, image or place',
        description='Find observations by text, image or place. Exit status '
        '1 means that nothing was found.',
        epilog='Example: astroclip-search search "spiral galaxy" -bar '
        '--position "M 51" --radius 20arcmin',
    )
    parser.add_argument(
        'query',
        metavar='QUERY',
        nargs='*',
        help='words to search for, which make one text; the path of an '
        'image; or, with a minus before it, a word or quoted text to '
        'subtract',
    )
    parser.add_argument(
        '--image',
        metavar='FILE',
        action='append',
        default=[],
        help='an image as an example (may be repeated)',
    )
    parser.add_argument(
        '--like',
        metavar='ID',
        action='append',
        default=[],
        help='a row of the collection as an example (may be repeated)',
    )
    parser.add_argument(
        '--collection',
        metavar='PATH',
        help='a collection; the default is the one that comes with the '
        'package',
    )
    parser.add_argument(
        '--model', metavar='NAME', help='the model of the collection'
    )
    parser.add_argument(
        '--position',
        metavar='PLACE',
        help='"RA Dec" (degrees, or 05h35m16s -69d16m11s) or the name of an '
        'object; without a query, rows come by distance from it',
    )
    parser.add_argument(
        '--radius', metavar='ANGLE', help='with a unit, as 5arcmin'
    )
    parser.add_argument(
        '--where',
        metavar='COLUMN=VALUE',
        action='append',
        default=[],
        help='rows with this value only, in which * stands for anything; '
        'also COLUMN>=VALUE and COLUMN<=VALUE. Repeated for one column, any '
        'of the values; for several columns, all conditions',
    )
    parser.add_argument(
        '--group-by',
        metavar='COLUMN',
        help='at most one row for each value, as proposal_id',
    )
    parser.add_argument(
        '--limit', metavar='N', type=int, help='number of rows'
    )
    add_output_options(parser)
    parser.set_defaults(run=run)


def prepare(argv):
    """
    Let a word with a minus before it pass as a word.

    Parameters
    ----------
    argv : list of str
        Arguments of the process.

    Returns
    -------
    argv : list of str
        The same, with a real minus sign where a text is subtracted.
    """
    return [
        _SUBTRACT.sub('\N{MINUS SIGN}', item)
        if _SUBTRACT.match(item)
        else item
        for item in argv
    ]


def run(args):
    """
    Search, and write what was found.

    Parameters
    ----------
    args : `argparse.Namespace`
        The arguments.

    Returns
    -------
    status : int
        1 if nothing was found.
    """
    form = output_format(args)
    query = _query(args)
    position, radius = _place(args)
    where = _where(args.where)
    from astroclip_search import _search

    options = {
        'collection': args.collection,
        'where': where,
        'group_by': args.group_by,
        'limit': args.limit,
        'embedder': args.model,
    }
    plain = form == 'text' or (form == 'json' and args.output is None)
    if query is None or position is not None or not plain:
        found = _search.search(
            query, position=position, radius=radius, **options
        )
        if not plain:
            write(found, form, args.output)
        found = columns(found)
    else:
        found = _search.search_values(query, **options)
    n_rows = len(found['rank'])
    if plain and form == 'json':
        sys.stdout.write(to_json(found))
    elif plain and n_rows:
        _show(found, n_rows)
    if not n_rows:
        sys.stderr.write('astroclip-search: nothing found\n')
    return 0 if n_rows else 1


def _query(args):
    """Put the words, images and rows of the command line together."""
    minus = '\N{MINUS SIGN}'
    words = [w for w in args.query if not w.startswith((minus, '-'))]
    away = [w for w in args.query if w.startswith((minus, '-'))]
    files = [w for w in words if Path(w).suffix and Path(w).is_file()]
    words = [w for w in words if w not in files]
    items = [' '.join(words)] if words else []
    items += [*files, *away]
    items += [Path(name) for name in args.image]
    items += [{'id': name} for name in args.like]
    if items:
        return items
    if args.position or args.where:
        return None
    msg = 'there is no query; give words, --image, --like or --position'
    raise QueryError(msg)


def _place(args):
    """Position and radius, as the library takes them."""
    if args.position is None and args.radius is None:
        return None, None
    radius = None
    if args.radius is not None:
        radius = _angle(args.radius)
    if args.position is None:
        msg = f'--radius {args.radius} needs --position'
        raise QueryError(msg)
    return _position(args.position), radius


def _angle(text):
    """Read an angle with its unit."""
    from astropy import units as u

    try:
        angle = u.Quantity(text)
    except TypeError as exc:
        msg = f'{text!r} is no angle; give one with its unit, as 5arcmin'
        raise QueryError(msg) from exc
    if angle.unit == u.dimensionless_unscaled:
        msg = f'radius {text!r} has no unit; give one, as {text}arcmin'
        raise QueryError(msg)
    return angle


def _position(text):
    """Read coordinates, or leave the name of an object as it is."""
    if not re.match(r'\s*[-+\d]', text):
        return text
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    # Two plain numbers are degrees; anything else says its units or is
    # sexagesimal, hours and degrees.
    plain = re.fullmatch(r'[\s,]*([-+.\de]+[\s,]+){1}[-+.\de]+\s*', text)
    try:
        return SkyCoord(text, unit=u.deg if plain else (u.hourangle, u.deg))
    except (ValueError, TypeError) as exc:
        msg = (
            f'position {text!r} cannot be read ({exc}); give "RA Dec" in '
            'degrees, sexagesimal coordinates, or a name'
        )
        raise QueryError(msg) from exc


def _where(items):
    """Read the conditions of --where."""
    where = {}
    for item in items:
        found = re.fullmatch(r'\s*(\w+)\s*(=|>=|<=)\s*(.*?)\s*', item)
        if not found:
            msg = (
                f'--where {item!r} is no condition; give COLUMN=VALUE, '
                'COLUMN>=VALUE or COLUMN<=VALUE'
            )
            raise QueryError(msg)
        name, sign, value = found.groups()
        values = where.setdefault(name, {})
        values.setdefault(sign, []).append(value)
    for name, values in where.items():
        if '=' in values and len(values) > 1:
            msg = f'--where gives {name} both values and bounds; choose one'
            raise QueryError(msg)
        low, high = (values.get(sign, [None])[-1] for sign in ('>=', '<='))
        where[name] = values.get('=', (low, high))
    return where or None


def _show(data, n_rows):
    """Print what was found."""

    def get(name, form='{}'):
        values = data.get(name, [None] * n_rows)
        return [None if v is None else form.format(v) for v in values]

    targets = [
        name or title or row
        for name, title, row in zip(
            get('target_name'), get('obs_title'), get('id'), strict=True
        )
    ]
    cells = {
        'rank': get('rank'),
        'target': targets,
        'RA': get('s_ra', '{:.4f}'),
        'Dec': get('s_dec', '{:+.4f}'),
        'instrument': get('instrument_name'),
        'proposal': get('proposal_id'),
        'similarity': get('similarity', '{:.3f}'),
        'score': get('score', '{:.4f}'),
        'separation': get('separation', '{:.4f}'),
    }
    header = [
        column
        for column in _HEADER
        if column[0] in _ALWAYS or any(cells[column[0]])
    ]
    rows = list(zip(*(cells[name] for name, _, _ in header), strict=True))
    print_table(header, rows, links=get('access_url'))
