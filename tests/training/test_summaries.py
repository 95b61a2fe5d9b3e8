# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Summaries: schema, rules, retries, cache, and words without a model."""

import json
import warnings

import pytest
from _shared import read_jsonl, shared_data

from astroclip_search.exceptions import (
    ArchiveError,
    AstroClipWarning,
    TrainingError,
)
from astroclip_search.training.language import ServerModel, as_language_model
from astroclip_search.training.summaries import (
    SCHEMA,
    broken_rule,
    summarize,
)

GOOD = {
    'objects_and_phenomena': ['globular cluster NGC 1851', 'blue stragglers'],
    'science_use_cases': ['ages of stellar populations'],
}
ROWS = [
    {'proposal_id': '1', 'abstract': 'We observe NGC 1851, a cluster.'},
    {'proposal_id': '2', 'abstract': 'We look for dark matter in dwarfs.'},
]


class Scripted:
    """A language model that reads its answers from a list."""

    name = 'scripted'

    def __init__(self, *answers):
        self.answers = list(answers)
        self.prompts = []

    def generate(self, prompt, schema, *, seed=0):
        self.prompts.append(prompt)
        answer = self.answers.pop(0)
        return answer if isinstance(answer, str) else json.dumps(answer)


def _with(**changes):
    return {**GOOD, **changes}


@pytest.mark.parametrize(
    ('summary', 'rule'),
    [
        (GOOD, None),
        (_with(science_use_cases=[]), 'from 1 to 5'),
        (_with(science_use_cases=['use'] * 6), 'from 1 to 5'),
        (_with(science_use_cases=['galaxy']), 'too general'),
        (_with(science_use_cases=['deep HST imaging']), 'the telescope'),
        (_with(science_use_cases=['word ' * 80]), 'at most 80 words'),
        (_with(science_use_cases=['星系的形成']), 'in English'),
        (_with(science_use_cases=['Blue stragglers']), 'twice'),
        (_with(science_use_cases=[3]), 'hold texts'),
        ('text', 'from 1 to 5'),
    ],
)
def test_rules(summary, rule):
    found = broken_rule(summary)
    assert found is None if rule is None else rule in found


def test_caption_joins_both_lists():
    table = summarize(ROWS[:1], model=Scripted(GOOD))
    assert table['summary'][0] == (
        'globular cluster NGC 1851, blue stragglers; '
        'ages of stellar populations'
    )
    assert table['concept'][0] == GOOD['objects_and_phenomena']
    assert table['method'][0] == 'scripted'
    assert table['proposal_id'][0] == '1'


def test_broken_rules_are_asked_again_then_reported():
    bad = _with(science_use_cases=['galaxy'])
    model = Scripted(bad, 'no json', GOOD, *[bad] * 5)
    with pytest.warns(AstroClipWarning, match='1 of 2 summaries broke'):
        table = summarize(ROWS, model=model)
    assert table['tries'].tolist() == [3, 5]
    assert table['broken_rule'].tolist() == ['', "'galaxy' is too general"]
    assert table['summary'][1] == ''
    assert "rule: 'galaxy' is too general" in model.prompts[1]
    assert ROWS[0]['abstract'] in model.prompts[0]


def test_answers_are_kept_and_an_interrupted_run_goes_on(tmp_path):
    cache = tmp_path / 'cache.jsonl'
    with pytest.raises(IndexError):  # the second abstract finds no answer
        summarize(ROWS, model=Scripted(GOOD), cache=cache)
    with cache.open('a') as file:
        file.write('{"key": "torn off')
    model = Scripted(GOOD)
    table = summarize(ROWS, model=model, cache=cache)
    assert len(model.prompts) == 1
    assert all(table['summary'])
    again = summarize(ROWS, model=Scripted(), cache=cache)
    assert again['summary'].tolist() == table['summary'].tolist()
    other = Scripted(GOOD, GOOD)
    other.name = 'another'
    summarize(ROWS, model=other, cache=cache)
    assert len(other.prompts) == 2


