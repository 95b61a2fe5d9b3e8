# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Search of texts by their words: what a model has to beat."""

import re

import numpy as np
from scipy.sparse import csr_matrix

__all__ = ['tfidf_similarity']

_WORD = re.compile(r'[a-z0-9]{2,}')


def tfidf_similarity(queries, texts):
    """
    Cosines of queries and texts by term frequency and document frequency.

    Sublinear term frequency and smoothed inverse document frequency (Manning,
    Raghavan & Schütze 2008, section 6.4), the defaults of scikit-learn but
    for the logarithm.

    Parameters
    ----------
    queries : (q,) sequence of str
        The queries.
    texts : (n,) sequence of str
        The texts, which also say how rare a word is.

    Returns
    -------
    similarity : (q, n) `~numpy.ndarray` of float
        Cosines; 0 where no word is shared.
    """
    words = {}
    rows = [_WORD.findall(text.lower()) for text in (*texts, *queries)]
    for row in rows[: len(texts)]:
        for word in row:
            words.setdefault(word, len(words))
    i, j = [], []
    for number, row in enumerate(rows):
        known = [words[word] for word in row if word in words]
        i += [number] * len(known)
        j += known
    counts = csr_matrix(
        (np.ones(len(i)), (i, j)), shape=(len(rows), max(1, len(words)))
    )
    counts.sum_duplicates()
    n = len(texts)
    documents = np.bincount(counts[:n].indices, minlength=counts.shape[1])
    counts.data = 1 + np.log(counts.data)
    weighted = counts.multiply(np.log((1 + n) / (1 + documents)) + 1).tocsr()
    norm = np.sqrt(weighted.multiply(weighted).sum(axis=1)).A1
    weighted = weighted.multiply(1 / np.where(norm, norm, 1)[:, None]).tocsr()
    return (weighted[n:] @ weighted[:n].T).toarray()
