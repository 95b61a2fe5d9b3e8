# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The service on collections."""

import hashlib

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table
from mocpy import MOC
from PIL import Image

from astroclip_search import (
    AstroClipSearch,
    Collection,
    conf,
    describe,
    search,
)
from astroclip_search.archive import to_obscore
from astroclip_search.exceptions import QueryError
from astroclip_search.results import SearchResult

COUNT = 2000


@pytest.fixture(scope='module')
def sky(tmp_path_factory):
    """A collection all over the sky, denser at the poles and at 0 h."""
    rng = np.random.default_rng(1)
    ra = rng.uniform(0, 360, COUNT)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, COUNT)))
    ra[:200] = rng.uniform(-1, 1, 200) % 360
    dec[:100] = rng.uniform(-1, 1, 100)
    dec[200:300] = rng.uniform(89, 90, 100)
    dec[300:400] = rng.uniform(-90, -89, 100)
    table = Table({'id': [f'r{k}' for k in range(COUNT)]})
    table['s_ra'] = ra * u.deg
    table['s_dec'] = dec * u.deg
    table['proposal_id'] = [str(k % 7) for k in range(COUNT)]
    made = Collection.create(tmp_path_factory.mktemp('c') / 'sky.astroclip',
                             dim=8)  # fmt: skip
    made.add(table, vectors=rng.normal(size=(COUNT, 8)))
    return made, table['id'], SkyCoord(ra, dec, unit='deg')


@pytest.fixture(scope='module')
def pictures(tmp_path_factory, tiny):
    folder = tmp_path_factory.mktemp('p')
    rng = np.random.default_rng(2)
    rows = Table({'id': [f'p{k}' for k in range(12)]})
    rows['s_ra'] = np.arange(12) * u.deg
    rows['s_dec'] = np.zeros(12) * u.deg
    rows['path'] = [str(folder / f'{k}.png') for k in range(12)]
    for path in rows['path']:
        array = rng.integers(0, 255, (4, 4, 3), np.uint8)
        Image.fromarray(array).resize((64, 64)).save(path)
    made = Collection.create(folder / 'p.astroclip', embedder=tiny)
    made.add(rows)
    return made


def test_two_hundred_cones_equal_brute_force(sky):
    collection, ids, places = sky
    rng = np.random.default_rng(3)
    found_any = 0
    for k in range(200):
        centre = SkyCoord(
            rng.uniform(0, 360) * u.deg,
            np.degrees(np.arcsin(rng.uniform(-1, 1))) * u.deg,
        )
        if k % 2:  # where there is something
            centre = places[rng.integers(COUNT)]
        radius = 10 ** rng.uniform(-1, 1.7) * u.deg
        found = AstroClipSearch.query_region(
            centre, radius=radius, collection=collection, limit=COUNT
        )
        separation = places.separation(centre)
        sure = separation < radius - 1e-9 * u.deg
        edge = abs(separation - radius) <= 1e-9 * u.deg
        assert set(ids[sure]) <= set(found['id']) <= set(ids[sure | edge])
        index = [int(name[1:]) for name in found['id']]
        np.testing.assert_allclose(
            found['separation'].to_value('deg'),
            separation[index].deg,
            atol=1e-9,
        )
        assert (np.diff(found['separation'].to_value('deg')) >= -1e-12).all()
        assert found['similarity'].mask.all()
        found_any += len(found) > 0
    assert found_any > 120


@pytest.mark.parametrize(
    'centre', [(0, 0), (180, 89.5), (12, -89.9), (359.9, 0.2)]
)
def test_cones_at_the_seam_and_the_poles(sky, centre):
    collection, ids, places = sky
    centre = SkyCoord(*centre, unit='deg')
    found = AstroClipSearch.query_region(
        centre, radius=1 * u.deg, collection=collection, limit=COUNT
    )
    expected = ids[places.separation(centre) < 1 * u.deg]
    assert len(expected) > 20
    assert sorted(found['id']) == sorted(expected)


def test_box_equals_offsets(sky):
    collection, ids, places = sky
    centre = SkyCoord(0.1, 0.2, unit='deg')
    found = AstroClipSearch.query_region(
        centre,
        width=1 * u.deg,
        height=0.5 * u.deg,
        collection=collection,
        limit=COUNT,
    )
    # On so small a field great circles are straight to 1e-5 deg.
    x, y = (v.deg for v in centre.spherical_offsets_to(places))
    near = places.separation(centre) < 5 * u.deg
    inside = (abs(x) < 0.5 - 1e-4) & (abs(y) < 0.25 - 1e-4) & near
    around = (abs(x) < 0.5 + 1e-4) & (abs(y) < 0.25 + 1e-4) & near
    assert inside.sum() > 5
    assert set(ids[inside]) <= set(found['id']) <= set(ids[around])
    assert found['similarity'].mask.all()
    gaps = found['separation'].to_value('deg')
    assert (np.diff(gaps) >= 0).all()


def test_region_and_moc(sky):
    collection, ids, places = sky
    moc = MOC.from_cone(10 * u.deg, 20 * u.deg, radius=15 * u.deg, max_depth=7)
    found = AstroClipSearch.query_region(
        moc=moc, collection=collection, limit=COUNT
    )
    inside = moc.contains_skycoords(places)
    assert inside.sum() > 10
    assert sorted(found['id']) == sorted(ids[inside])
    again = AstroClipSearch.query_region(
        region=moc, collection=collection, limit=COUNT
    )
    assert sorted(again['id']) == sorted(found['id'])


