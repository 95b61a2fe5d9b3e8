# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Vocabularies: shipped ones, files, and bad ones."""

import json

import pytest

from astroclip_search.exceptions import QueryError
from astroclip_search.vocabularies import (
    TEMPLATES,
    Vocabulary,
    get_vocabulary,
    list_vocabularies,
)


def test_default_is_the_list_of_the_paper():
    vocabulary = get_vocabulary()
    assert vocabulary.name == 'paperclip'
    assert len(vocabulary) == 77
    assert {'globular clusters', 'Einstein rings', 'lyman alpha'} <= set(
        vocabulary.labels
    )


@pytest.mark.parametrize('name', list_vocabularies())
def test_shipped_vocabularies_are_sound(name):
    vocabulary = get_vocabulary(name)
    assert vocabulary.name == name
    assert vocabulary.description


def test_prompts():
    vocabulary = Vocabulary(['comet', 'quasar'], ['{}', 'a picture of a {}.'])
    assert vocabulary.prompts('comet') == ['comet', 'a picture of a comet.']


def test_text_file(tmp_path):
    path = tmp_path / 'mine.txt'
    path.write_text('# kinds\ncomet\n\n  quasar  # far\n', encoding='utf-8')
    vocabulary = get_vocabulary(path)
    assert vocabulary.labels == ('comet', 'quasar')
    assert vocabulary.templates == TEMPLATES
    assert vocabulary.name == 'mine'


def test_json_files(tmp_path):
    path = tmp_path / 'mine.json'
    path.write_text('["comet", "quasar"]')
    assert get_vocabulary(str(path)).labels == ('comet', 'quasar')
    content = {'labels': ['comet'], 'templates': ['the {}'], 'extra': 1}
    path.write_text(json.dumps(content))
    assert get_vocabulary(path).prompts('comet') == ['the comet']


def test_templates_replace_those_of_the_vocabulary():
    vocabulary = get_vocabulary('morphology', templates='picture of {}')
    assert vocabulary.templates == ('picture of {}',)
    assert len(vocabulary.labels) > 40


@pytest.mark.parametrize(
    ('labels', 'templates', 'match'),
    [
        ([], None, 'labels is empty'),
        (['comet', ' '], None, 'not empty'),
        (['comet', 3], None, 'every item is a text'),
        (['comet', 'Comet'], None, 'twice'),
        ([['comet']], None, 'every item is a text'),
        (5, None, 'give a list of texts'),
        (['comet'], [], 'templates is empty'),
        (['comet'], ['no place'], 'does not have {} once'),
        (['comet'], ['{} and {}'], 'does not have {} once'),
        ('no such name', None, 'shipped are morphology, paperclip'),
    ],
)
def test_bad_vocabulary(labels, templates, match):
    with pytest.raises(QueryError, match=match):
        get_vocabulary(labels, templates=templates)


@pytest.mark.parametrize(
    ('name', 'text', 'match'),
    [
        ('v.json', '{', 'is not valid JSON'),
        ('v.json', '{"classes": []}', 'holds no "labels"'),
        ('v.json', '3', 'holds no "labels"'),
        ('v.txt', '# nothing\n', 'labels is empty'),
    ],
)
def test_bad_file(tmp_path, name, text, match):
    (tmp_path / name).write_text(text)
    with pytest.raises(QueryError, match=match):
        get_vocabulary(tmp_path / name)


def test_binary_file(tmp_path):
    (tmp_path / 'v.txt').write_bytes(b'\xff\xfe\x00\xd8')
    with pytest.raises(QueryError, match='cannot be read'):
        get_vocabulary(tmp_path / 'v.txt')
