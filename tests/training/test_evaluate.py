# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Evaluations: right numbers for known vectors, and the report."""

import json
import shutil

import numpy as np
import pytest
from _sets import COLOURS
from _tiny import tiny_bundle

from astroclip_search import Embedder
from astroclip_search.exceptions import TrainingError
from astroclip_search.training import evaluate
from astroclip_search.training._judge import judge_relevance
from astroclip_search.training._tfidf import tfidf_similarity


class Perfect:
    """Knows the colour of every picture and text, nothing else."""

    name, fingerprint, info = 'perfect', 'sha256:0', {}
    _source = None

    def _vectors(self, texts):
        colours = list(COLOURS)
        rows = np.full((len(texts), 4), 0.01)
        for row, text in zip(rows, texts, strict=True):
            row[[i for i, c in enumerate(colours) if c in str(text)]] = 1
        return rows

    def embed_images(self, images, *, progress=None):
        return self._vectors([path.stem for path in images])

    def embed_text(self, texts, *, progress=None):
        return self._vectors(texts)


def test_a_model_that_knows_the_colour(pairs):
    found = evaluate(Perfect(), pairs, part='all')
    assert (found['n_images'], found['n_captions']) == (48, 12)
    # Three captions of a colour tie, and ties count against: rank 3 of 12.
    top = found['retrieval']
    assert top['top_1']['image_to_text']['value'] == 0
    assert top['top_20_percent']['image_to_text']['value'] == 0
    assert top['top_10']['image_to_text']['value'] == 1
    assert top['mrr']['image_to_text']['value'] == pytest.approx(1 / 3)
    # 8 images of other shapes tie: rank 9 of 48.
    assert top['mrr']['text_to_image']['value'] == pytest.approx(1 / 9)
    assert top['top_20_percent']['text_to_image']['value'] == 1
    assert found['similarity']['true']['value'] == pytest.approx(1, abs=1e-3)
    assert found['similarity']['shuffled']['value'] < 0.4
    assert found['lines']['chance']['image_to_text'] == pytest.approx(1 / 12)
    # 1 - C(44,4)/C(48,4): one of 4 images among the best 4 of 48
    assert found['lines']['chance']['text_to_image'] == pytest.approx(
        1 - (44 * 43 * 42 * 41) / (48 * 47 * 46 * 45)
    )
    assert set(found['by_instrument']) == {'ACS', 'WFC3'}


def test_report_card_and_json(tiny, pairs, tmp_path):
    tiny = shutil.copytree(tiny, tmp_path / 'tiny')
    other = tiny_bundle(tmp_path / 'other', seed=1)
    found = evaluate(
        tiny,
        pairs,
        part='test',
        base=other,
        output=tmp_path / 'report',
        card=True,
    )
    stored = json.loads((tmp_path / 'report' / 'evaluation.json').read_text())
    assert stored == found.results
    page = (tmp_path / 'report' / 'report.html').read_text()
    # 2 figures, 5 queries of 2 models with 6 images, 6 first and 6 last
    assert page.count('<img') == 2 + 5 * 2 * 6 + 12
    assert (tmp_path / 'report' / 'retrieval.png').stat().st_size > 5000
    assert 0 <= stored['lines']['base']['image_to_text']['value'] <= 1
    card = (tiny / 'README.md').read_text()
    value = stored['retrieval']['top_10_percent']['image_to_text']['value']
    assert f'| top 10 percent | {value:.3f} [' in card
    Embedder.from_pretrained(tiny)  # the bundle is still whole


def test_kinds_and_parts_that_are_not_there(pairs):
    with pytest.raises(TrainingError, match="no caption of kind 'summary'"):
        evaluate(Perfect(), pairs, kind='summary')
    with pytest.raises(TrainingError, match="part='tests' is unknown"):
        evaluate(Perfect(), pairs, part='tests')


def test_classes(pairs, monkeypatch):
    from astroclip_search.training.pairs import Pairs

    plain = Pairs.__getitem__

    def with_class(self, row):
        pair = plain(self, row)
        return {**pair, 'target_class': pair['id'].split('-')[0]}

    monkeypatch.setattr(Pairs, '__getitem__', with_class)
    classes = {c: f'{c} light' for c in ('red', 'green')}
    found = evaluate(Perfect(), pairs, part='all', classes=classes)
    assert found['classes']['macro_accuracy']['value'] == 1
    assert found['classes']['precision_at_10'] == {'red': 1, 'green': 1}
    with pytest.raises(TrainingError, match='target_class'):
        evaluate(Perfect(), pairs, part='all', classes={'pink': 'pink'})


class Recorded:
    """A judge that finds red things relevant, and fails once."""

    name = 'recorded'

    def __init__(self):
        self.n = 0

    def generate(self, prompt, schema, *, seed=0):
        self.n += 1
        if self.n == 1:
            return 'broken'
        text = prompt.split('proposal:\n')[1]
        return json.dumps({'relevant': 'red' in text})


def test_judge_sees_the_best_images_and_is_asked_once(tmp_path):
    texts = ['red disc', 'blue disc', 'red ring', 'green ring']
    similarity = np.array([[0.9, 0.1, 0.8, 0.2]])
    cache = tmp_path / 'answers.jsonl'
    judge = Recorded()
    relevant = judge_relevance(
        similarity, texts, ['red'], model=judge, cache=cache, k=3
    )
    # In order of similarity: broken answer, red ring, green ring.
    assert np.isnan(relevant[0, 0])
    assert relevant[0, 1:].tolist() == [1, 0]
    again = judge_relevance(
        similarity, texts, ['red'], model=judge, cache=cache, k=3
    )
    assert judge.n == 3
    assert np.array_equal(again, relevant, equal_nan=True)


def test_tfidf_equals_scikit_learn():
    text = pytest.importorskip('sklearn.feature_extraction.text')
    texts = [
        'spiral galaxy with dust',
        'galaxy galaxy cluster of galaxies',
        'globular cluster in dust',
        'nothing here',
    ]
    queries = ['galaxy cluster', 'dust dust spiral', 'unknown words']
    model = text.TfidfVectorizer(sublinear_tf=True)
    expected = (model.fit(texts).transform(queries)) @ model.transform(texts).T
    assert np.allclose(tfidf_similarity(queries, texts), expected.toarray())
