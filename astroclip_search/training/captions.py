# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Drawing of captions, and of sentences out of long ones."""

import functools
import re

import numpy as np

from astroclip_search.exceptions import TrainingError

__all__ = ['draw_caption', 'fitting_text', 'sentences']

# A full stop after these ends no sentence.
_ABBREVIATIONS = (
    r'(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bet al\.)(?<!\bcf\.)(?<!\bvs\.)'
    r'(?<!\bFig\.)(?<!\bRef\.)(?<!\bSec\.)(?<!\bDr\.)(?<!\bSt\.)'
    r'(?<!\bapprox\.)(?<!\bc\.)'
)
_END = re.compile(rf'(?<=[.!?]){_ABBREVIATIONS}\s+(?=[A-Z0-9"\'(\[{{])')


def sentences(text):
    """
    Divide a text into sentences.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    sentences : list of str
        Sentences without surrounding white space.
    """
    return [part for part in _END.split(' '.join(text.split())) if part]


@functools.lru_cache(maxsize=4096)
def _measured(text, tokenizer):
    """Sentences of a text, their numbers of tokens, and the limit."""
    marks = len(tokenizer.encode(''))
    parts = sentences(text)
    counts = [len(tokenizer.encode(part)) - marks for part in parts]
    return parts, counts, tokenizer.limit - marks


def fitting_text(text, tokenizer, rng):
    """
    Take what fits out of a text: a random run of whole sentences.

    Section 3.2 of the paper. The first sentence is drawn among those that
    fit by themselves; the following ones are added while there is room.

    Parameters
    ----------
    text : str
        The text.
    tokenizer : `~astroclip_search.embedding._text.Tokenizer`
        Tokenizer of the model; its ``limit`` is what must be fitted in.
    rng : `~numpy.random.Generator`
        Source of the draws.

    Returns
    -------
    text : str
        The text itself if it fits. Where no sentence fits, the whole text,
        which the tokenizer will cut.
    """
    parts, counts, room = _measured(text, tokenizer)
    if sum(counts) <= room:
        return text
    starts = [i for i, count in enumerate(counts) if count <= room]
    if not starts:
        return text
    first = last = starts[rng.integers(len(starts))]
    total = counts[first]
    while last + 1 < len(parts) and total + counts[last + 1] <= room:
        last += 1
        total += counts[last]
    return ' '.join(parts[first : last + 1])


def draw_caption(captions, weights, rng):
    """
    Draw one of the captions of a pair.

    Parameters
    ----------
    captions : list of dict
        With ``kind``, ``text`` and perhaps ``weight`` (1 by default).
    weights : dict of str to float, or None
        Weight of each kind, shared by its texts; None for equal ones.
    rng : `~numpy.random.Generator`
        Source of the draws.

    Returns
    -------
    text : str
        The text drawn.

    Raises
    ------
    TrainingError
        If the pair has no caption of these kinds.
    """
    kinds = {}
    for caption in captions:
        weight = 1.0 if weights is None else weights.get(caption['kind'], 0)
        if weight > 0:
            kinds.setdefault(caption['kind'], (weight, []))[1].append(caption)
    if not kinds:
        has = sorted({caption['kind'] for caption in captions})
        msg = (
            f'A pair has captions of the kinds {has}, but those wanted are '
            f'{sorted(weights or {})}.'
        )
        raise TrainingError(msg)
    chances = np.array([weight for weight, _ in kinds.values()])
    names = list(kinds)
    kind = names[_draw(chances, rng)]
    texts = kinds[kind][1]
    chances = np.array([caption.get('weight', 1.0) for caption in texts])
    return texts[_draw(chances, rng)]['text']


def _draw(chances, rng):
    edges = np.cumsum(chances)
    drawn = np.searchsorted(edges, rng.random() * edges[-1], side='right')
    return int(min(drawn, len(chances) - 1))