def test_without_a_model_words_of_the_abstract_do_and_say_so():
    path = shared_data('abstracts', 'hst_abstracts.jsonl')
    rows = [
        {'proposal_id': i, 'abstract': row['abstract']}
        for i, row in enumerate(read_jsonl(path))
    ]
    with pytest.warns(AstroClipWarning, match='extractive'):
        table = summarize(rows)
    assert set(table['method']) == {'extractive'}
    assert len(table) == 100
    for row in table:
        text = ' '.join(row['abstract'].split()).lower()
        for name in SCHEMA['required']:
            assert 1 <= len(row[name]) <= 5
        # What it says about use is in the abstract, word for word.
        first = row['science_use_cases'][0].lower()
        assert first in text.replace('{', '(').replace('}', ')')
    globular = next(r for r in table if 'G177' in r['abstract'])
    assert 'globular clusters' in globular['objects_and_phenomena']


class _Reply:
    def __init__(self, answer):
        self._answer = answer

    def raise_for_status(self):
        pass

    def json(self):
        return self._answer


def test_server(monkeypatch):
    import requests

    sent = {}

    def post(url, *, json, headers, timeout):
        sent.update(url=url, headers=headers, **json)
        answer = {'choices': [{'message': {'content': '{"a": 1}'}}]}
        return _Reply(answer)

    monkeypatch.setattr(requests, 'post', post)
    model = as_language_model('http://localhost:1/v1#mixtral')
    model._key = 'secret'
    assert model.generate('hello', SCHEMA, seed=3) == '{"a": 1}'
    assert sent['url'] == 'http://localhost:1/v1/chat/completions'
    assert sent['model'] == 'mixtral'
    assert sent['seed'] == 3
    assert sent['headers'] == {'Authorization': 'Bearer secret'}
    assert sent['response_format']['json_schema']['schema'] == SCHEMA
    with pytest.raises(TrainingError, match='names no model'):
        as_language_model('http://localhost:1/v1')


def test_server_that_does_not_answer():
    model = ServerModel('http://127.0.0.1:9/v1', 'm')
    with pytest.raises(ArchiveError, match='gives no answer'):
        model.generate('hello', SCHEMA)


def random_language_model(texts):
    """A transformer of random weights with a tokenizer of its own."""
    import tokenizers
    import torch
    import transformers

    from astroclip_search.embedding._torchvision import import_torchvision

    import_torchvision()

    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(
        add_prefix_space=False
    )
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        tokenizers.trainers.BpeTrainer(
            vocab_size=600,
            special_tokens=['<end>'],
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token='<end>', pad_token='<end>'
    )
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=len(fast), n_positions=2048, n_embd=32, n_layer=1,
            n_head=2, eos_token_id=fast.eos_token_id,
            bos_token_id=fast.eos_token_id, pad_token_id=fast.eos_token_id,
        )
    )  # fmt: skip
    return model.eval(), fast


def check_schema(text, longest=60):
    """Check an answer against the schema, by hand."""
    answer = json.loads(text)
    assert list(answer) == SCHEMA['required']
    for entries in answer.values():
        assert 1 <= len(entries) <= 5
        for entry in entries:
            assert isinstance(entry, str)
            assert 3 <= len(entry) <= longest


def test_random_transformer_cannot_break_the_schema():
    outlines = pytest.importorskip('outlines')
    from astroclip_search.training.language import OutlinesModel
    from astroclip_search.training.summaries import PROMPT

    path = shared_data('abstracts', 'hst_abstracts.jsonl')
    texts = [row['abstract'] for row in read_jsonl(path)]
    # Short entries, because compiling the schema is what takes the time.
    schema = json.loads(json.dumps(SCHEMA).replace('60', '12'))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        model = OutlinesModel(
            outlines.from_transformers(*random_language_model(texts)),
            name='random',
        )
        answers = [
            model.generate(PROMPT.format(abstract=text), schema)
            for text in texts[:3]
        ]
    for answer in answers:
        check_schema(answer, longest=12)
    assert len(set(answers)) == 3