def test_object_is_where_its_name_says(sky, monkeypatch):
    collection = sky[0]
    monkeypatch.setattr(
        SkyCoord, 'from_name', lambda name, cache: SkyCoord(0, 0, unit='deg')
    )
    found = AstroClipSearch.query_object(
        'M 31', radius=1 * u.deg, collection=collection, where={
            'proposal_id': '3'}, columns=['id', 'proposal_id', 'separation'],
    )  # fmt: skip
    assert isinstance(found, SearchResult)
    assert found.colnames == ['id', 'proposal_id', 'separation']
    assert set(found['proposal_id']) == {'3'}


def test_text_and_image(pictures, tiny):
    found = AstroClipSearch.query_text(
        'a galaxy', collection=pictures, limit=5
    )
    expected = pictures.search(tiny.embed_text('a galaxy')[0], limit=5)
    assert list(found['id']) == list(expected['id'])
    assert len(found) == 5
    path = str(pictures.path.parent / '7.png')
    found = AstroClipSearch.query_image(path, collection=pictures)
    assert found['id'][0] == 'p7'
    assert found['similarity'][0] > 0.99


def test_image_that_is_an_array_or_not_there(pictures):
    array = np.asarray(Image.open(pictures.path.parent / '3.png'))
    found = AstroClipSearch.query_image(array, collection=pictures)
    assert found['id'][0] == 'p3'
    # The name of a missing file is not a text to search for.
    with pytest.raises(QueryError, match='does not exist'):
        AstroClipSearch.query_image('galaxy', collection=pictures)


def test_text_in_a_region(pictures):
    centre = SkyCoord(3, 0, unit='deg')
    for extent in ({'radius': 2.5 * u.deg}, {'width': 5 * u.deg}):
        found = AstroClipSearch.query_region(
            centre, **extent, text='a galaxy', collection=pictures
        )
        assert set(found['id']) == {'p1', 'p2', 'p3', 'p4', 'p5'}
        assert (np.diff(found['similarity']) <= 0).all()


def test_collection_by_path_name_and_address(pictures, tiny, server):
    path = pictures.path
    by_path = AstroClipSearch.query_text(
        'dust', collection=path, embedder=tiny, limit=3
    )
    with conf.set_temp('collection_path', str(path.parent)):
        by_name = AstroClipSearch.query_text(
            'dust', collection='p', embedder=tiny, limit=3
        )
        assert 'p' in AstroClipSearch.list_collections()['name']
    sums = ''
    for file in path.rglob('*'):
        if file.is_file() and file.name != 'lock':
            name = file.relative_to(path).as_posix()
            data = file.read_bytes()
            server.content[f'/c/p.astroclip/{name}'] = data
            sums += f'{hashlib.sha256(data).hexdigest()}  {name}\n'
    server.content['/c/p.astroclip/SHA256SUMS'] = sums.encode()
    address = server.url('/c/p.astroclip')
    by_address = AstroClipSearch.query_text(
        'dust', collection=address, embedder=tiny, limit=3
    )
    assert list(by_path['id']) == list(by_name['id']) == list(by_address['id'])
    asked = len(server.requests)
    AstroClipSearch.query_text('dust', collection=address, embedder=tiny)
    assert len(server.requests) == asked
    assert len(AstroClipSearch.list_collections()) >= 1
    # Whatever takes the name of a collection takes its address.
    assert len(Collection.open(address)) == len(pictures)
    assert len(server.requests) == asked


def test_unknown_column(pictures):
    with pytest.raises(QueryError, match=r"asks for \['nothing'\]"):
        AstroClipSearch.query_text(
            'dust', collection=pictures, columns=['id', 'nothing']
        )


def test_images_of_rows_of_local_files(pictures):
    rows = AstroClipSearch.query_text('dust', collection=pictures, limit=2)
    images = AstroClipSearch.get_images(rows)
    assert [hdus[0].data.shape for hdus in images] == [(3, 64, 64)] * 2


def test_listings():
    models = AstroClipSearch.list_models()
    assert models.colnames == ['name', 'version', 'dimensions', 'licence']
    vocabularies = AstroClipSearch.list_vocabularies()
    assert 'paperclip' in vocabularies['name']
    assert (vocabularies['classes'] > 10).all()


def test_place_on_the_sky_as_a_query(pictures, tiny, hips):
    path = pictures.path.parent / '5.png'
    hips.content['/hips-image-services/hips2fits'] = path.read_bytes()
    place = SkyCoord(10, 20, unit='deg')
    size = 3 * u.arcmin
    results = [
        AstroClipSearch.query_image(place, size=size, collection=pictures),
        search(place, size=size, collection=pictures),
        describe(
            place,
            size=size,
            embedder=tiny,
            vocabulary=['a', 'b'],
            background=pictures,
        ),
    ]
    assert results[0]['id'][0] == results[1]['id'][0] == 'p5'
    for result in results:
        origin = result.meta['query_image']
        assert origin['survey'] == conf.hips_survey
        assert origin['field'] == '10.000000 20.000000 deg, 0.05 deg wide'
        assert origin['address'].startswith(hips.address)
        assert origin['date'].startswith('20')
    assert len(hips.requests) == 1  # the cutout was fetched once


def test_hostile_title_stays_text_in_a_notebook(tmp_path):
    made = Collection.create(tmp_path / 'c', dim=4)
    evil = '<img src=x onerror=alert(1)>'
    row = {
        'obs_id': evil, 's_ra': 1.0, 's_dec': 2.0, 'obs_title': evil,
        'access_url': 'javascript:alert(1)',
    }  # fmt: skip
    made.add(to_obscore({'data': [row]}), vectors=np.ones((1, 4)))
    found = AstroClipSearch.query_region(
        SkyCoord(1, 2, unit='deg'), radius=1 * u.deg, collection=made
    )
    assert found['obs_title'][0] == evil
    html = found._repr_html_()
    assert '<img src=x' not in html
    assert 'javascript:' not in html
