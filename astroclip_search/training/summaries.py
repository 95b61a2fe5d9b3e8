# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Summaries of abstracts by guided generation.

Section 3.2 of the paper: a language model lists objects and phenomena, and
science use cases, in a JSON schema that its answers cannot break. The prompt
here is our own, to the paper's rules.
"""

import json
import re
import warnings
from pathlib import Path

from astropy.table import Table

from astroclip_search._progress import progress_bar
from astroclip_search.exceptions import AstroClipWarning
from astroclip_search.training._extractive import extract
from astroclip_search.training._files import Journal
from astroclip_search.training.abstracts import read_abstracts
from astroclip_search.training.language import answer_key, as_language_model

__all__ = ['PROMPT', 'SCHEMA', 'broken_rule', 'summarize']

_LIST = {
    'type': 'array',
    'items': {'type': 'string', 'minLength': 3, 'maxLength': 60},
    'minItems': 1,
    'maxItems': 5,
}
SCHEMA = {
    'type': 'object',
    'properties': {'objects_and_phenomena': _LIST, 'science_use_cases': _LIST},
    'required': ['objects_and_phenomena', 'science_use_cases'],
    'additionalProperties': False,
}

PROMPT = """\
You catalogue astronomical observations so that people can find the images by \
searching for words. Read the abstract of an observing proposal. Answer in \
JSON with two lists:

"objects_and_phenomena": from 1 to 5 kinds of objects or phenomena that the \
images may show.
"science_use_cases": from 1 to 5 scientific questions that the images help \
to answer.

Rules:
- Each entry is a short phrase in English.
- Name the class of an object beside the object itself: "NGC 1851" alone says \
little, "globular cluster NGC 1851" is found.
- Write full names beside abbreviations: "active galactic nuclei (AGN)".
- Nothing so general that it fits any image, like "galaxy" or "faint object".
- Never mention the telescope, its instruments, or the archive.
- At most 80 words in all.

Abstract:
{abstract}

JSON:
"""

_GENERAL_WORDS = """
galaxy galaxies star stars object objects image images universe space
observation observations astronomy sky data
"""
_GENERIC = {
    *_GENERAL_WORDS.split(),
    'faint object',
    'faint objects',
    'celestial object',
}
_TELESCOPE = re.compile(
    r'\b(hubble|hst|jwst|telescope|mast archive|wfc3|wfpc2?|acs|stis|nicmos)'
    r'\b',
    re.IGNORECASE,
)


def broken_rule(summary):
    """
    Say which rule of the prompt a summary breaks.

    Parameters
    ----------
    summary : dict of str to list of str
        The two lists.

    Returns
    -------
    rule : str or None
        The rule, or None if none is broken.
    """
    entries = []
    for name in SCHEMA['required']:
        found = summary.get(name) if isinstance(summary, dict) else None
        if not isinstance(found, list) or not 1 <= len(found) <= 5:
            return f'{name} must have from 1 to 5 entries'
        if not all(isinstance(entry, str) for entry in found):
            return f'{name} must hold texts'
        entries += found
    if sum(len(entry.split()) for entry in entries) > 80:
        return 'at most 80 words in all'
    for entry in entries:
        letters = sum(c.isascii() and c.isalpha() for c in entry)
        if letters < 0.6 * len(entry.replace(' ', '')) or letters < 3:
            return f'{entry!r} is no short phrase in English'
        if entry.strip().lower() in _GENERIC:
            return f'{entry!r} is too general'
        if _TELESCOPE.search(entry):
            return f'{entry!r} mentions the telescope'
    if len({entry.lower() for entry in entries}) < len(entries):
        return 'no entry may occur twice'
    return None


def summarize(
    abstracts, *, model=None, cache=None, tries=5, seed=0, progress=None
):
    """
    Summarise abstracts.

    Parameters
    ----------
    abstracts : `~astropy.table.Table`, iterable of dict, or path-like
        What `read_abstracts` takes or gives.
    model : object or str, optional
        Language model: a model of outlines, the name of a transformers
        model, ``'<address>#<model>'`` of an OpenAI-compatible server, or
        anything with ``name`` and ``generate``. Without one the summary is
        put together from words of the abstract, and says so.
    cache : path-like, optional
        JSONL file in which answers are kept, by abstract, model and prompt;
        a run that was interrupted goes on from there.
    tries : int, optional
        How often an answer that breaks a rule is asked for again; 5 in the
        paper.
    seed : int, optional
        Seed of the first try; later ones count up.
    progress : bool, optional
        Whether to show a progress bar. The default is ``conf.progress``.

    Returns
    -------
    summaries : `~astropy.table.Table`
        The columns of the abstracts and ``objects_and_phenomena``,
        ``science_use_cases``, ``concept`` (lists of str), ``summary`` (the
        caption: both lists, joined), ``method`` (``'extractive'`` or the name
        of the model), ``tries`` and ``broken_rule`` (empty where all is
        well; then the summary is empty).

    Warns
    -----
    AstroClipWarning
        If there is no model, or some summaries broke a rule in every try.
    """
    if not isinstance(abstracts, Table):
        abstracts = read_abstracts(abstracts, require_cycle=False)
    if model is None:
        warnings.warn(
            'There is no language model: summaries are put together from '
            'words of the abstracts (method "extractive").',
            AstroClipWarning,
        )
    else:
        model = as_language_model(model)
    rows = []
    with Journal(None if cache is None else Path(cache)) as journal:
        for text in progress_bar(
            abstracts['abstract'].tolist(), desc='summaries', show=progress
        ):
            if model is None:
                rows.append((extract(text), 'extractive', 1, ''))
            else:
                rows.append(_ask(text, model, journal, tries, seed))
    summaries = abstracts.copy()
    for name in (*SCHEMA['required'], 'concept'):
        source = 'objects_and_phenomena' if name == 'concept' else name
        # Object columns of lists, whatever their lengths.
        summaries[name] = Table.Column([None] * len(rows), dtype=object)
        for i, row in enumerate(rows):
            summaries[name][i] = [] if row[3] else row[0][source]
    summaries['summary'] = ['' if r[3] else _caption(r[0]) for r in rows]
    for place, name in ((1, 'method'), (2, 'tries'), (3, 'broken_rule')):
        summaries[name] = [row[place] for row in rows]
    bad = sum(bool(row[3]) for row in rows)
    if bad:
        warnings.warn(
            f'{bad} of {len(rows)} summaries broke a rule in each of {tries} '
            'tries and are empty; the column broken_rule says which.',
            AstroClipWarning,
        )
    return summaries


def _caption(summary):
    return '; '.join(', '.join(summary[name]) for name in SCHEMA['required'])


def _ask(abstract, model, journal, tries, seed):
    """Ask until no rule is broken; return summary, method, tries, rule."""
    prompt = PROMPT.format(abstract=abstract)
    rule = 'no try was allowed'
    for number in range(tries):
        key = answer_key(model, f'{prompt}{number}/{seed}', SCHEMA)
        if key not in journal:
            asked = prompt
            if number:
                asked = f'{prompt}(The last answer broke a rule: {rule}.)\n'
            journal.add(key, model.generate(asked, SCHEMA, seed=seed + number))
        try:
            summary = json.loads(journal.get(key))
        except ValueError:
            summary, rule = None, 'the answer was cut off or is no JSON'
        else:
            rule = broken_rule(summary)
        if rule is None:
            return summary, model.name, number + 1, ''
    return summary, model.name, tries, rule
