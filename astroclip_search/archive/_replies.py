# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Read what an archive replied, without trusting it."""

import bz2
import csv
import gzip
import io
import json
import re
import warnings
from pathlib import Path
from xml.parsers.expat import ExpatError

import numpy as np
from astropy.io.votable import parse
from astropy.io.votable.exceptions import VOWarning
from astropy.table import Table

from astroclip_search.exceptions import ArchiveError

__all__ = ['as_columns', 'as_rows', 'read_reply', 'reply_columns', 'unpack']

_MAX_BYTES = 1 << 30
# A reply that declares entities can blow up a parser or read local files.
_ENTITY = re.compile(rb'<!ENTITY|<!DOCTYPE[^>]*\[', re.IGNORECASE)
_NULLS = frozenset(['', 'null', 'None', 'nan', 'NaN', '--'])


def read_reply(source):
    """
    Read the rows of a reply: JSON of MAST, a VOTable, or CSV.

    Parameters
    ----------
    source : str, path-like, bytes or dict
        A file, its content, or decoded JSON.

    Returns
    -------
    columns : dict of str to list
        The values of each column, `None` where there is none, by the name
        of the column as the reply writes it.

    Raises
    ------
    ArchiveError
        If it is no such reply, or if it reports an error.
    """
    if isinstance(source, dict):
        return _json_columns(source, 'The reply')
    name = 'The reply'
    if not isinstance(source, bytes):
        name = f'The reply in {str(source)!r}'
        try:
            source = Path(source).read_bytes()
        except OSError as exc:
            msg = f'{name} cannot be read: {exc}'
            raise ArchiveError(msg) from exc
    data = unpack(source, name)
    start = data[:200].lstrip(b'\xef\xbb\xbf \t\r\n')
    if start.startswith((b'{', b'[')):
        return _json_columns(_parse_json(data, name), name)
    if start[:14].lower().startswith((b'<!doctype html', b'<html')):
        msg = f'{name} is an HTML page, not a table: the service has a problem'
        raise ArchiveError(msg)
    if start.startswith(b'<'):
        return reply_columns(_parse_votable(data, name))
    return _csv_columns(data, name)


def reply_columns(table):
    """
    Return the columns of an Astropy table as `read_reply` does.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.

    Returns
    -------
    columns : dict of str to list
        Plain Python values, `None` where they are masked or not finite.
    """
    return {name: _column(table[name]) for name in table.colnames}


def _column(column):
    data = getattr(column, 'unmasked', column)  # of a masked Quantity
    data = np.asarray(getattr(data, 'value', data))
    mask = np.broadcast_to(getattr(column, 'mask', False), data.shape)
    return [
        None if hidden else _plain(value)
        for value, hidden in zip(data.tolist(), mask.tolist(), strict=True)
    ]


def _plain(value):
    if isinstance(value, bytes):
        value = value.decode('utf-8', 'replace')
    if isinstance(value, str):
        value = value.strip()
        return None if value in _NULLS else value
    # NaN is the only value that differs from itself.
    return None if value != value else value


def unpack(data, name):
    """Undo gzip or bzip2 (the HTTP answer is stored as it came)."""
    opener = None
    if data.startswith(b'\x1f\x8b'):
        opener = gzip.open
    elif data.startswith(b'BZh'):
        opener = bz2.open
    if opener is None:
        return data
    try:
        with opener(io.BytesIO(data)) as file:
            data = file.read(_MAX_BYTES + 1)
    except (OSError, EOFError, ValueError) as exc:
        msg = f'{name} is damaged: {exc}'
        raise ArchiveError(msg) from exc
    if len(data) > _MAX_BYTES:
        msg = f'{name} holds more than {_MAX_BYTES} bytes: refused'
        raise ArchiveError(msg)
    return data


def _parse_json(data, name):
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as exc:
        msg = f'{name} is no valid JSON: {exc}'
        raise ArchiveError(msg) from exc


def _json_columns(reply, name):
    if not isinstance(reply, dict):
        msg = f'{name} is JSON, but not the object that MAST sends'
        raise ArchiveError(msg)
    if reply.get('status') == 'ERROR':
        text = ' '.join(str(reply.get('msg') or 'no reason given').split())
        msg = f'{name} reports an error: {text[:300]}'
        raise ArchiveError(msg)
    rows = next(
        (reply[k] for k in ('data', 'results', 'products') if k in reply),
        None,
    )
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) for row in rows
    ):
        msg = f'{name} holds no list of rows (data, results or products)'
        raise ArchiveError(msg)
    fields = reply.get('fields') or reply.get('info') or []
    names = dict.fromkeys(field['name'] for field in fields)
    names |= dict.fromkeys(key for row in rows for key in row)
    return {key: [_plain(row.get(key)) for row in rows] for key in names}


def _parse_votable(data, name):
    root = data.find(b'<VOTABLE')
    if _ENTITY.search(data[: root if root >= 0 else len(data)]):
        msg = f'{name} declares XML entities: refused, no VOTable needs them'
        raise ArchiveError(msg)
    try:
        with warnings.catch_warnings():
            # Archives break the standard in small ways all the time.
            warnings.simplefilter('ignore', VOWarning)
            votable = parse(io.BytesIO(data), verify='ignore')
            status = _error_status(votable)
            if status:
                msg = f'{name} reports an error: {status[:300]}'
                raise ArchiveError(msg)
            return votable.get_first_table().to_table(use_names_over_ids=True)
    except ArchiveError:
        raise
    except (ValueError, IndexError, TypeError, OSError, ExpatError) as exc:
        reason = ' '.join(str(exc).split())
        msg = f'{name} is no valid VOTable: {reason[:300]}'
        raise ArchiveError(msg) from exc


def _error_status(votable):
    for resource in votable.iter_info():
        if resource.name == 'QUERY_STATUS' and resource.value == 'ERROR':
            return ' '.join(str(resource.content or resource.value).split())
    return None


def _csv_columns(data, name):
    try:
        text = data.decode('utf-8-sig')
        reader = csv.DictReader(io.StringIO(text, newline=''), strict=True)
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as exc:
        msg = f'{name} is no JSON, VOTable or CSV: {exc}'
        raise ArchiveError(msg) from exc
    names = reader.fieldnames or []
    if len(names) < 2 or any(None in row for row in rows):
        msg = f'{name} is no table: no row of names, or rows that are longer'
        raise ArchiveError(msg)
    return {key: [_plain(row[key]) for row in rows] for key in names}


def as_columns(source):
    """Return the columns of a table, a reply, or a file of one."""
    if isinstance(source, Table):
        return reply_columns(source)
    return read_reply(source)


def as_rows(source):
    """Return a dict for each row of what `as_columns` takes."""
    columns = as_columns(source)
    return [
        dict(zip(columns, values, strict=True))
        for values in zip(*columns.values(), strict=True)
    ]
