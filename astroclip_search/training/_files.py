# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Reading of rows from any table, and writing of whole files."""

import json
import os
import tempfile
import threading
from pathlib import Path

import numpy as np
from astropy.table import Table

from astroclip_search.exceptions import TrainingError

__all__ = ['Journal', 'read_rows', 'replacing', 'write_rows', 'write_text']


def read_rows(source):
    """
    Rows of a table in memory or on disk, as dicts without unknown values.

    Parameters
    ----------
    source : `~astropy.table.Table`, iterable of dict, or path-like
        The table; a file is JSONL, CSV or ECSV by its suffix.

    Returns
    -------
    rows : list of dict
        Masked values, NaN, None and empty texts are left out; numbers are
        Python's.

    Raises
    ------
    TrainingError
        If the file is missing or no such table.
    """
    if isinstance(source, str | os.PathLike):
        source = _read_file(Path(source))
    if isinstance(source, Table):
        names = source.colnames
        source = ({name: row[name] for name in names} for row in source)
    rows = []
    for number, row in enumerate(source):
        if not isinstance(row, dict):
            msg = f'Row {number} is {row!r}; each row must be a dict.'
            raise TrainingError(msg)
        known = {}
        for name, value in row.items():
            value = getattr(value, 'value', value)  # a Quantity in degrees
            if isinstance(value, np.generic | np.ndarray):
                value = None if np.ma.is_masked(value) else value.tolist()
            if value is None or value is np.ma.masked or value == '':
                continue
            if isinstance(value, float) and np.isnan(value):
                continue
            known[name] = value
        rows.append(known)
    return rows


def _read_file(path):
    try:
        if path.suffix in ('.jsonl', '.ndjson'):
            with path.open(encoding='utf-8') as file:
                return [json.loads(line) for line in file if line.strip()]
        if path.suffix in ('.csv', '.ecsv'):
            return Table.read(path, format=f'ascii.{path.suffix[1:]}')
    except FileNotFoundError:
        msg = f'There is no file {path}.'
        raise TrainingError(msg) from None
    except Exception as exc:  # readers raise many kinds
        text = ' '.join(str(exc).split())[:200]
        msg = f'{path} cannot be read as {path.suffix[1:]} ({text}).'
        raise TrainingError(msg) from exc
    msg = f'{path} is no .jsonl, .csv or .ecsv file; convert it.'
    raise TrainingError(msg)


class replacing:  # noqa: N801
    """
    Context manager: a path to write, which replaces another when complete.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file to replace. It stays as it was if anything goes wrong.

    Raises
    ------
    TrainingError
        If the disk is full or the file cannot be written.
    """

    def __init__(self, path):
        self.path = Path(path)

    def __enter__(self):
        try:
            handle, name = tempfile.mkstemp(
                dir=self.path.parent, prefix=f'.{self.path.name}-'
            )
        except OSError as exc:
            raise self._error(exc) from exc
        os.close(handle)
        self._temporary = Path(name)
        return self._temporary

    def __exit__(self, kind, exc, traceback):
        try:
            if kind is None:
                with self._temporary.open('rb+') as file:
                    os.fsync(file.fileno())
                self._temporary.chmod(0o644)
                self._temporary.replace(self.path)
                return
        except OSError as error:
            exc = error
        self._temporary.unlink(missing_ok=True)
        # safetensors reports a full disk as an error of its own.
        if isinstance(exc, OSError) or 'SafetensorError' in repr(kind):
            raise self._error(exc) from exc

    def _error(self, exc):
        msg = (
            f'{self.path} cannot be written ({exc}); nothing that was there '
            'before is lost. Make room, then go on with resume.'
        )
        return TrainingError(msg)


def write_text(path, text):
    """
    Write a text file, whole or not at all.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.
    text : str
        What it shall say.

    Raises
    ------
    TrainingError
        If it cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding='utf-8')


def write_rows(path, rows):
    """
    Write rows as JSONL, or CSV or ECSV by the suffix.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.
    rows : `~astropy.table.Table`
        The rows; lists need JSONL.

    Raises
    ------
    TrainingError
        If the suffix is none of these, or it cannot be written.
    """
    if path.suffix == '.jsonl':
        text = ''.join(
            json.dumps(row, ensure_ascii=False) + '\n'
            for row in read_rows(rows)
        )
        write_text(path, text)
    elif path.suffix in ('.csv', '.ecsv'):
        lists = [n for n in rows.colnames if rows[n].dtype == object]
        with replacing(path) as temporary:
            rows[[n for n in rows.colnames if n not in lists]].write(
                temporary, format=f'ascii.{path.suffix[1:]}', overwrite=True
            )
    else:
        msg = f'{path} is no .jsonl, .csv or .ecsv file; name one.'
        raise TrainingError(msg)


class Journal:
    """
    A JSONL file of results by key, kept from run to run.

    A line is added for each result, so that a run that is interrupted loses
    none; a last line that was torn off is ignored.

    Parameters
    ----------
    path : `~pathlib.Path` or None
        The file; None to keep results in memory only.
    """

    def __init__(self, path):
        self._values = {}
        self._file = None
        self._lock = threading.Lock()
        if path is None:
            return
        torn = False
        if path.exists():
            text = path.read_text(encoding='utf-8')
            torn = bool(text) and not text.endswith('\n')
            for line in text.splitlines():
                try:
                    row = json.loads(line)
                    self._values[row['key']] = row['value']
                except (ValueError, KeyError, TypeError):
                    continue
        self._file = path.open('a', encoding='utf-8')
        if torn:
            self._file.write('\n')

    def __contains__(self, key):
        return key in self._values

    def get(self, key):
        """Value of a key, or None."""
        return self._values.get(key)

    def add(self, key, value):
        """Keep the value of a key."""
        with self._lock:
            self._values[key] = value
            if self._file is not None:
                row = {'key': key, 'value': value}
                line = json.dumps(row, ensure_ascii=False)
                self._file.write(line + '\n')
                self._file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        if self._file is not None:
            self._file.close()
