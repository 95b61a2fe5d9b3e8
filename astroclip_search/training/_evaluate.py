# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Measuring a model on pairs that it was not trained on."""

import json
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path

import numpy as np

from astroclip_search.exceptions import TrainingError
from astroclip_search.training import metrics
from astroclip_search.training._files import write_text
from astroclip_search.training._judge import (
    PAPER_QUERIES,
    judge_relevance,
)
from astroclip_search.training._tfidf import tfidf_similarity
from astroclip_search.training.pairs import Pairs

__all__ = ['Evaluation', 'evaluate']

SHOWN = 5  # queries whose best images are in the report
PREFERRED = ('summary', 'caption', 'abstract', 'title', 'description')


@dataclass
class Evaluation:
    """
    What `evaluate` found.

    Attributes
    ----------
    results : dict
        All measures as plain JSON types; estimates are dicts of ``value``,
        ``low``, ``high``, ``n``, ``n_groups``.
    arrays : dict of str to `~numpy.ndarray`
        What the figures show: similarities and ranks.
    path : `~pathlib.Path` or None
        Directory of the report.
    """

    results: dict
    arrays: dict = field(default_factory=dict, repr=False)
    path: Path | None = None

    def __getitem__(self, name):
        return self.results[name]

    def __repr__(self):
        best = self.results['retrieval']['top_10_percent']
        return (
            f'<Evaluation of {self.results["model"]["name"]} on '
            f'{self.results["n_images"]} images: top 10 % '
            f'{best["image_to_text"]["value"]:.3f} image to text, '
            f'{best["text_to_image"]["value"]:.3f} text to image>'
        )


def evaluate(
    model,
    pairs,
    *,
    part='test',
    kind=None,
    base=None,
    classes=None,
    queries=None,
    judge=None,
    judge_cache=None,
    output=None,
    card=False,
    seed=0,
    progress=None,
):
    """
    Measure a model on a part of a set of pairs.

    Every image is seen whole, as in a search, and never augmented (the paper
    augmented its validation images at random).

    Parameters
    ----------
    model : `~astroclip_search.Embedder`, str or path-like
        The model.
    pairs : `Pairs` or path-like
        The set.
    part : {'test', 'validation', 'train', 'all'}, optional
        What to measure on.
    kind : str, optional
        Kind of caption that is asked for. The default is the first of
        summary, caption, abstract, title, description that all pairs have.
    base : `~astroclip_search.Embedder`, str or path-like, optional
        Model to compare with, on the same images and captions.
    classes : dict of str to str, optional
        For zero-shot classification and precision of queries: the text by
        which each class is asked for, by the value of ``target_class``.
    queries : sequence of str, optional
        Queries whose best images a language model judges.
    judge : object or str, optional
        Language model, as for `summarize`.
    judge_cache : path-like, optional
        JSONL file in which its answers are kept.
    output : path-like, optional
        Directory for ``evaluation.json``, ``report.html`` and the figures.
    card : bool, optional
        Whether a model card (``README.md``) with the results is written into
        the bundle of the model.
    seed : int, optional
        Seed of bootstrap and shuffles.
    progress : bool, optional
        Whether to show progress bars. The default is ``conf.progress``.

    Returns
    -------
    evaluation : `Evaluation`
        All results.

    Raises
    ------
    TrainingError
        If the part is empty, has one caption only, or pairs lack the kind of
        caption.
    """
    model = _embedder(model)
    pairs = pairs if isinstance(pairs, Pairs) else Pairs(pairs)
    rows = pairs.part(part)
    items = [pairs[row] for row in rows]
    kind = _kind(items) if kind is None else kind
    texts, ids = _texts(items, kind)
    groups = pairs.groups[rows]
    paths = [pairs.image(item) for item in items]
    images = model.embed_images(paths, progress=progress)
    captions = model.embed_text(texts, progress=progress)
    results = {
        'model': {'name': model.name, 'fingerprint': model.fingerprint},
        'part': part,
        'kind': kind,
        'n_images': len(items),
        'n_captions': len(texts),
        'n_groups': len(np.unique(groups)),
    }
    arrays = {}
    scale = float(model.info.get('logit_scale', 100.0))
    _measure(results, arrays, images, captions, ids, groups, scale, seed)
    shown = list(PAPER_QUERIES if queries is None else queries)[:SHOWN]
    arrays['best'] = {'model': _best(model.embed_text(shown), images)}
    arrays['queries'] = shown
    results['lines'] = _lines(
        base, paths, texts, ids, groups, arrays, seed, progress
    )
    results['lines']['shuffled'] = _shuffled(
        images, captions, ids, groups, seed
    )
    results['by_instrument'] = _slices(items, images, captions, ids, groups)
    if classes:
        results['classes'] = _classes(model, items, images, groups, classes)
    if judge is not None:
        results['judged'] = _judged(
            model, items, images, queries, judge, judge_cache
        )
    results = _plain(results)
    evaluation = Evaluation(results, arrays)
    if output is not None:
        from astroclip_search.training._report import write_report

        evaluation.path = Path(output)
        evaluation.path.mkdir(parents=True, exist_ok=True)
        write_text(
            evaluation.path / 'evaluation.json', json.dumps(results, indent=1)
        )
        write_report(evaluation, model, pairs, items)
    if card:
        from astroclip_search.training._card import write_card

        bundle = getattr(model._source, 'path', None)
        if bundle is None:
            msg = f'{model.name!r} is no bundle; save it to give it a card.'
            raise TrainingError(msg)
        write_card(bundle, model.info, results)
    return evaluation


def _embedder(model):
    from astroclip_search import Embedder

    if isinstance(model, str | Path):
        return Embedder.from_pretrained(model)
    return model


