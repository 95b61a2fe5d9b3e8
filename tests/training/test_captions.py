# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Sentences, runs of them that fit, and weighted draws."""

from collections import Counter

import numpy as np
import pytest
from _shared import read_jsonl, shared_data

from astroclip_search.embedding._text import Tokenizer, clip_tokenizer_json
from astroclip_search.exceptions import TrainingError
from astroclip_search.training.captions import (
    draw_caption,
    fitting_text,
    sentences,
)


@pytest.fixture(scope='module')
def tokenizer():
    import tokenizers

    return Tokenizer(
        tokenizers.Tokenizer.from_str(clip_tokenizer_json()),
        limit=77,
        clean='lower',
        pad_id=0,
        fixed_length=True,
    )


def test_sentences_end_where_they_end():
    text = (
        'We observe M 31 (e.g. Fig. 3), cf. Smith et al. 2003.  It is near!\n'
        'Is it? {Yes} it is. z = 0.5 is not the end.'
    )
    assert sentences(text) == [
        'We observe M 31 (e.g. Fig. 3), cf. Smith et al. 2003.',
        'It is near!',
        'Is it?',
        '{Yes} it is. z = 0.5 is not the end.',
    ]


def test_short_text_is_taken_whole(tokenizer):
    rng = np.random.default_rng(0)
    text = 'One sentence. And another.'
    assert fitting_text(text, tokenizer, rng) == text


def test_runs_of_real_abstracts_fit_and_are_whole(tokenizer):
    rows = read_jsonl(shared_data('abstracts', 'hst_abstracts.jsonl'))
    rng = np.random.default_rng(0)
    starts = Counter()
    for row in rows[:30]:
        text = f'Category: {row.get("category", "X")}. {row["abstract"]}'
        parts = sentences(text)
        for _ in range(10):
            run = fitting_text(text, tokenizer, rng)
            inside = sentences(run)
            first = parts.index(inside[0])
            assert parts[first : first + len(inside)] == inside
            starts[first] += 1
            if run == text:
                continue
            # It fits, and the next sentence would not have.
            n = len(tokenizer.encode(run))
            fits = n <= 77
            assert fits or not any(
                len(tokenizer.encode(part)) <= 77 for part in parts
            )
            if fits and first + len(inside) < len(parts):
                longer = f'{run} {parts[first + len(inside)]}'
                assert len(tokenizer.encode(longer)) > 77
    assert len(starts) > 5  # not always the beginning


def test_text_of_one_endless_sentence(tokenizer):
    rng = np.random.default_rng(0)
    text = ' '.join(['word'] * 200)
    assert fitting_text(text, tokenizer, rng) == text


def test_kinds_are_drawn_by_weight_and_texts_equally():
    captions = [
        {'kind': 'title', 'text': 't'},
        {'kind': 'concept', 'text': 'a'},
        {'kind': 'concept', 'text': 'b'},
        {'kind': 'other', 'text': 'never'},
    ]
    rng = np.random.default_rng(0)
    weights = {'title': 1.0, 'concept': 3.0}
    drawn = Counter(draw_caption(captions, weights, rng) for _ in range(4000))
    assert drawn['t'] / 4000 == pytest.approx(0.25, abs=0.03)
    assert drawn['a'] / 4000 == pytest.approx(0.375, abs=0.03)
    assert set(drawn) == {'t', 'a', 'b'}
    equal = Counter(draw_caption(captions, None, rng) for _ in range(3000))
    assert equal['never'] / 3000 == pytest.approx(1 / 3, abs=0.03)


def test_pair_without_a_wanted_caption():
    with pytest.raises(TrainingError, match=r"kinds \['title'\]"):
        draw_caption(
            [{'kind': 'title', 'text': 't'}],
            {'abstract': 1.0},
            np.random.default_rng(0),
        )
