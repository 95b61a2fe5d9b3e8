# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The service against the conventions of astroquery; nothing is searched."""

import inspect
import json

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from mocpy import MOC

from astroclip_search import AstroClipSearch, conf
from astroclip_search.archive import AstroClipSearchClass
from astroclip_search.exceptions import AstroClipError, QueryError

M51 = SkyCoord(202.4696 * u.deg, 47.1952 * u.deg)


def payload(method, *args, **kwargs):
    query = getattr(AstroClipSearch, method)
    found = query(*args, **kwargs, get_query_payload=True)
    # What cannot pass through JSON is not serialisable.
    assert json.loads(json.dumps(found)) == found
    return found


def public_methods():
    return {
        name: method
        for name, method in inspect.getmembers(
            AstroClipSearch, inspect.ismethod
        )
        if not name.startswith('_')
    }


def test_methods_are_those_of_the_convention():
    assert isinstance(AstroClipSearch, AstroClipSearchClass)
    assert set(public_methods()) == {
        'query_text', 'query_image', 'query_region', 'query_object',
        'get_images', 'list_collections', 'list_models', 'list_vocabularies',
    }  # fmt: skip
    assert not [name for name in dir(AstroClipSearch) if 'async' in name]


def test_signatures_follow_the_convention():
    for name, method in public_methods().items():
        parameters = list(inspect.signature(method).parameters.values())
        positional = [
            p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        expected = {
            'query_text': ['text'], 'query_image': ['image'],
            'query_region': ['coordinates'],
            'query_object': ['object_name'], 'get_images': ['rows'],
        }  # fmt: skip
        assert [p.name for p in positional] == expected.get(name, [])
        # No default can be changed by a call.
        for parameter in parameters:
            assert not isinstance(parameter.default, (list, dict, set))
        assert method.__doc__
    region = inspect.signature(AstroClipSearch.query_region).parameters
    for name in ('radius', 'width', 'height', 'region', 'moc'):
        assert region[name].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize(
    ('method', 'arguments', 'more'),
    [
        ('query_text', ('a galaxy',), {}),
        ('query_image', ('m51.fits',), {}),
        ('query_region', (M51,), {'radius': 1 * u.deg}),
    ],
)
def test_common_keywords(method, arguments, more):
    found = payload(
        method, *arguments, **more, cache=False, verbose=True,
        columns=['id'], limit=3, where={'proposal_id': ['9634']},
        collection='starter',
    )  # fmt: skip
    assert found['columns'] == ['id']
    assert found['limit'] == 3
    assert found['where'] == {'proposal_id': ['9634']}
    assert found['collection'] == 'starter'
    assert found['query'] == method.removeprefix('query_')


def test_payload_of_a_text():
    assert payload('query_text', 'a galaxy') == {
        'query': 'text',
        'collection': 'starter',
        'limit': 20,
        'text': 'a galaxy',
    }


def test_settings_are_read_when_the_query_is_made():
    with conf.set_temp('limit', 7), conf.set_temp('collection', 'mine'):
        found = payload('query_text', 'a galaxy')
    assert (found['limit'], found['collection']) == (7, 'mine')


def test_payload_of_a_cone():
    galactic = M51.galactic
    found = payload('query_region', galactic, radius=90 * u.arcmin)
    assert found['position'] == pytest.approx({'ra': 202.4696, 'dec': 47.1952})
    assert found['radius'] == {'value': pytest.approx(1.5), 'unit': 'deg'}


def test_payload_of_a_box():
    found = payload(
        'query_region', M51, width=2 * u.deg, height=1 * u.deg, text='dust'
    )
    corners = SkyCoord(found['region']['ra'], found['region']['dec'],
                       unit='deg')  # fmt: skip
    x, y = M51.spherical_offsets_to(corners)
    np.testing.assert_allclose(x.deg, [-1, 1, 1, -1], atol=1e-9)
    np.testing.assert_allclose(y.deg, [-0.5, -0.5, 0.5, 0.5], atol=1e-9)
    assert found['text'] == 'dust'
    square = payload('query_region', M51, width=2 * u.deg)
    ra = SkyCoord(square['region']['ra'], square['region']['dec'], unit='deg')
    assert M51.spherical_offsets_to(ra)[1].deg.max() == pytest.approx(1)


def test_payload_of_a_coverage():
    moc = MOC.from_cone(M51.ra, M51.dec, radius=1 * u.deg, max_depth=6)
    found = payload('query_region', moc=moc)
    assert MOC.from_json(found['region']) == moc


def test_payload_of_other_images():
    class Thing:
        """Stands for an HDU or an array."""

    found = payload('query_image', Thing())
    assert found['image'] == '<Thing>'
    found = payload('query_image', M51, size=3 * u.arcmin, survey='HST')
    assert found['image'] == pytest.approx({'ra': 202.4696, 'dec': 47.1952})
    assert found['size'] == {'value': pytest.approx(0.05), 'unit': 'deg'}


def test_name_is_resolved(monkeypatch):
    asked = []

    def from_name(name, **kwargs):
        asked.append((name, kwargs))
        return M51

    monkeypatch.setattr(SkyCoord, 'from_name', from_name)
    found = payload('query_object', 'M 51', radius=1 * u.deg, cache=False)
    assert found['position'] == pytest.approx({'ra': 202.4696, 'dec': 47.1952})
    assert asked == [('M 51', {'cache': False})]


@pytest.mark.parametrize(
    ('method', 'arguments', 'keywords', 'message'),
    [
        ('query_text', (None,), {}, 'text of the query is None'),
        ('query_image', (None,), {}, 'image of the query is None'),
        ('query_text', ('a',), {'image': 'b'}, 'both given'),
        ('query_region', (M51,), {}, 'no extent'),
        ('query_region', (), {}, 'no extent'),
        ('query_text', ('a',), {'coordinates': M51}, 'no extent'),
        ('query_region', (), {'radius': 1 * u.deg}, 'without coordinates'),
        ('query_region', (M51,), {'radius': 1}, 'radius=1 is no angle'),
        ('query_region', (M51,), {'radius': 1 * u.m}, 'is no angle'),
        ('query_region', (M51,), {'radius': 0 * u.deg}, 'above 0'),
        ('query_region', (M51,), {'radius': np.nan * u.deg}, 'above 0'),
        ('query_region', (M51,), {'width': 70 * u.deg}, 'up to 60.0 deg'),
        (
            'query_region',
            (M51,),
            {'radius': 1 * u.deg, 'moc': MOC.new_empty(3)},
            'radius and moc were given',
        ),
        ('query_region', ((10, 20),), {'radius': 1 * u.deg}, 'not a position'),
        ('query_object', (M51,), {'radius': 1 * u.deg}, 'not the name'),
        ('query_object', ('',), {'radius': 1 * u.deg}, 'empty name'),
    ],
)
def test_mistakes_are_errors_of_the_package(
    method, arguments, keywords, message
):
    with pytest.raises(QueryError, match=message) as caught:
        getattr(AstroClipSearch, method)(*arguments, **keywords)
    assert isinstance(caught.value, AstroClipError)
    assert '\n' not in str(caught.value)


def test_unknown_keywords_are_not_swallowed():
    with pytest.raises(TypeError, match='radios'):
        AstroClipSearch.query_text('a', radios=1 * u.deg)


def test_repr():
    assert repr(AstroClipSearch) == '<AstroClipSearchClass>'
