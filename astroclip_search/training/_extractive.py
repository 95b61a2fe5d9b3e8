# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Summaries without a language model: what the abstract itself says."""

import re
from collections import Counter

from astroclip_search.training.captions import sentences

__all__ = ['extract']

_WORD = re.compile(r"[A-Za-z][A-Za-z'-]+")
_NAME = re.compile(
    r'\b(?:NGC|IC|Messier|Abell|SN|HD|GRB|Mrk|Arp|UGC|PG|HH|RCW)\s?'
    r'\d+[A-Za-z]{0,2}\b|\bM\s?\d{1,3}\b|\bz\s?[~=><]+\s?\d+(?:\.\d+)?'
)
_PURPOSE = re.compile(
    r'\b(measur|determin|constrain|test|stud|understand|investigat|search|'
    r'map|deriv|prob|explor|establish|identif|character)[a-z]*\s+((?:\S+\s+)'
    r'{1,7}\S+)',
    re.IGNORECASE,
)
_ENDS = re.compile(r'[,;:.()\[\]{}]|\s(?:with|using|by|and|which|that)\s')
_STOP_WORDS = """
a about above after all also an and any are as at be been both but by can could
data do does each few for from had has have here how if in into is it its may
might more most much must new no not observations observe observed of on one
only or other our out over own possible propose proposed provide recent same
several should show since so some such than that the their them then there
these they this those three through to two under up us use used using very was
we well were what when where whether which while who will with within would
first hst hubble telescope acs wfc wfpc stis cos nicmos foc fos wide field
camera space program proposal cycle archival images imaging
"""
_STOP = frozenset(_STOP_WORDS.split())


def extract(abstract):
    """
    Summarise an abstract by words that are in it.

    Objects are the terms of the paper's vocabulary, names in catalogues, and
    phrases that occur more than once; use cases are what follows verbs of
    purpose ("measure", "constrain"...).

    Parameters
    ----------
    abstract : str
        The abstract.

    Returns
    -------
    summary : dict of str to list of str
        ``objects_and_phenomena`` and ``science_use_cases``, up to 5 each.
    """
    from astroclip_search.vocabularies import get_vocabulary

    text = ' '.join(abstract.replace('{', '(').replace('}', ')').split())
    words = [_singular(w) for w in _WORD.findall(text.lower())]
    joined = f' {" ".join(words)} '
    found = []
    for label in get_vocabulary('paperclip').labels:
        parts = [_singular(w) for w in _WORD.findall(label.lower())]
        place = joined.find(f' {" ".join(parts)} ')
        if parts and place >= 0:
            found.append((place, label))
    objects = [label for _, label in sorted(found)]
    objects += _NAME.findall(text)
    objects += _repeated(text)
    uses = []
    for sentence in sentences(text):
        for verb in _PURPOSE.finditer(sentence):
            rest = _ENDS.split(verb[0])[0].strip()
            if len(rest.split()) > 2:
                uses.append(rest[0].lower() + rest[1:])
    if not uses:
        uses = [' '.join(sentences(text)[-1].split()[:10])]
    if not objects:
        objects = [' '.join(text.split()[:6])]
    return {
        'objects_and_phenomena': _distinct(objects),
        'science_use_cases': _distinct(uses),
    }


def _singular(word):
    for ending, instead in (('ies', 'y'), ('ss', 'ss'), ('s', '')):
        if word.endswith(ending) and len(word) > 4:
            return word[: -len(ending)] + instead
    return word


def _repeated(text):
    """Runs of two or three content words that occur more than once."""
    counts = Counter()
    for sentence in sentences(text):
        words = _WORD.findall(sentence.lower())
        for n in (2, 3):
            for i in range(len(words) - n + 1):
                run = words[i : i + n]
                if not _STOP.intersection(run) and min(map(len, run)) > 2:
                    counts[' '.join(run)] += 1
    runs = [run for run, n in counts.most_common() if n > 1]
    return sorted(runs, key=len, reverse=True)


def _distinct(phrases, limit=5):
    kept = []
    for phrase in phrases:
        low = phrase.lower()
        if not any(low in other.lower() for other in kept):
            kept.append(phrase)
    return kept[:limit]
