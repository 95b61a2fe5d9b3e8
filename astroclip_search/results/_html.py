# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Results in a notebook."""

import base64
from html import escape

import numpy as np

__all__ = []

_COLUMNS = (
    'rank', 'target_name', 's_ra', 's_dec', 'instrument_name', 'proposal_id',
    'obs_title', 'similarity', 'score', 'separation',
)  # fmt: skip
_MOST = 50


def cell(table, name, i, *, digits=None):
    """
    Text of a cell.

    Parameters
    ----------
    table : `~astropy.table.Table`
        A table.
    name : str
        A column; it may be missing.
    i : int
        A row.
    digits : int, optional
        Decimals of a number.

    Returns
    -------
    text : str
        Empty where the value is unknown.
    """
    if name not in table.colnames:
        return ''
    column = table[name]
    if np.any(getattr(column, 'mask', False)) and column.mask[i]:
        return ''
    value = column[i]
    value = getattr(value, 'value', value)
    value = getattr(value, 'unmasked', value)
    if digits is not None:
        return f'{float(value):.{digits}f}' if np.isfinite(value) else ''
    return str(value)


_DIGITS = {
    's_ra': 5, 's_dec': 5, 'similarity': 3, 'score': 3, 'separation': 4,
    'false_match_rate': 4,
}  # fmt: skip


def search_result_html(result):
    """
    Make the HTML of a search result.

    Parameters
    ----------
    result : `SearchResult`
        The rows; the first 50 are shown.

    Returns
    -------
    html : str
        A table; everything that came from outside is escaped, and only
        ``http`` and ``https`` addresses become links.
    """
    names = [n for n in _COLUMNS if n in result.colnames]
    thumbnails = result.thumbnails[:_MOST]
    pictured = any(thumbnails)
    head = ''.join(
        f'<th>{escape(name)}</th>'
        for name in ([''] if pictured else []) + names + ['access_url']
    )
    lines = []
    for i in range(min(len(result), _MOST)):
        cells = []
        if pictured:
            cells.append(f'<td>{_image(thumbnails[i])}</td>')
        for name in names:
            text = escape(cell(result, name, i, digits=_DIGITS.get(name)))
            cells.append(f'<td>{text}</td>')
        cells.append(f'<td>{_link(cell(result, "access_url", i))}</td>')
        lines.append(f'<tr>{"".join(cells)}</tr>')
    more = len(result) - _MOST
    foot = f'<p>and {more} more rows</p>' if more > 0 else ''
    title = escape(f'{len(result)} rows')
    query = result.meta.get('query')
    if query:
        title += f' for <em>{escape(str(query))}</em>'
    return (
        f'<div><p><b>SearchResult</b>: {title}</p><table><thead><tr>{head}'
        f'</tr></thead><tbody>{"".join(lines)}</tbody></table>{foot}</div>'
    )


def _image(thumbnail):
    if thumbnail is None:
        return ''
    # Only what starts as a JPEG is passed on as one.
    if not thumbnail.startswith(b'\xff\xd8\xff'):
        return ''
    data = base64.b64encode(thumbnail).decode('ascii')
    return (
        f'<img src="data:image/jpeg;base64,{data}" alt="" '
        'style="max-width:96px;max-height:96px">'
    )


def _link(address):
    if not address.lower().startswith(('http://', 'https://')):
        return escape(address)
    safe = escape(address, quote=True)
    return f'<a href="{safe}" rel="noopener noreferrer">open</a>'


def description_html(description):
    """
    Make the HTML of a description.

    Parameters
    ----------
    description : `Description`
        The classes; the first 20 and the null row are shown.

    Returns
    -------
    html : str
        A table with a bar for each score.
    """
    from astroclip_search.results._description import NULL_LABEL

    lines = []
    for i, label in enumerate(description['label']):
        null = str(label) == NULL_LABEL
        if i >= 20 and not null:
            continue
        score = float(description['score'][i])
        colour = '#8A8A8A' if null else '#0072B2'
        bar = (
            f'<div style="background:{colour};height:0.8em;'
            f'width:{100 * min(max(score, 0.0), 1.0):.0f}px"></div>'
        )
        lines.append(
            f'<tr><td>{i + 1}</td><td>{escape(str(label))}</td>'
            f'<td>{bar}</td><td>{score:.3f}</td>'
            f'<td>{cell(description, "similarity", i, digits=3)}</td></tr>'
        )
    return (
        '<div><p><b>Description</b></p><table><thead><tr><th>rank</th>'
        '<th>label</th><th></th><th>score</th><th>similarity</th></tr>'
        f'</thead><tbody>{"".join(lines)}</tbody></table></div>'
    )
