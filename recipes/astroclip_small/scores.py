# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The measures that astroclip-small is chosen and judged by."""

import numpy as np
from pairs import headline
from texts import CLASSES, classes_of

from astroclip_search.training.metrics import (
    Estimate,
    precision_at_k,
    top_percent_retrieval,
    zero_shot_accuracy,
)

__all__ = ['chosen_by', 'class_queries', 'scores']


def class_queries():
    """Texts of the seven classes, in order."""
    return list(CLASSES)


def _retrieval(rows, keep, images, text_vector):
    keep = np.flatnonzero(keep)
    captions = sorted({rows[i]['caption'] for i in keep})
    number = {caption: k for k, caption in enumerate(captions)}
    return top_percent_retrieval(
        images[keep],
        np.stack([text_vector(caption) for caption in captions]),
        [number[rows[i]['caption']] for i in keep],
        groups=[rows[i]['split_group'] for i in keep],
    )


def _precision(queries, images, labels, groups, *, resamples=300):
    """Mean precision over classes of five or more, resampled by group."""
    relevant = labels == np.arange(len(queries))[:, None]
    kept = relevant.sum(1) >= 5

    def mean(rows):
        values = precision_at_k(queries, images[rows], relevant[:, rows], 10)
        return np.nanmean(values[kept])

    rng = np.random.default_rng(0)
    names = np.unique(groups)
    members = [np.flatnonzero(groups == name) for name in names]
    means = [
        mean(
            np.concatenate(
                [members[k] for k in rng.integers(len(names), size=len(names))]
            )
        )
        for _ in range(resamples)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    value = mean(np.arange(len(labels)))
    return Estimate(float(value), low, high, int(kept.sum()), len(names))


def scores(rows, images, text_vector):
    """
    All measures of one part of the rows.

    Parameters
    ----------
    rows : list of dict
        The rows.
    images : (n, d) array of float
        Unit vectors of their pictures.
    text_vector : callable
        From a text to its unit vector.

    Returns
    -------
    result : dict of str to `~astroclip_search.training.metrics.Estimate`
        The measures.
    """
    source = np.array([row['source'] for row in rows])
    guides = source == 'zooniverse_guides'
    lenses = source == 'spacewarps_cfhtls'
    head = headline(rows)
    result = {}
    for name, keep in {
        'headline': head,
        'galaxyzoo': source == 'galaxyzoo',
        'guides_and_lenses': guides | lenses,
        'guides': guides,
        'lenses': lenses,
    }.items():
        if keep.sum() > 1:
            both = _retrieval(rows, keep, images, text_vector)
            result[f'{name} image to text'] = both.image_to_text
            result[f'{name} text to image'] = both.text_to_image

    queries = np.stack([text_vector(text) for text in class_queries()])
    true = [classes_of(row) & set(CLASSES) for row in rows]
    one = np.flatnonzero(
        [h and len(t) == 1 for h, t in zip(head, true, strict=True)]
    )
    labels = np.array([list(CLASSES).index(min(true[i])) for i in one])
    groups = np.array([rows[i]['split_group'] for i in one])
    if np.bincount(labels, minlength=1).max() < 5:
        return result  # a small part
    macro, _, _ = zero_shot_accuracy(
        images[one], queries, labels, groups=groups
    )
    result['zero-shot macro accuracy'] = macro
    result['precision at 10'] = _precision(
        queries, images[one], labels, groups
    )
    return result


def chosen_by(result):
    """One number out of the measures, by which settings are chosen."""
    names = {
        'headline image to text': 2,
        'headline text to image': 2,
        'galaxyzoo image to text': 1.5,
        'guides_and_lenses image to text': 0.75,
        'guides_and_lenses text to image': 0.75,
        'zero-shot macro accuracy': 1,
        'precision at 10': 1,
    }
    known = {n: w for n, w in names.items() if n in result}
    total = sum(w * float(result[n].value) for n, w in known.items())
    return total / sum(known.values())
