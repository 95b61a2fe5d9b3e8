# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Reading of proposal abstracts."""

import re
import warnings
from pathlib import Path

from astropy.table import MaskedColumn, Table

from astroclip_search.exceptions import AstroClipWarning, TrainingError
from astroclip_search.training._files import read_rows

__all__ = ['read_abstracts']

_SEPARATOR = re.compile(r'^\s*-{5,}\s*$', re.MULTILINE)
_FIELDS = {
    'Prop. Type': 'proposal_type',
    'Category': 'category',
    'ID': 'proposal_id',
    'Cycle': 'cycle',
    'Title': 'title',
    'PI': 'pi',
}
# At the start of a line or, where fields share one, after two spaces.
_FIELD = re.compile(
    r'(?:^|(?<=\s\s))\s*(' + '|'.join(map(re.escape, _FIELDS)) + r')\s*:[ \t]*'
)
_ALSO = re.compile(r'^\s*(PI Institution|Co-?Is?|Pandate)\s*:', re.IGNORECASE)
_COLUMNS = (*_FIELDS.values(), 'abstract')
_OTHER_NAMES = {'id': 'proposal_id', 'proposal': 'proposal_id'}


def read_abstracts(source, *, require_cycle=None):
    """
    Read the abstracts of proposals.

    Parameters
    ----------
    source : path-like, `~astropy.table.Table` or iterable of dict
        The catalogue of HST proposal abstracts (``abstracts.cat``: records
        divided by lines of dashes, fields ``Prop. Type:``, ``Category:``,
        ``ID:``, ``Cycle:``, ``Title:``, ``PI:``, then the abstract), or a
        table with columns ``proposal_id`` and ``abstract``, also as a file
        (JSONL, CSV, ECSV).
    require_cycle : bool, optional
        Whether records without a cycle are dropped, as in the paper (section
        3.1). The default is to do so for the catalogue, and not for tables.

    Returns
    -------
    abstracts : `~astropy.table.Table`
        Columns ``proposal_id``, ``cycle``, ``category``, ``proposal_type``,
        ``title``, ``pi``, ``abstract``, those that are known, and other
        columns of a table. ``meta`` counts what was dropped:
        ``no_cycle``, ``no_abstract``, ``no_id``, ``repeated``.

    Raises
    ------
    TrainingError
        If the file is missing or holds no abstract.

    Warns
    -----
    AstroClipWarning
        If records were dropped.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    tables = ('.jsonl', '.ndjson', '.csv', '.ecsv')
    catalogue = path is not None and path.suffix not in tables
    if catalogue:
        records = _read_catalogue(path)
    else:
        records = [
            {_OTHER_NAMES.get(k.lower(), k): v for k, v in row.items()}
            if 'proposal_id' not in row
            else row
            for row in read_rows(source)
        ]
    if require_cycle is None:
        require_cycle = catalogue
    kept, dropped = {}, dict.fromkeys(
        ('no_cycle', 'no_abstract', 'no_id', 'repeated'), 0
    )  # fmt: skip
    for record in records:
        record['cycle'] = _cycle(record.get('cycle'))
        identifier = str(record.get('proposal_id', '')).strip()
        if require_cycle and record['cycle'] is None:
            dropped['no_cycle'] += 1
        elif not str(record.get('abstract', '')).strip():
            dropped['no_abstract'] += 1
        elif not identifier:
            dropped['no_id'] += 1
        elif identifier in kept:
            dropped['repeated'] += 1
        else:
            kept[identifier] = {**record, 'proposal_id': identifier}
    if not kept:
        msg = (
            f'{source if path else "The table"} holds no abstract that can be '
            f'used ({_counts(dropped) or "no records"}).'
        )
        raise TrainingError(msg)
    if any(dropped.values()):
        warnings.warn(
            f'Of {len(records)} abstracts, some were dropped: '
            f'{_counts(dropped)}.',
            AstroClipWarning,
        )
    return _table(list(kept.values()), dropped)


def _counts(dropped):
    counts = ', '.join(f'{n} {reason}' for reason, n in dropped.items() if n)
    return counts.replace('_', ' ')


def _cycle(value):
    """Cycle as an int, from "12", 12 or "Cycle 12"; None if there is none."""
    found = re.search(r'\d+', str(value or ''))
    return int(found[0]) if found else None


def _decode(data):
    for encoding in ('utf-8-sig', 'cp1252'):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode('latin-1')


def _read_catalogue(path):
    try:
        text = _decode(path.read_bytes())
    except OSError as exc:
        msg = f'{path} cannot be read ({exc}).'
        raise TrainingError(msg) from exc
    text = text.replace('\r\n', '\n').replace('\r', '\n')
    parts = _SEPARATOR.split(text)
    return [_record(part) for part in parts if _FIELD.search(part)]


def _record(text):
    """Fields of one record; lines after PI are the abstract."""
    record, field, abstract = {}, None, []
    for line in text.split('\n'):
        if 'pi' in record:
            if not _ALSO.match(line):
                abstract.append(line)
            continue
        found = list(_FIELD.finditer(line))
        if found:
            ends = [match.start() for match in found[1:]] + [len(line)]
            for match, end in zip(found, ends, strict=True):
                field = _FIELDS[match[1]]
                record[field] = line[match.end() : end].strip()
        elif field is not None and line.strip():
            # A title that goes on in the next line.
            record[field] = f'{record[field]} {line.strip()}'.strip()
    record['abstract'] = ' '.join(' '.join(abstract).split())
    return {name: value for name, value in record.items() if value}


def _table(records, dropped):
    names = [n for n in _COLUMNS if any(r.get(n) is not None for r in records)]
    for record in records:
        names += [name for name in record if name not in (*names, 'cycle')]
    table = Table(meta=dropped)
    for name in names:
        values = [record.get(name) for record in records]
        mask = [value is None for value in values]
        known = [value for value in values if value is not None]
        if isinstance(known[0], list | dict):
            table[name] = MaskedColumn([None] * len(values), dtype=object)
            for row, value in enumerate(values):
                table[name][row] = value
            continue
        fill = known[0] if not isinstance(known[0], str) else ''
        table[name] = MaskedColumn(
            [fill if value is None else value for value in values], mask=mask
        )
    return table
