# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Figures of an evaluation, and one page that shows them all."""

import base64
import html
import io

import numpy as np

from astroclip_search._optional import require
from astroclip_search.training._card import _cell
from astroclip_search.training._files import replacing, write_text

__all__ = [
    'plot_retrieval',
    'plot_similarity',
    'plot_training',
    'write_report',
]


def plot_similarity(arrays, ax):
    """
    Histogram of the cosines of true and of shuffled pairs.

    Parameters
    ----------
    arrays : dict
        ``Evaluation.arrays``.
    ax : `matplotlib.axes.Axes`
        Where to draw.
    """
    for name, label, style in (
        ('true', 'true pairs', {'color': 'C0'}),
        ('shuffled', 'shuffled pairs', {'color': 'C1'}),
        ('base_true', 'true, base model', {'color': 'C0', 'ls': ':'}),
        ('base_shuffled', 'shuffled, base model', {'color': 'C1', 'ls': ':'}),
    ):
        if name in arrays:
            ax.hist(
                arrays[name], bins=40, density=True, histtype='step',
                label=label, **style,
            )  # fmt: skip
    ax.set(xlabel='cosine similarity', ylabel='density')
    ax.legend()


def plot_retrieval(arrays, ax):
    """
    Retrieval accuracy against the fraction that is retrieved.

    Parameters
    ----------
    arrays : dict
        ``Evaluation.arrays``.
    ax : `matplotlib.axes.Axes`
        Where to draw.
    """
    percent = np.linspace(0, 100, 101)
    for name, style in (('ranks', '-'), ('base_ranks', ':')):
        if name not in arrays:
            continue
        images, texts = arrays[name]
        model = 'base model, ' if name == 'base_ranks' else ''
        for color, label, ranks, n in (
            ('C0', 'image to text', images, len(texts)),
            ('C1', 'text to image', texts, len(images)),
        ):
            share = [(ranks <= p * n / 100).mean() for p in percent]
            ax.plot(percent, share, ls=style, color=color, label=model + label)
    ax.plot(percent, percent / 100, color='0.6', lw=1, label='chance')
    ax.set(xlabel='retrieved (%)', ylabel='share found', ylim=(0, 1))
    ax.legend()


def plot_training(log, axes):
    """
    Validation loss and top-10 % retrieval over a run.

    Parameters
    ----------
    log : path-like
        ``log.csv`` of the run.
    axes : sequence of two `matplotlib.axes.Axes`
        Where to draw.
    """
    from astropy.table import Table

    table = Table.read(log, format='ascii.csv')
    loss = table['loss'].filled(np.nan) if table.masked else table['loss']
    axes[0].plot(table['step'], loss, color='0.7', lw=0.5, label='training')
    for ax, names in (
        (axes[0], ('validation_loss',)),
        (axes[1], ('top_10_percent_image_to_text',
                   'top_10_percent_text_to_image')),
    ):  # fmt: skip
        for name in names:
            column = np.ma.asarray(table[name])
            known = ~np.ma.getmaskarray(column)
            label = name.replace('_', ' ')
            ax.plot(table['step'][known], column[known], label=label)
        ax.set(xlabel='step')
        ax.legend()


def write_report(evaluation, model, pairs, items):
    """
    Write the figures and ``report.html``.

    Parameters
    ----------
    evaluation : `Evaluation`
        The results; its ``path`` is where to write.
    model : `~astroclip_search.Embedder`
        The model.
    pairs : `Pairs`
        The set.
    items : list of dict
        The pairs that were measured, in order.
    """
    require(
        'matplotlib', extra='plots', purpose='draw the figures of a report'
    )
    from matplotlib.figure import Figure

    folder, results = evaluation.path, evaluation.results
    body = [f'<h1>{html.escape(results["model"]["name"])}</h1>']
    body.append(
        f'<p>{results["n_images"]} images of the {results["part"]} part, '
        f'{results["n_captions"]} captions ({results["kind"]}), '
        f'{results["n_groups"]} groups. Intervals of 95 % by group.</p>'
    )
    body.append(_tables(results))
    for name, draw in (
        ('similarity', plot_similarity),
        ('retrieval', plot_retrieval),
    ):
        figure = Figure(figsize=(6, 4), layout='constrained')
        draw(evaluation.arrays, figure.subplots())
        data = io.BytesIO()
        figure.savefig(data, format='png', dpi=120)
        with replacing(folder / f'{name}.png') as path:
            path.write_bytes(data.getvalue())
        body.append(_picture(data.getvalue(), 'png', name))
    run = getattr(model._source, 'path', None)
    log = None if run is None else run.parent / 'log.csv'
    if log is not None and log.exists():
        figure = Figure(figsize=(9, 4), layout='constrained')
        plot_training(log, figure.subplots(1, 2))
        data = io.BytesIO()
        figure.savefig(data, format='png', dpi=120)
        body.append(_picture(data.getvalue(), 'png', 'training'))
    body.append(_queries(evaluation.arrays, pairs, items))
    body.append(_worst_and_best(evaluation, pairs, items))
    page = (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8">'
        '<title>Evaluation</title><style>body{font-family:sans-serif;'
        'max-width:60em;margin:auto}td,th{padding:.2em .8em;text-align:left}'
        'figure{display:inline-block;width:11em;vertical-align:top}'
        'figure img{width:100%}</style>'
    )
    write_text(folder / 'report.html', page + '\n'.join(body) + '</html>\n')


