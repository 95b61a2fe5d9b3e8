# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Searches whose answers are worked out from the vectors."""

import numpy as np
import pytest
from _tiny import tiny_bundle
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits

from astroclip_search import Collection, Embedder, _session, conf, search
from astroclip_search.exceptions import (
    CollectionError,
    ImageError,
    ModelError,
    QueryError,
)
from astroclip_search.images import SkyImage

PLACE = SkyCoord(81 * u.deg, -69 * u.deg)


def cosines(query, vectors):
    query = np.asarray(query, float)
    return vectors.astype(float) @ query / np.linalg.norm(query)


def check(result, query, rows, vectors, allowed=None):
    """Rows and similarities are those of a plain product."""
    expected = cosines(query, vectors)
    if allowed is not None:
        expected[~allowed] = -2
    best = np.argsort(-expected)[: len(result)]
    assert list(result['id']) == list(np.asarray(rows['id'])[best])
    np.testing.assert_allclose(result['similarity'], expected[best], atol=1e-5)


def test_text(collection_path, model, rows, vectors):
    result = search(
        'spiral galaxy', collection=collection_path, embedder=model, limit=7
    )
    query = model.embed_text('spiral galaxy')[0]
    check(result, query, rows, vectors)
    assert list(result['rank']) == list(range(1, 8))
    assert (np.diff(result['score']) < 0).all()
    np.testing.assert_allclose(
        result['score'], 1 - result['false_match_rate'], rtol=1e-12
    )
    assert result.meta['query'] == 'spiral galaxy'
    assert result.meta['fingerprint'] == model.fingerprint


def test_false_match_rate_is_the_share_at_least_as_similar(
    collection_path, model, vectors
):
    result = search('dust', collection=collection_path, embedder=model)
    expected = cosines(model.embed_text('dust')[0], vectors)
    share = [(expected >= s - 1e-4).mean() for s in result['similarity']]
    # Counted rates lie half a row below the share that includes the row.
    np.testing.assert_allclose(
        result['false_match_rate'][16:],
        np.array(share[16:]) - 0.5 / 80,
        atol=1e-6,
    )


def test_weighted_terms(collection_path, model, rows, vectors):
    spiral, bar = model.embed_text(['spiral', 'bar']).astype(float)
    image = np.outer(np.arange(40.0), np.ones(40))
    picture = model.embed_images([image])[0]
    result = search(
        ['spiral', ('bar', -0.3), (image, 0.7), {'id': 'row05'}],
        collection=collection_path,
        embedder=model,
    )
    example = vectors[5] / np.linalg.norm(vectors[5])
    query = spiral - 0.3 * bar + 0.7 * picture + example
    check(result, query, rows, vectors)
    assert result.meta['query'] == (
        'spiral + -0.3 * bar + 0.7 * <ndarray> + row row05'
    )


def test_row_needs_no_model(collection_path, rows, vectors):
    first = search(
        {'id': 'row11'}, collection=collection_path, embedder='no such model'
    )
    check(first, vectors[11], rows, vectors)
    again = search(first[3], collection=collection_path)
    assert again['id'][0] == first['id'][3]


def test_image_file_and_hdus(collection_path, model, rows, vectors, tmp_path):
    rng = np.random.default_rng(3)
    hdus = fits.HDUList([fits.PrimaryHDU(rng.normal(size=(50, 50)))])
    hdus.writeto(tmp_path / 'image.fits')
    query = model.embed_images([tmp_path / 'image.fits'])[0]
    for item in (tmp_path / 'image.fits', str(tmp_path / 'image.fits'), hdus):
        result = search(item, collection=collection_path, embedder=model)
        check(result, query, rows, vectors)


def test_filters_come_before_ranking(collection_path, model, rows, vectors):
    query = model.embed_text('comet')[0]
    where = {'instrument_name': 'ACS', 't_exptime': (300, None)}
    result = search(
        'comet', collection=collection_path, embedder=model, where=where
    )
    instrument = np.ma.filled(rows['instrument_name'], '')
    allowed = (instrument == 'ACS') & (np.asarray(rows['t_exptime']) >= 300)
    assert len(result) == min(allowed.sum(), 20)
    check(result, query, rows, vectors, allowed)


def separations(rows):
    ra, dec = (np.ma.filled(rows[k], np.nan) for k in ('s_ra', 's_dec'))
    return SkyCoord(ra * u.deg, dec * u.deg).separation(PLACE)


def test_cone(collection_path, model, rows, vectors):
    query = model.embed_text('comet')[0]
    result = search(
        'comet',
        collection=collection_path,
        embedder=model,
        position=PLACE,
        radius=20 * u.arcmin,
    )
    apart = separations(rows)
    allowed = np.nan_to_num(apart.deg, nan=99) <= 20 / 60
    assert 3 < len(result) == allowed.sum()
    check(result, query, rows, vectors, allowed)
    assert result['separation'].unit == u.deg
    assert (result['separation'] <= 20 * u.arcmin).all()


def test_position_alone_orders_by_separation(collection_path, rows):
    result = search(position=PLACE, collection=collection_path, limit=9)
    apart = separations(rows).deg
    best = np.argsort(np.nan_to_num(apart, nan=99))[:9]
    assert list(result['id']) == list(np.asarray(rows['id'])[best])
    np.testing.assert_allclose(result['separation'].value, apart[best])
    assert np.ma.getmaskarray(result['similarity']).all()


def test_where_alone(collection_path):
    result = search(where={'proposal_id': '103'}, collection=collection_path)
    assert set(result['id']) == {'row12', 'row13', 'row14', 'row15'}


