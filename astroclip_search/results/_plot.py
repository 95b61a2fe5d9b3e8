# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Plots of results and descriptions."""

import math

import numpy as np

from astroclip_search._optional import require
from astroclip_search.exceptions import QueryError
from astroclip_search.results._pictures import pictures

__all__ = []

# Okabe & Ito (2008): told apart with any kind of colour vision.
BLUE, ORANGE, GREY = '#0072B2', '#E69F00', '#8A8A8A'
SKY = '#56B4E9'


def style(*, dark):
    """
    Settings of matplotlib for a light or a dark background.

    Parameters
    ----------
    dark : bool
        Whether the background is dark.

    Returns
    -------
    context : context manager
        In which figures are made.
    """
    plt = require('matplotlib.pyplot', extra='plots', purpose='make plots')
    ink, paper = ('#E8E8E8', '#15171A') if dark else ('#1A1A1A', 'white')
    settings = {
        'figure.facecolor': paper,
        'savefig.facecolor': paper,
        'axes.facecolor': paper,
        'axes.edgecolor': ink,
        'axes.labelcolor': ink,
        'text.color': ink,
        'xtick.color': ink,
        'ytick.color': ink,
        'grid.color': GREY,
        'font.size': 9,
    }
    return plt.rc_context(settings)


def plot(result, *, columns=5, limit=20, fetch=False, dark=False):
    """Draw a grid of pictures; see `SearchResult.plot`."""
    if columns < 1 or limit < 1:
        msg = f'columns={columns} and limit={limit} must be 1 or more'
        raise QueryError(msg)
    shown = result[: min(limit, len(result))]
    if len(shown) == 0:
        msg = 'the result has no rows, so there is nothing to plot'
        raise QueryError(msg)
    with style(dark=dark):
        import matplotlib.pyplot as plt

        n = len(shown)
        columns = min(columns, n)
        rows = math.ceil(n / columns)
        figure, axes = plt.subplots(
            rows,
            columns,
            figsize=(2.3 * columns, 2.85 * rows),
            squeeze=False,
            layout='constrained',
        )
        found = pictures(shown, fetch=fetch)
        for i, axis in enumerate(axes.flat):
            axis.set_axis_off()
            if i < n:
                _panel(axis, next(found), _caption(shown, i))
        return figure


def _panel(axis, picture, caption):
    # Names come from archives; a dollar sign in them starts no formula.
    axis.set_title(caption, fontsize=7.5, loc='left', parse_math=False)
    axis.set_anchor('N')
    if picture.pixels is None:
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect='equal')
        from matplotlib.patches import Rectangle

        axis.add_patch(
            Rectangle((0.01, 0.01), 0.98, 0.98, fill=False, ec=GREY, ls=':')
        )
        axis.text(0.5, 0.5, 'no picture', ha='center', va='center', color=GREY)
        return
    axis.imshow(picture.pixels)
    height, width = picture.pixels.shape[:2]
    outline = {'foreground': 'black', 'linewidth': 2.5}
    from matplotlib.patheffects import withStroke

    halo = [withStroke(**outline)]
    if picture.pixel_scale is not None:
        length, label = _round_bar(picture.pixel_scale * width)
        pixels = length / picture.pixel_scale
        x, y = 0.05 * width, 0.93 * height
        axis.plot([x, x + pixels], [y, y], color='white', lw=1.5,
                  path_effects=halo)  # fmt: skip
        axis.text(x, y - 0.03 * height, label, color='white', fontsize=7,
                  va='bottom', path_effects=halo)  # fmt: skip
    if picture.north is not None:
        reach = 0.1 * min(height, width)
        start = np.array([0.86 * width, 0.16 * height])
        tip = start + reach * picture.north
        axis.annotate(
            '', tip, start - reach * picture.north,
            arrowprops={'arrowstyle': '->', 'color': 'white',
                        'path_effects': halo},
        )  # fmt: skip
        axis.text(*(start + 1.75 * reach * _aside(picture.north)), 'N',
                  color='white', fontsize=7, ha='center', va='center',
                  path_effects=halo)  # fmt: skip


