# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The collection and the model that come with the package."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from _shared import ROOT, read_jsonl, shared_data
from astropy import units as u
from astropy.coordinates import SkyCoord
from scipy import stats

from astroclip_search import Collection, Embedder, describe, search
from astroclip_search._background import (
    Background,
    background_texts,
    text_file,
    text_store,
)
from astroclip_search._describe import class_vectors
from astroclip_search.collections.calibration import tail_rate
from astroclip_search.exceptions import CollectionError, ModelError
from astroclip_search.vocabularies import get_vocabulary

DATA = ROOT / 'astroclip_search' / 'data'

sys.path.insert(0, str(ROOT / 'recipes' / 'starter'))


@pytest.fixture(scope='module')
def embedder():
    try:
        return Embedder.from_pretrained('astroclip-small')
    except ModelError as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope='module')
def starter(embedder):
    try:
        collection = Collection.open('starter')
    except CollectionError as exc:
        pytest.skip(str(exc))
    assert collection.fingerprint == embedder.fingerprint
    return collection


def test_rows(starter):
    table = starter.table()
    assert len(table) > 1100
    assert len(set(table['id'])) == len(table)
    place = ~np.ma.getmaskarray(table['s_ra'])
    assert place.sum() > 700
    ra = np.ma.compressed(np.ma.asarray(table['s_ra'].unmasked.value[place]))
    assert ((ra >= 0) & (ra < 360)).all()
    urls = [x for x in table['access_url'] if x is not np.ma.masked]
    assert len(urls) > 1100
    starts = (
        'https://mast.stsci.edu/api/v0.1/Download/file?uri=mast:JWST/product/',
        'https://cdn.esahubble.org/archives/images/screen/',
        'https://cdn.esawebb.org/archives/images/screen/',
    )
    assert all(x.startswith(starts) and x.endswith('.jpg') for x in urls)


def test_no_pictures_are_shipped(starter):
    assert not list(Path(starter.path).rglob('*.jpg'))
    assert starter.thumbnail(starter.table(['id'])['id'][0]) is None


def test_similarities_by_hand(starter, embedder):
    result = search('spiral galaxy', limit=50)
    query = embedder.embed_text('spiral galaxy')[0].astype(float)
    cosines = starter.vectors().astype(float) @ query
    names = np.asarray(starter.table(['id'])['id'])
    order = np.argsort(-cosines)[:50]
    np.testing.assert_allclose(result['similarity'], cosines[order], atol=1e-5)
    assert list(result['id']) == list(names[order])
    assert (np.diff(result['score']) < 0).all()


def test_spiral_galaxies_are_galaxies():
    result = search('spiral galaxy', limit=20)
    classes = [str(c).lower() for c in result['target_class']]
    assert np.mean(['galax' in c for c in classes]) >= 0.7


@pytest.mark.parametrize(
    ('query', 'word'),
    [('planetary nebula', 'planetary'), ('globular cluster', 'cluster')],
)
def test_other_classes_are_enriched(starter, query, word):
    def share(column):
        texts = [str(c).lower() for c in column]
        return np.mean([word in text for text in texts])

    everywhere = share(starter.table(['target_class'])['target_class'])
    found = share(search(query, limit=20)['target_class'])
    assert found >= 4 * everywhere


def test_tarantula_by_place():
    result = search(
        position=SkyCoord('05h38m42s -69d06m03s'), radius=0.2 * u.deg
    )
    assert len(result) >= 3
    assert any('2070' in str(name) for name in result['target_name'])


def test_background_is_shipped(starter, embedder):
    assert (
        DATA / 'backgrounds' / text_file(embedder, background_texts())
    ).is_file()


def test_true_pairs_score_high_and_strangers_evenly(starter, embedder):
    """Captions and pictures of all kinds, in both directions."""
    folder = shared_data('pairs')
    rows = read_jsonl(folder / 'pairs.jsonl')
    rng = np.random.default_rng(1)
    rows = [rows[i] for i in rng.permutation(len(rows))[:100]]
    images = embedder.embed_images([folder / row['file'] for row in rows])
    texts = embedder.embed_text([row['caption'][:300] for row in rows])
    classes = class_vectors(get_vocabulary(), embedder)
    background = Background(
        starter.vectors(), text_store(embedder, background_texts())
    )
    by_image = np.stack(
        [background.false_match_rate(texts, image) for image in images]
    )
    by_class = np.stack(
        [background.false_match_rate(classes, image) for image in images]
    )
    by_text = np.stack(
        [
            tail_rate(starter.vectors() @ t, starter.vectors() @ t)
            for t in texts
        ]
    )
    sources = np.array([row['source'] for row in rows])
    strangers = sources[:, None] != sources
    distances = [
        stats.kstest(rates.ravel(), 'uniform').statistic
        for rates in (by_image[strangers], by_class, by_text)
    ]
    assert max(distances) < 0.2
    assert np.median(1 - np.diag(by_image)) > 0.9


def test_describe_real_pictures(embedder, starter):
    folder = shared_data('pairs')
    rows = {r['id']: r for r in read_jsonl(folder / 'pairs.jsonl')}
    file = folder / rows['jwstobs_0001']['file']
    found = describe(file, limit=10)
    assert len(found) == 11
    assert 'n_background_images' in found.meta
    assert found.meta['n_background_images'] == len(starter)


def test_builder_takes_facts_only():
    from facts import COLUMNS, collect

    facts, files = collect(shared_data('pairs'))
    assert len(facts) == len(files) > 1100
    assert all(set(row) == set(COLUMNS) for row in facts)
    by_id = {row['id']: row for row in facts}
    assert len(by_id) == len(facts)
    row = by_id['jwst/2022-06-02_NGC-2070_NIRCam']
    assert row['obs_id'] == 'jw02729-o001_t001_nircam_clear-f444w'
    assert row['access_url'] == (
        'https://mast.stsci.edu/api/v0.1/Download/file?uri='
        'mast:JWST/product/jw02729-o001_t001_nircam_clear-f444w_i2d.jpg'
    )
    assert row['obs_creation_date'] == '2022-06-02'
    assert row['proposal_id'] == '2729'
    # VV 191 has no products in the manifest, so no address is known.
    assert by_id['jwst/2022-07-02_VV-191_NIRCam']['access_url'] is None


def test_vocabulary_files_are_plain_json():
    for path in (DATA / 'vocabularies').iterdir():
        assert json.loads(path.read_text())['labels']