def test_group_by(collection_path, model):
    result = search(
        'comet',
        collection=collection_path,
        embedder=model,
        group_by='proposal_id',
    )
    assert len(set(result['proposal_id'])) == len(result) == 20


def test_max_false_match_rate(collection_path, model):
    result = search(
        'comet',
        collection=collection_path,
        embedder=model,
        max_false_match_rate=0.05,
    )
    assert 1 <= len(result) <= 5
    assert (result['false_match_rate'] <= 0.05).all()


def test_position_is_a_picture_of_the_place(
    collection_path, model, rows, vectors, monkeypatch
):
    asked = []
    image = SkyImage(
        np.outer(np.arange(9.0), np.ones(9)), meta={'survey': 'X'}
    )

    def sky_image(position, *, size, survey=None):
        asked.append((position, size, survey))
        return image

    monkeypatch.setattr('astroclip_search.archive.sky_image', sky_image)
    result = search(
        PLACE,
        size=3 * u.arcmin,
        survey='CDS/P/X',
        collection=collection_path,
        embedder=model,
    )
    check(result, model.embed_images([image])[0], rows, vectors)
    assert asked == [(PLACE, 3 * u.arcmin, 'CDS/P/X')]
    assert result.meta['query_image'] == {'survey': 'X'}


@pytest.mark.parametrize(
    ('query', 'options', 'match'),
    [
        (None, {}, 'there is no query'),
        ('', {}, 'empty text'),
        ('x', {'radius': 5 * u.deg}, 'needs position='),
        ('x', {'position': PLACE}, 'needs radius='),
        ('x', {'position': PLACE, 'radius': 5}, 'radius=5 has no unit'),
        ('x', {'position': (81, -69), 'radius': 5 * u.deg}, 'SkyCoord'),
        ('x', {'size': 5 * u.deg}, 'is for a SkyCoord as the query'),
        (PLACE, {}, 'needs size='),
        ('x', {'where': {'instrument': 'ACS'}}, "no column 'instrument'"),
        ('x', {'where': 'instrument_name'}, 'is no dictionary'),
        ('x', {'group_by': 'proposal'}, "no column 'proposal'"),
        ('x', {'limit': 0}, 'whole number above 0'),
        ({'id': 'row99'}, {}, "no row with the id 'row99'"),
        (['spiral', ('spiral', -1)], {}, 'cancel each other'),
    ],
)
def test_bad_queries(collection_path, model, query, options, match):
    with pytest.raises((QueryError, CollectionError), match=match):
        search(query, collection=collection_path, embedder=model, **options)


@pytest.mark.parametrize(
    ('query', 'options'),
    [
        ('', {}),
        ('x', {'radius': 5 * u.deg}),
        ('x', {'position': PLACE, 'radius': 5}),
        ('x', {'where': {'instrument': 'ACS'}}),
        ({'id': 'row99'}, {}),
    ],
)
def test_errors_come_before_the_model(collection_path, query, options):
    """A model that does not exist is not even looked for."""
    with pytest.raises((QueryError, CollectionError, ImageError)) as caught:
        search(
            query, collection=collection_path, embedder='no/model', **options
        )
    assert 'no/model' not in str(caught.value)


def test_text_file_is_no_image(collection_path, tmp_path):
    path = tmp_path / 'notes.txt'
    path.write_text('spiral')
    with pytest.raises(ImageError, match=r'notes\.txt'):
        search(path, collection=collection_path)


def test_other_model_is_refused(collection_path, tmp_path):
    other = Embedder.from_pretrained(tiny_bundle(tmp_path / 'b', seed=1))
    with pytest.raises(ModelError, match='was made by model tiny'):
        search('x', collection=collection_path, embedder=other)


def test_model_that_is_not_there(collection_path):
    with pytest.raises(ModelError, match=r"was made by model 'tiny', which"):
        search('x', collection=collection_path)


def test_other_rendering_is_refused_for_images_only(
    collection_path, model, monkeypatch
):
    from astroclip_search.images import Rendering

    other = Rendering(size=64, fit='crop')
    monkeypatch.setitem(model.__dict__, 'rendering', other)
    with pytest.raises(ModelError, match='were rendered as'):
        search(
            np.outer(np.arange(9.0), np.ones(9)),
            collection=collection_path,
            embedder=model,
        )
    assert len(search('x', collection=collection_path, embedder=model)) == 20


def test_missing_collection(tmp_path):
    with pytest.raises(CollectionError, match='no collection'):
        search('x', collection=tmp_path / 'nothing')


def test_texts_are_embedded_once(collection_path, model, monkeypatch):
    def search_once():
        return search(
            'a text nobody used', collection=collection_path, embedder=model
        )

    first = search_once()
    monkeypatch.setattr(
        type(model), 'embed_text', lambda *a, **k: pytest.fail('embedded')
    )
    assert list(search_once()['id']) == list(first['id'])


def test_collections_are_opened_again_only_when_changed(tmp_path, model):
    path = tmp_path / 'c'
    collection = Collection.create(path, embedder=model)
    one, two = np.eye(model.dim)[:2]
    collection.add(None, vectors=[one], ids=['one'])
    first = _session.get_collection(path)
    assert _session.get_collection(str(path)) is first
    Collection.open(path).add(None, vectors=[two], ids=['two'])
    assert set(search({'id': 'one'}, collection=path)['id']) == {'one', 'two'}


def test_default_limit_is_the_configured_one(collection_path, model):
    with conf.set_temp('limit', 3):
        assert (
            len(search('x', collection=collection_path, embedder=model)) == 3
        )
