# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Tables, JSON and VOTable on a terminal, in a pipe, or in a file."""

import json
import math
import os
import shutil
import sys
from pathlib import Path

import numpy as np

from astroclip_search.exceptions import QueryError

__all__ = []

# Endings of --output, and the format that astropy.table writes for them.
FORMATS = {
    '.json': 'json',
    '.vot': 'votable',
    '.votable': 'votable',
    '.xml': 'votable',
    '.ecsv': 'ascii.ecsv',
    '.csv': 'ascii.csv',
    '.fits': 'fits',
}


def add_output_options(parser):
    """
    Add the options that say where a result goes.

    Parameters
    ----------
    parser : `argparse.ArgumentParser`
        The parser of a command.
    """
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        '--json', action='store_true', help='write a JSON list of rows'
    )
    group.add_argument(
        '--votable', action='store_true', help='write a VOTable'
    )
    parser.add_argument(
        '--output',
        metavar='FILE',
        type=Path,
        help='write to a file; its ending says how unless --json or '
        '--votable do: ' + ' '.join(FORMATS),
    )
    parser.add_argument(
        '--quiet', action='store_true', help='no warnings, no progress'
    )


def output_format(args):
    """
    Find out what to write, before anything is computed.

    Parameters
    ----------
    args : `argparse.Namespace`
        With the options of `add_output_options`.

    Returns
    -------
    form : str
        'text' or a value of ``FORMATS``.

    Raises
    ------
    QueryError
        If the file cannot be written.
    """
    form = 'json' if args.json else 'votable' if args.votable else 'text'
    if args.output is None:
        return form
    if form == 'text':
        form = FORMATS.get(args.output.suffix.lower())
        if form is None:
            msg = (
                f'ending {args.output.suffix!r} of {str(args.output)!r} is '
                f'not one of {" ".join(FORMATS)}; give --json or --votable'
            )
            raise QueryError(msg)
    if args.output.is_dir() or not args.output.parent.is_dir():
        msg = f'{str(args.output)!r} cannot be written: no such directory'
        if args.output.is_dir():
            msg = f'{str(args.output)!r} is a directory; name a file in it'
        raise QueryError(msg)
    return form


def write(table, form, output):
    """
    Write a result in a machine's format.

    Parameters
    ----------
    table : `~astropy.table.QTable`
        The result.
    form : str
        A value of ``FORMATS``.
    output : `~pathlib.Path` or None
        The file; None is standard output.
    """
    if output is None:
        if form == 'json':
            sys.stdout.write(to_json(columns(table)))
        else:
            sys.stdout.flush()
            _write_votable(table, sys.stdout.buffer)
        return
    # astropy knows formats by their endings, so the ending stays.
    new = output.with_name(f'.{os.getpid()}-{output.name}')
    try:
        with new.open('wb') as file:
            if form == 'json':
                file.write(to_json(columns(table)).encode())
            elif form == 'votable':
                _write_votable(table, file)
        if form not in ('json', 'votable'):
            table.write(new, format=form, overwrite=True)
        new.replace(output)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _write_votable(table, file):
    """Write a VOTable to a binary file."""
    votable = table.to_votable()
    if hasattr(votable, 'to_xml'):
        votable.to_xml(file)
    else:
        file.write(votable)


def columns(table):
    """
    Turn a table into plain values.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.

    Returns
    -------
    columns : dict of list
        Values of each column; None where they are masked or not finite.
    """
    out = {}
    for name in table.colnames:
        column = table[name]
        mask = np.broadcast_to(getattr(column, 'mask', False), len(table))
        values = getattr(column, 'value', column)  # of a Quantity
        values = getattr(values, 'unmasked', values)  # of a Masked
        values = np.array(np.ma.getdata(values)).tolist()
        out[name] = [
            None if hidden or _unknown(value) else value
            for value, hidden in zip(values, mask.tolist(), strict=True)
        ]
    return out


def _unknown(value):
    return isinstance(value, float) and not math.isfinite(value)


def to_json(data):
    """
    Write columns as a list of rows.

    Parameters
    ----------
    data : dict of list
        Values of each column; None is unknown.

    Returns
    -------
    text : str
        JSON, a row on a line.
    """
    rows = [
        json.dumps(dict(zip(data, row, strict=True)), ensure_ascii=False)
        for row in zip(*data.values(), strict=True)
    ]
    return '[' + ',\n '.join(rows) + ']\n'


def print_table(header, rows, *, links=None):
    """
    Print a table for people.

    On a terminal the address of a row is on a line of its own, so that the
    rest fits; in a pipe it is the last column.

    Parameters
    ----------
    header : list of (str, int, str)
        Name, most characters on a terminal, and ``'<'`` or ``'>'`` of each
        column; one that may have 0 takes the room that is left.
    rows : list of list of str
        Cells; None is unknown.
    links : list of str, optional
        An address for each row; None is unknown.
    """
    terminal = sys.stdout.isatty()
    screen = shutil.get_terminal_size().columns
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [
        max([len(name), *(len(row[i]) for row in cells)])
        for i, (name, _, _) in enumerate(header)
    ]
    if terminal:
        limits = [most for _, most, _ in header]
        room = screen - sum(limits) - 2 * (len(header) - 1)
        widths = [
            min(width, most or max(room, 12))
            for width, most in zip(widths, limits, strict=True)
        ]

    def line(values):
        parts = [
            f'{_shorten(value, width):{align}{width}}'
            for value, width, (_, _, align) in zip(
                values, widths, header, strict=True
            )
        ]
        return '  '.join(parts)

    title = line([name for name, _, _ in header])
    beside = links is not None and (
        not terminal
        or len(title) + 2 + max((len(x or '') for x in links), default=0)
        <= screen
    )
    if beside:
        title += '  access_url'
    if terminal and not os.environ.get('NO_COLOR'):
        title = f'\x1b[1m{title}\x1b[0m'
    out = [title]
    for i, row in enumerate(cells):
        text = line(row)
        link = _cell(links[i]) if links is not None else None
        if beside:
            text += f'  {link}'
        out.append(text.rstrip())
        if links is not None and not beside and links[i]:
            out.append(f'{"":{widths[0]}}  {link}')
    sys.stdout.write('\n'.join(out) + '\n')


def _cell(value):
    return '--' if value is None else ' '.join(str(value).split())


def _shorten(text, width):
    return text if len(text) <= width else text[: width - 1] + '…'