def _kind(items):
    has = [{caption['kind'] for caption in item['captions']} for item in items]
    common = set.intersection(*has)
    for kind in (*PREFERRED, *sorted(common)):
        if kind in common:
            return kind
    msg = (
        'No kind of caption is known for all pairs of this part; name one '
        f'of {sorted(set.union(*has))} and build pairs that have it.'
    )
    raise TrainingError(msg)


def _texts(items, kind):
    """Distinct captions, and which of them each image has."""
    numbers, ids = {}, []
    for item in items:
        text = next(
            (c['text'] for c in item['captions'] if c['kind'] == kind), None
        )
        if text is None:
            msg = f'The pair {item["id"]!r} has no caption of kind {kind!r}.'
            raise TrainingError(msg)
        ids.append(numbers.setdefault(text, len(numbers)))
    if len(numbers) < 2:
        msg = 'All images have the same caption; retrieval takes two or more.'
        raise TrainingError(msg)
    return list(numbers), np.array(ids)


def _measure(results, arrays, images, captions, ids, groups, scale, seed):
    results['retrieval'] = metrics.retrieval(
        images, captions, ids, groups=groups, seed=seed
    )
    results['loss'] = {
        'value': metrics.contrastive_loss(images, captions, ids, scale),
        'chance': float(np.log(min(100, len(images)))),
    }
    true, shuffled = metrics.pair_similarities(
        images, captions, ids, seed=seed
    )
    results['similarity'] = {
        'true': metrics.estimate(true, groups),
        'shuffled': metrics.estimate(shuffled, groups),
    }
    ranks = metrics.rank_positives(images, captions, ids)
    arrays.update(true=true, shuffled=shuffled, ranks=ranks)


def _lines(base, paths, texts, ids, groups, arrays, seed, progress):
    """Chance, the model before training, and search by words alone."""
    n = (len(texts), len(paths))
    lines = {
        'chance': {
            'image_to_text': metrics.percent_count(10, n[0]) / n[0],
            'text_to_image': _chance(ids, n[1]),
        }
    }
    if base is not None:
        base = _embedder(base)
        found = (
            base.embed_images(paths, progress=progress),
            base.embed_text(texts, progress=progress),
        )
        lines['base'] = metrics.top_percent_retrieval(
            *found, ids, groups=groups, seed=seed
        )
        arrays['best']['base model'] = _best(
            base.embed_text(arrays['queries']), found[0]
        )
        arrays['base_ranks'] = metrics.rank_positives(*found, ids)
        arrays['base_true'], arrays['base_shuffled'] = (
            metrics.pair_similarities(*found, ids, seed=seed)
        )
    return lines


def _best(queries, images, n=6):
    """Rows of the best images of each query."""
    return np.argsort(-queries @ images.T, axis=1, kind='stable')[:, :n]


def _chance(ids, n_images):
    """Chance that one of a caption's images is in the best tenth of all."""
    from scipy.stats import hypergeom

    best = metrics.percent_count(10, n_images)
    sizes = np.bincount(ids)
    return float(np.mean(hypergeom.sf(0, n_images, sizes, best)))


def _shuffled(images, captions, ids, groups, seed):
    """The same vectors with captions dealt out anew: the null test."""
    order = np.random.default_rng(seed).permutation(len(captions))
    return metrics.top_percent_retrieval(
        images, captions[order], ids, groups=groups, seed=seed
    )


def _slices(items, images, captions, ids, groups, minimum=20):
    """Top-10 % image to text for each instrument, among all captions."""
    names = np.array([str(i.get('instrument_name', '')) for i in items])
    ranks, _ = metrics.rank_positives(images, captions, ids)
    best = metrics.percent_count(10, len(captions))
    return {
        name: metrics.estimate(ranks[names == name] <= best,
                               groups[names == name])
        for name in sorted(set(names))
        if name and (names == name).sum() >= minimum
    }  # fmt: skip


def _classes(model, items, images, groups, classes):
    names = list(classes)
    found = [str(item.get('target_class', '')) for item in items]
    known = np.array([name in classes for name in found])
    if not known.any():
        msg = f'No image has a target_class of {names}.'
        raise TrainingError(msg)
    labels = np.array([names.index(n) for n in found if n in classes])
    vectors = model.embed_text([classes[name] for name in names])
    macro, per_class, skipped = metrics.zero_shot_accuracy(
        images[known], vectors, labels, groups=groups[known]
    )
    relevant = labels == np.arange(len(names))[:, None]
    precision = metrics.precision_at_k(vectors, images[known], relevant)
    return {
        'macro_accuracy': macro,
        'accuracy': {names[c]: v for c, v in per_class.items()},
        'too_few_images': [names[c] for c in skipped],
        'precision_at_10': dict(zip(names, precision, strict=True)),
        'mean_precision_at_10': float(np.nanmean(precision)),
    }


def _judged(model, items, images, queries, judge, cache):
    queries = list(PAPER_QUERIES if queries is None else queries)
    texts = [
        max(item['captions'], key=lambda c: c['kind'] == 'abstract')['text']
        for item in items
    ]
    similarity = {
        'model': model.embed_text(queries) @ images.T,
        'tfidf': tfidf_similarity(queries, texts),
    }
    judged = {}
    for name, values in similarity.items():
        relevant = judge_relevance(
            values, texts, queries, model=judge, cache=cache
        )
        read = np.isfinite(relevant)
        judged[name] = {
            'relevant': metrics.estimate(
                relevant[read], np.nonzero(read)[0]
            ),
            'by_query': dict(
                zip(queries, np.nanmean(relevant, axis=1), strict=True)
            ),
            'unreadable': int((~read).sum()),
        }  # fmt: skip
    return judged


def _plain(value):
    """Dataclasses and numpy values as plain JSON types."""
    if is_dataclass(value):
        value = vars(value)
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