def _picture(data, kind, title):
    text = base64.b64encode(data).decode()
    return f'<img alt="{title}" src="data:image/{kind};base64,{text}">'


def _tables(results):
    rows = ['<tr><th></th><th>image to text</th><th>text to image</th></tr>']
    lines = {f'top 10 %, {k}': v for k, v in results['lines'].items()}
    for name, both in {**results['retrieval'], **lines}.items():
        cells = ''.join(f'<td>{_cell(value)}</td>' for value in both.values())
        rows.append(f'<tr><th>{name.replace("_", " ")}</th>{cells}</tr>')
    text = f'<table>{"".join(rows)}</table>'
    for title, name in (('Instruments', 'by_instrument'),):
        cells = ''.join(
            f'<tr><th>{html.escape(key)}</th><td>{_cell(value)}</td>'
            f'<td>{value["n"]} images</td></tr>'
            for key, value in results[name].items()
        )
        if cells:
            text += f'<h2>{title}</h2><table>{cells}</table>'
    loss, similarity = results['loss'], results['similarity']
    text += (
        f'<p>Loss {loss["value"]:.3f} (chance {loss["chance"]:.3f}). Cosine '
        f'of true pairs {_cell(similarity["true"])}, of shuffled pairs '
        f'{_cell(similarity["shuffled"])}.</p>'
    )
    for name, value in results.get('classes', {}).get('accuracy', {}).items():
        text += f'<p>Zero-shot {html.escape(name)}: {value:.2f}</p>'
    for name, value in results.get('judged', {}).items():
        text += (
            f'<p>Relevant among the best 10 ({html.escape(name)}): '
            f'{_cell(value["relevant"])}</p>'
        )
    return text


def _thumbnail(pairs, item, text):
    """A small picture with a line of text."""
    from PIL import Image

    from astroclip_search.images import render

    data = io.BytesIO()
    pixels = render(pairs.image(item), size=128)
    Image.fromarray(pixels).save(data, 'JPEG')
    picture = _picture(data.getvalue(), 'jpeg', 'image')
    line = html.escape(text[:120])
    return f'<figure>{picture}<figcaption>{line}</figcaption></figure>'


def _queries(arrays, pairs, items):
    """The best images of a few queries, by model."""
    text = ''
    for number, query in enumerate(arrays['queries']):
        for name, best in arrays['best'].items():
            text += f'<h3>{html.escape(query)} ({name})</h3>'
            text += ''.join(
                _thumbnail(pairs, items[i], items[i]['captions'][0]['text'])
                for i in best[number]
            )
    return f'<h2>Best images of queries</h2>{text}'


def _worst_and_best(evaluation, pairs, items, n=8):
    """Images whose caption is found first, and those where it is last."""
    ranks = evaluation.arrays['ranks'][0]
    order = np.argsort(ranks, kind='stable')
    text = ''
    for title, rows in (('Found first', order[:n]),
                        ('Found last', order[::-1][:n])):  # fmt: skip
        text += f'<h2>{title}</h2>'
        for row in rows:
            caption = items[row]['captions'][0]['text']
            text += _thumbnail(pairs, items[row], f'{ranks[row]}: {caption}')
    return text