def _aside(north):
    """Direction in which the letter stands: left of the arrow."""
    return np.array([north[1], -north[0]]) * 0.6


def _round_bar(width):
    """Length of a scale bar of about a third of the width, in arcsec."""
    target = width / 3
    steps = [s * 60**k for k in (0, 1, 2) for s in (1, 2, 5, 10, 15, 20, 30)]
    steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, *steps, 18000, 36000, 108000]
    length = max([s for s in steps if s <= target], default=steps[0])
    if length < 60:
        return length, f'{length:g}″'
    if length < 3600:
        return length, f'{length / 60:g}′'  # noqa: RUF001
    return length, f'{length / 3600:g}°'


def _caption(result, i):
    from astroclip_search.results._html import cell

    name = cell(result, 'target_name', i) or cell(result, 'id', i)
    name = name if len(name) <= 26 else name[:25] + '…'
    lines = [f'{result["rank"][i]}. {name}']
    facts = [
        cell(result, key, i) for key in ('instrument_name', 'proposal_id')
    ]
    facts = ' '.join(fact for fact in facts if fact)
    lines.append(facts if len(facts) <= 30 else facts[:29] + '…')
    score = cell(result, 'score', i)
    lines.append(f'score {float(score):.3f}' if score else '')
    return '\n'.join(lines)


def similarity_histogram(result, *, background=None, bins=40, dark=False):
    """Draw similarities; see `SearchResult.similarity_histogram`."""
    from astroclip_search.results._columns import filled_floats

    values = filled_floats(result['similarity'])
    values = values[np.isfinite(values)]
    if len(values) == 0:
        msg = 'no row has a similarity, so there is no histogram of them'
        raise QueryError(msg)
    with style(dark=dark):
        import matplotlib.pyplot as plt

        figure, axis = plt.subplots(figsize=(5.5, 3.4), layout='constrained')
        sets = [values]
        if background is not None:
            sets.append(np.asarray(background, dtype=float).ravel())
        edges = np.histogram_bin_edges(np.concatenate(sets), bins=bins)
        if background is not None:
            axis.hist(sets[1], edges, color=GREY, density=True, alpha=0.7,
                      label='background')  # fmt: skip
        axis.hist(
            values, edges, density=background is not None,
            color=SKY if dark else BLUE,
            alpha=0.85, label='result',
        )  # fmt: skip
        axis.set_xlabel('similarity (cosine)')
        axis.set_ylabel('density' if background is not None else 'rows')
        if background is not None:
            axis.legend(frameon=False)
        axis.spines[['top', 'right']].set_visible(False)
        return figure


def plot_description(description, *, limit=15, dark=False):
    """Draw the scores of classes; see `Description.plot`."""
    from astroclip_search.results._description import NULL_LABEL

    labels = [str(label) for label in description['label']]
    scores = np.asarray(description['score'], dtype=float)
    null = labels.index(NULL_LABEL)
    shown = sorted({*range(min(limit, len(labels))), null})
    with style(dark=dark):
        import matplotlib.pyplot as plt

        figure, axis = plt.subplots(
            figsize=(6, 0.6 + 0.26 * len(shown)), layout='constrained'
        )
        places = np.arange(len(shown))[::-1]
        blue = SKY if dark else BLUE
        for place, i in zip(places, shown, strict=True):
            colour = GREY if i == null else blue if i < null else ORANGE
            axis.barh(
                place, scores[i], color=colour, height=0.7,
                hatch='///' if i == null else None,
                edgecolor=axis.get_facecolor() if i == null else colour,
            )  # fmt: skip
            axis.text(1.02, place, f'{scores[i]:.3f}',
                      va='center', fontsize=7.5)  # fmt: skip
        axis.axvline(scores[null], color=GREY, lw=1, ls='--')
        axis.set_yticks(places, [labels[i] for i in shown], parse_math=False)
        axis.set_xlim(0, 1.12)
        axis.set_xlabel('score; dashed: where chance begins')
        axis.spines[['top', 'right']].set_visible(False)
        return figure
