# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Descriptions, worked out from the vectors."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from astroclip_search import Collection, _describe, describe
from astroclip_search._describe import class_vectors
from astroclip_search.exceptions import (
    AstroClipWarning,
    ImageError,
    ModelError,
    QueryError,
)
from astroclip_search.images import SkyImage
from astroclip_search.vocabularies import Vocabulary

IMAGE = np.outer(np.arange(40.0), np.ones(40))
TITLES = tuple(f'title number {i}' for i in range(60))
CLASSES = ['spiral galaxy', 'comet', 'quasar', 'dust']


@pytest.fixture(autouse=True)
def background(monkeypatch, tmp_path):
    """Few background texts, kept where nothing else is."""
    monkeypatch.setattr(_describe, 'background_texts', lambda: TITLES)
    monkeypatch.setattr(
        'astroclip_search._background._cache', lambda: tmp_path
    )


def test_scores_by_hand(collection_path, model, vectors):
    found = describe(
        IMAGE,
        vocabulary=CLASSES,
        templates=['{}', 'a picture of {}'],
        embedder=model,
        background=collection_path,
    )
    image = model.embed_images([IMAGE])[0].astype(float)
    texts = [
        model.embed_text([label, f'a picture of {label}']).mean(0)
        for label in CLASSES
    ]
    texts = [text / np.linalg.norm(text) for text in texts]
    titles = model.embed_text(TITLES).astype(float)
    images = vectors.astype(float)

    def standard(text):
        cosines = images @ text
        return (text @ image - cosines.mean()) / cosines.std()

    z = {k: standard(t) for k, t in zip(CLASSES, texts, strict=True)}
    chance = np.array([standard(title) for title in titles])
    labels = [label for label in found['label'] if label in CLASSES]
    assert labels == sorted(CLASSES, key=lambda label: -z[label])
    for row in found:
        if row['label'] == '(none of these)':
            assert row['false_match_rate'] == 1 / 4
            continue
        share = (chance >= z[row['label']]).mean()
        # Between the steps of 60 texts, and beyond the last of them.
        assert abs(row['false_match_rate'] - share) <= 1.01 / 60
        cosine = texts[CLASSES.index(row['label'])] @ image
        np.testing.assert_allclose(row['similarity'], cosine, atol=1e-5)
        np.testing.assert_allclose(row['score'], 1 - row['false_match_rate'])
    assert found.none_of_these == (found['label'][0] == '(none of these)')
    assert found.meta['n_background_images'] == 80
    assert found.meta['n_background_texts'] == 60


def test_class_vectors_are_means_of_templates(model):
    vocabulary = Vocabulary(['comet', 'dust'], ['{}', 'the {}'])
    expected = model.embed_text(['dust', 'the dust']).mean(0)
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(
        class_vectors(vocabulary, model)[1], expected, atol=1e-6
    )


def test_limit_keeps_the_best(collection_path, model):
    options = {'embedder': model, 'background': collection_path}
    whole = describe(IMAGE, **options)
    best = describe(IMAGE, limit=3, **options)
    assert len(whole) == 78
    assert len(best) == 4
    keep = [x for x in whole['label'] if x != '(none of these)'][:3]
    assert [x for x in best['label'] if x != '(none of these)'] == keep


def test_model_without_background_images(model):
    with pytest.warns(AstroClipWarning, match='no background of images'):
        found = describe(IMAGE, vocabulary=CLASSES, embedder=model)
    assert found.meta['n_background_images'] == 0
    similarity = [s for s in found['similarity'] if s is not np.ma.masked]
    assert similarity == sorted(similarity, reverse=True)


def test_position(collection_path, model, monkeypatch):
    monkeypatch.setattr(
        'astroclip_search.archive.sky_image',
        lambda position, *, size, survey: SkyImage(
            IMAGE, meta={'survey': survey, 'size': str(size)}
        ),
    )
    options = {'embedder': model, 'background': collection_path}
    place = SkyCoord(10 * u.deg, 20 * u.deg)
    found = describe(
        place, size=2 * u.arcmin, survey='CDS/P/X', limit=3, **options
    )
    same = describe(IMAGE, limit=3, **options)
    assert list(found['label']) == list(same['label'])
    assert found.meta['query_image']['survey'] == 'CDS/P/X'


@pytest.mark.parametrize(
    ('image', 'options', 'match'),
    [
        ('spiral galaxy', {}, 'does not exist'),
        ([IMAGE, IMAGE], {}, 'describe takes one image'),
        ({'id': 'row01'}, {}, 'is no image and no position'),
        (None, {}, 'cannot be searched for'),
        (SkyCoord(1 * u.deg, 2 * u.deg), {}, 'needs size='),
        (IMAGE, {'size': 1 * u.deg}, 'is for a SkyCoord'),
        (IMAGE, {'limit': 0}, 'whole number above 0'),
        (IMAGE, {'vocabulary': []}, 'labels is empty'),
        (IMAGE, {'vocabulary': 'nothing'}, 'shipped are'),
    ],
)
def test_bad_input(image, options, match):
    with pytest.raises(QueryError, match=match):
        describe(image, embedder='no/model', **options)


def test_unreadable_image_before_the_model(tmp_path):
    path = tmp_path / 'notes.txt'
    path.write_text('spiral')
    with pytest.raises(ImageError, match=r'notes\.txt'):
        describe(path, embedder='no/model')


def test_background_of_another_model(model, tmp_path):
    other = Collection.create(
        tmp_path / 'other', dim=model.dim, fingerprint='sha256:other'
    )
    with pytest.raises(ModelError, match='made by another model'):
        describe(IMAGE, embedder=model, background=other)
