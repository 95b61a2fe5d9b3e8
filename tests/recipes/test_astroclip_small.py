# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The recipe of the model that ships."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from tests._shared import shared_data

RECIPE = Path(__file__).resolve().parents[2] / 'recipes' / 'astroclip_small'


@pytest.fixture(scope='module')
def recipe():
    """Import the modules of the recipe, which are no package."""
    if not RECIPE.is_dir():
        pytest.skip('the recipes are not beside the tests')
    before = set(sys.modules)
    sys.path.insert(0, str(RECIPE))
    yield importlib.import_module
    sys.path.remove(str(RECIPE))
    for name in set(sys.modules) - before:
        if str(RECIPE) in str(getattr(sys.modules[name], '__file__', '')):
            del sys.modules[name]


def row(**known):
    return {
        'source': 'stellarium',
        'title': 'M 1',
        'caption': 'M 1, a thing',
        'description': 'A picture.',
        **known,
    }


def test_no_group_on_two_sides(recipe):
    pairs = recipe('pairs')
    rows = [row(split_group=f'g{i // 3}', id=str(i)) for i in range(300)] + [
        row(split_group='large', id=f'x{i}') for i in range(50)
    ]
    parts = pairs.divide(rows)
    assert set(parts) == {'train', 'validation', 'test'}
    for group in {r['split_group'] for r in rows}:
        inside = {
            p
            for p, r in zip(parts, rows, strict=True)
            if r['split_group'] == group
        }
        assert len(inside) == 1
        if group == 'large':
            assert inside == {'train'}


def test_real_parts(recipe):
    folder = shared_data('pairs')
    pairs = recipe('pairs')
    rows = pairs.read_pairs(folder)
    assert len(rows) == 3126 - 12  # the copies are left out
    parts = pairs.divide(rows)
    groups = np.array([r['split_group'] for r in rows])
    sides = [set(groups[parts == p]) for p in ('train', 'validation', 'test')]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    assert (parts == 'test').mean() > 0.1
    # The order of the rows must not matter.
    order = np.random.default_rng(0).permutation(len(rows))
    again = pairs.divide([rows[i] for i in order])
    assert (again == parts[order]).all()


@pytest.mark.parametrize(
    ('kind', 'description', 'expected'),
    [
        (
            'barred spiral galaxy',
            '',
            {'spiral galaxy', 'barred spiral galaxy'},
        ),
        ('HII region (emission nebula)', '', {'emission nebula'}),
        ('ISM; H II regions', '', {'emission nebula'}),
        ('Star; Planetary nebulae nuclei', '', set()),
        ('ISM; Planetary nebulae', '', {'planetary nebula'}),
        ('Stellar Cluster; Globular star clusters', '', {'globular cluster'}),
        ('galaxy', 'M77 is a Sb galaxy in Cetus.', {'spiral galaxy'}),
        ('galaxy', 'Hubble type E. More.', {'elliptical galaxy'}),
        ('galaxy', 'IC 335 is a S0 galaxy.', {'lenticular galaxy'}),
        ('ISM; Supernova remnants', '', {'supernova remnant'}),
        ('Star; Supernovae', '', {'supernova'}),
    ],
)
def test_classes(recipe, kind, description, expected):
    found = recipe('texts').classes_of(row(type=kind, description=description))
    broad = {'galaxy', 'nebula', 'star', 'star cluster'}
    assert found - broad == expected


def test_texts_of_an_answer(recipe):
    texts = recipe('texts')
    one = row(
        source='galaxyzoo',
        caption='A disk galaxy seen edge-on; an edge-on galaxy with a boxy '
        'bulge',
        type='galaxy',
        qa=[
            ['Could this be a disk viewed edge-on?', 'Yes'],
            ['Does the galaxy have a bulge? If so, what shape?', 'Boxy'],
        ],
    )
    found = texts.texts_of(one)
    assert 'A disk galaxy seen edge-on' in found
    assert 'An edge-on galaxy with a boxy bulge' in found
    assert 'boxy bulge' in found
    assert not any('face-on' in text for text in found)
    assert one['caption'] not in found
    assert one['caption'] in texts.true_texts(one)


def test_names_of_lens_candidates_are_no_texts(recipe):
    one = row(
        source='spacewarps_cfhtls',
        caption='possible gravitational lens candidate CFHTLS J1-2 in Cetus, '
        'CFHTLS gri colour image',
    )
    assert recipe('texts').caption_parts(one) == [
        'possible gravitational lens candidate',
        'gravitational lens candidate',
        'possible gravitational lens candidate in Cetus',
    ]


def test_keys_match_by_order_and_shape(recipe):
    parents = recipe('parents')
    ours = {'a.weight': np.zeros((2, 3)), 'a.bias': np.zeros(2)}
    theirs = {'x': np.ones((2, 3)), 'y': np.ones(2)}
    matched = parents.match_keys(theirs, ours)
    assert list(matched) == list(ours)
    assert matched['a.weight'] is theirs['x']
    with pytest.raises(SystemExit, match='do not fit'):
        parents.match_keys({'y': np.ones(2), 'x': np.ones((2, 3))}, ours)


def test_altered_views(recipe):
    from PIL import Image

    views = recipe('views')
    picture = Image.fromarray(
        np.random.default_rng(0).integers(255, size=(60, 90, 3), dtype='u1')
    )
    one, same, other = (
        views.altered(picture, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert one.shape == (224, 224, 3)
    assert one.dtype == np.uint8
    assert (one == same).all()
    assert (one != other).any()


def test_shipped_weights_are_finite():
    """A weight that overflows float16 once made all text vectors NaN."""
    from safetensors.numpy import load_file

    from astroclip_search.embedding.bundles import find_bundle

    path = find_bundle('astroclip-small')
    if path is None:
        pytest.skip('the weights are not in this checkout')
    for name, weight in load_file(
        path / 'open_clip_model.safetensors'
    ).items():
        assert np.isfinite(weight).all(), name


def test_shipped_model_names_unseen_objects(recipe):
    from astroclip_search import Embedder
    from astroclip_search.embedding.bundles import find_bundle
    from astroclip_search.training.metrics import zero_shot_accuracy

    folder = shared_data('pairs')
    if find_bundle('astroclip-small') is None:
        pytest.skip('the weights are not in this checkout')
    pairs, texts = recipe('pairs'), recipe('texts')
    rows = pairs.read_pairs(folder)
    names = list(texts.CLASSES)
    chosen, labels = [], []
    for row, part, head in zip(
        rows, pairs.divide(rows), pairs.headline(rows), strict=True
    ):
        found = texts.classes_of(row) & set(names)
        if part == 'test' and head and len(found) == 1:
            chosen.append(folder / row['file'])
            labels.append(names.index(*found))
    embedder = Embedder.from_pretrained('astroclip-small')
    macro, _, _ = zero_shot_accuracy(
        embedder.embed_images(chosen), embedder.embed_text(names), labels
    )
    assert macro.value > 0.8
