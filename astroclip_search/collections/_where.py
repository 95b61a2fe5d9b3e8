# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Filters by the values of columns, in the manner of SIA version 2.

Several values of one column mean "or", several columns mean "and" (IVOA
Simple Image Access 2.0, Dowler et al. 2015, section 2.1).
"""

import difflib
import re
from collections.abc import Mapping

import numpy as np

from astroclip_search.exceptions import QueryError

__all__ = []

# Columns that stand for an interval.
_INTERVALS = {
    'time': ('t_min', 't_max'),
    'wavelength': ('em_min', 'em_max'),
}


def where_rows(snapshot, where, rows):
    """
    Leave only the rows whose columns have certain values.

    Parameters
    ----------
    snapshot : Snapshot
        The collection.
    where : dict
        Conditions by column.
    rows : (k,) `~numpy.ndarray` of int64 or None
        Rows to choose from; None stands for all.

    Returns
    -------
    rows : (m,) `~numpy.ndarray` of int64 or None
        The chosen ones.
    counts : dict
        Number of rows left after each condition.

    Raises
    ------
    QueryError
        If a condition cannot be understood.
    """
    if not isinstance(where, Mapping):
        msg = (
            f'where={where!r} is no dictionary; give {{column: value}}, as '
            "{'instrument_name': 'NIRCam'}"
        )
        raise QueryError(msg)
    counts = {}
    for name, condition in where.items():
        if name in _INTERVALS and name not in snapshot.facts:
            tests = _interval_tests(snapshot, name, condition)
        else:
            check_name(snapshot, name)
            test = _condition(name, condition, snapshot.facts[name])
            tests = [[(name, test)]]
        rows = _apply(snapshot, tests, rows)
        counts[name] = len(rows)
    return rows, counts


def check_name(snapshot, name):
    """
    See that a collection has a column.

    Parameters
    ----------
    snapshot : Snapshot
        The collection.
    name : str
        Name of the column.

    Raises
    ------
    QueryError
        If it has not; columns of similar names are named.
    """
    if name in snapshot.facts:
        return
    near = difflib.get_close_matches(str(name), snapshot.facts, 3, 0.5)
    hint = (
        f'did you mean {" or ".join(map(repr, near))}?'
        if near
        else (f'its columns are {", ".join(snapshot.facts)}')
    )
    msg = f'the collection has no column {name!r}; {hint}'
    raise QueryError(msg)


def _apply(snapshot, tests, rows):
    """Rows that pass all the tests of one of the alternatives."""
    chosen = []
    if rows is None:
        parts = [
            (segment, None, start)
            for segment, start in zip(
                snapshot.segments, snapshot.starts, strict=False
            )
        ]
    else:
        parts = [
            (segment, mine, rows[places[0]] - mine[0])
            for segment, places, mine in snapshot.parts(rows)
        ]
    for segment, mine, start in parts:
        passed = np.zeros(len(segment) if mine is None else len(mine), bool)
        for alternative in tests:
            now = np.ones(len(passed), bool)
            for name, test in alternative:
                column = segment.columns.get(name)
                now &= False if column is None else test(column, mine)
            passed |= now
        hits = np.flatnonzero(passed)
        chosen.append((hits if mine is None else mine[hits]) + start)
    chosen = np.concatenate(chosen) if chosen else np.empty(0, np.int64)
    return snapshot.without_removed(chosen) if rows is None else chosen


def _condition(name, condition, facts):
    """Make the test of one column."""
    listed = isinstance(condition, list | set | frozenset)
    values = list(condition) if listed or _is_array(condition) else [condition]
    if not values:
        msg = f'where[{name!r}] is empty; give a value, or leave it out'
        raise QueryError(msg)
    tests = [_one(name, value, facts) for value in values]

    def test(column, rows):
        passed = tests[0](column, rows)
        for other in tests[1:]:
            passed = passed | other(column, rows)
        return passed

    return test


def _is_array(value):
    return bool(getattr(value, 'shape', ()))


def _one(name, value, facts):
    """Make the test of one value or interval."""
    if isinstance(value, tuple):
        if len(value) != 2:
            msg = (
                f'where[{name!r}] has {value!r}; an interval is (low, high), '
                'with None for an open end, alternatives are a list'
            )
            raise QueryError(msg)
        low, high = (_number(name, end, facts) for end in value)
        return _interval(name, low, high, facts)
    if value is None:
        return _unknown
    if facts['kind'] == 'str':
        return _string(name, value)
    number = _number(name, value, facts)

    def equal(column, rows):
        values, known = _values(column, rows)
        return known & (values == number)

    return equal


def _unknown(column, rows):
    if column.valid is None:
        return np.zeros(len(column) if rows is None else len(rows), bool)
    return ~column.valid if rows is None else ~column.valid[rows]


def _values(column, rows):
    values = column.values if rows is None else column.values[rows]
    if column.valid is None:
        return values, True
    return values, column.valid if rows is None else column.valid[rows]


def _interval(name, low, high, facts):
    if facts['kind'] == 'str':
        return _string_interval(low, high)
    # Right ascensions go round: (350, 10) is the interval through zero.
    wraps = name == 's_ra' and None not in (low, high) and low > high
    if not wraps and None not in (low, high) and low > high:
        msg = (
            f'where[{name!r}] has the interval ({low}, {high}), whose ends '
            'are in the wrong order'
        )
        raise QueryError(msg)

    def test(column, rows):
        values, known = _values(column, rows)
        if wraps:
            return known & ((values >= low) | (values <= high))
        passed = np.ones(len(values), bool)
        if low is not None:
            passed &= values >= low
        if high is not None:
            passed &= values <= high
        return passed & known

    return test


def _number(name, value, facts):
    """A bound or value in the unit of the column."""
    if value is None:
        return None
    unit = facts.get('unit')
    if hasattr(value, 'mjd'):
        if unit != 'd':
            if facts['kind'] == 'str':
                return value.isot
            msg = f'where[{name!r}] is a time, but the column is none'
            raise QueryError(msg)
        return float(value.mjd)
    if hasattr(value, 'unit') and value.unit is not None:
        import astropy.units as u

        try:
            equivalence = u.spectral() if name.startswith('em_') else []
            return float(value.to(unit or '', equivalence).value)
        except (u.UnitConversionError, TypeError) as exc:
            msg = (
                f'where[{name!r}] is {value}, but the column is in '
                f'{unit or "no unit"}'
            )
            raise QueryError(msg) from exc
    if facts['kind'] == 'str':
        return str(value)
    if isinstance(value, bool | np.bool_) and facts['kind'] == 'bool':
        return bool(value)
    try:
        return float(value) if not isinstance(value, int) else value
    except (TypeError, ValueError) as exc:
        msg = (
            f'where[{name!r}] is {value!r}, but the column holds numbers; '
            'give a number, a Quantity, or an interval (low, high)'
        )
        raise QueryError(msg) from exc


def _string(name, value):
    """Whole strings, whatever their case; * and ? stand for others."""
    if not isinstance(value, str | int | np.integer):
        msg = (
            f'where[{name!r}] is {value!r}, but the column holds strings; '
            'give a string, in which * stands for anything'
        )
        raise QueryError(msg)
    wanted = str(value).casefold()
    if '*' in wanted:
        pattern = re.escape(wanted).replace(r'\*', '.*')
        match = re.compile(pattern, re.DOTALL).fullmatch
    else:
        match = wanted.__eq__
    return _per_string(lambda text: bool(match(text.casefold())))


def _string_interval(low, high):
    def inside(text):
        return (low is None or text >= low) and (high is None or text <= high)

    return _per_string(inside)


def _per_string(match):
    def test(column, rows):
        if column.codes is not None:
            n = column.n_strings
            texts = column.decode(np.arange(n))
            passed = np.fromiter(map(match, texts), bool, n)
            codes = column.codes if rows is None else column.codes[rows]
            passed = passed[codes] if n else np.zeros(len(codes), bool)
        else:
            rows_ = np.arange(len(column)) if rows is None else rows
            texts = column.take(rows_)
            passed = np.fromiter(map(match, texts), bool, len(rows_))
        return passed & ~_unknown(column, rows)

    return test


def _interval_tests(snapshot, name, condition):
    """
    Tests of rows whose own interval meets one of those asked for.

    A row of which only one end is known is taken as a point.
    """
    start, end = _INTERVALS[name]
    check_name(snapshot, start)
    facts = snapshot.facts[start]
    wanted = condition if isinstance(condition, list) else [condition]
    if _is_array(condition):
        wanted = [tuple(condition)]
    tests = []
    for item in wanted:
        ends = item if isinstance(item, tuple) else (item, item)
        if len(ends) != 2:
            msg = f'where[{name!r}] needs one value or two ends, not {item!r}'
            raise QueryError(msg)
        low, high = (_number(start, e, facts) for e in ends)
        if None not in (low, high) and low > high:
            low, high = high, low  # of frequencies, say
        inside = _interval(start, low, high, facts)
        begun = _interval(start, None, high, facts)
        lasting = _interval(end, low, None, facts)
        tests += [
            [(start, begun), (end, lasting)],
            [(start, inside)],
            [(end, inside)],
        ]
    return tests
