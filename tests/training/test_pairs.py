# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Sets of pairs: what goes in, what is left out, where it lies."""

import json
from collections import Counter

import numpy as np
import pytest
from _sets import write_rows
from _shared import read_jsonl, shared_data
from astropy.table import Table
from PIL import Image

from astroclip_search.exceptions import AstroClipWarning, TrainingError
from astroclip_search.training import Pairs, TrainingConfig, build_pairs


@pytest.fixture(scope='module')
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp('source')
    made = write_rows(folder)
    for row in made:
        row['image'] = str(folder / row['image'])
    return made


CONFIG = TrainingConfig(validation=0.2, test=0.15)


def test_rows_come_back(rows, tmp_path):
    pairs = build_pairs(rows, tmp_path / 'p', config=CONFIG)
    assert len(pairs) == 48
    pair = pairs[5]
    assert pair['id'] == rows[5]['id']
    assert pair['captions'] == [
        {'kind': 'title', 'text': rows[5]['title']},
        {'kind': 'caption', 'text': rows[5]['caption']},
    ]
    with (
        Image.open(pairs.image(pair)) as ours,
        Image.open(rows[5]['image']) as theirs,
    ):
        assert np.array_equal(np.asarray(ours), np.asarray(theirs))
    parts = Counter(p['part'] for p in (pairs[i] for i in range(48)))
    assert parts == pairs.info['parts']
    for name in ('train', 'validation', 'test'):
        assert all(pairs[r]['part'] == name for r in pairs.part(name))


def test_split_keeps_proposals_together(rows, tmp_path):
    pairs = build_pairs(rows, tmp_path / 'p', config=CONFIG)
    parts = {}
    for i in range(48):
        parts.setdefault(pairs[i]['proposal_id'], set()).add(pairs[i]['part'])
    assert all(len(found) == 1 for found in parts.values())


def test_same_seed_same_split_in_any_order(rows, tmp_path):
    one = build_pairs(rows, tmp_path / 'a', config=CONFIG)
    two = build_pairs(rows[::-1], tmp_path / 'b', config=CONFIG)
    assert {one[i]['id']: one[i]['part'] for i in range(48)} == {
        two[i]['id']: two[i]['part'] for i in range(48)
    }


def test_abstracts_are_joined_with_their_category(rows, tmp_path):
    abstracts = Table(
        {
            'proposal_id': [100, 101],
            'category': ['HOT STARS', ''],
            'abstract': ['We look.', 'We see.'],
            'summary': ['stars; light', ''],
        }
    )
    pairs = build_pairs(
        rows,
        tmp_path / 'p',
        abstracts=abstracts,
        captions=('abstract', 'summary', 'title'),
        config=CONFIG,
    )
    texts = {c['kind']: c['text'] for c in pairs[0]['captions']}
    assert texts['abstract'] == 'Category: HOT STARS. We look.'
    assert texts['summary'] == 'stars; light'
    assert pairs[1]['captions'][0] == {'kind': 'abstract', 'text': 'We see.'}
    # All images of an abstract are images of one caption.
    assert pairs.captions[0] == pairs.captions[2]
    assert pairs.captions[0] != pairs.captions[1]


def test_padding_as_in_the_paper(tmp_path):
    data = np.full((40, 100, 3), 200, dtype=np.uint8)
    rows = []
    for i in range(20):
        Image.fromarray(data).save(tmp_path / f'{i}.png')
        rows.append({'id': f'a/{i}', 'image': f'{i}.png', 'title': f't{i}'})
    config = TrainingConfig(padded=512)
    pairs = build_pairs(rows, tmp_path / 'p', root=tmp_path, config=config)
    with Image.open(pairs.image(pairs[3])) as image:
        found = np.asarray(image).astype(int)
    assert found.shape == (512, 512, 3)
    # 512 / 100 * 40 = 205 rows in the middle
    bright = np.flatnonzero(found[:, 256, 0] > 100)
    assert len(bright) in (204, 205, 206)
    assert abs(bright.mean() - 255.5) <= 1


def test_what_is_left_out_is_reported(rows, tmp_path):
    good = rows[:40]
    jpeg = tmp_path / 'cut.jpg'
    with Image.open(rows[41]['image']) as image:
        image.save(jpeg, quality=95)
    jpeg.write_bytes(jpeg.read_bytes()[:1500])
    bad = [
        {**rows[40], 'image': str(tmp_path / 'missing.jpg')},
        {**rows[41], 'image': str(jpeg)},
        {**rows[42], 'caption': '', 'title': ' '},
        {k: v for k, v in rows[43].items() if k != 'image'},
    ]
    with pytest.warns(AstroClipWarning, match='4 rows were left out'):
        pairs = build_pairs([*good, *bad], tmp_path / 'p', config=CONFIG)
    assert len(pairs) == 40
    lines = (tmp_path / 'p' / 'skipped.jsonl').read_text().splitlines()
    reasons = {r['id']: r['reason'] for r in map(json.loads, lines)}
    assert reasons[rows[42]['id']] == 'no caption'
    assert reasons[rows[43]['id']] == 'no image'
    assert 'missing.jpg' in reasons[rows[40]['id']]
    assert 'cut.jpg' in reasons[rows[41]['id']]


def test_errors(rows, tmp_path):
    with pytest.raises(TrainingError, match='occurs twice'):
        build_pairs([rows[0], rows[0]], tmp_path / 'a')
    with pytest.raises(TrainingError, match='No pair is left of 1 rows'):
        build_pairs([{'title': 'x'}], tmp_path / 'b')
    with pytest.raises(
        TrainingError, match=r'(test|validation) part is empty'
    ):
        build_pairs(rows[:1], tmp_path / 'c')
    with pytest.raises(TrainingError, match='no set of pairs'):
        Pairs(tmp_path / 'c')
    with pytest.raises(TrainingError, match='There is no file'):
        build_pairs(tmp_path / 'no.jsonl', tmp_path / 'd')


def test_an_existing_set_is_not_overwritten_by_chance(rows, tmp_path):
    build_pairs(rows, tmp_path / 'p', config=CONFIG)
    with pytest.raises(TrainingError, match='overwrite=True'):
        build_pairs(rows, tmp_path / 'p', config=CONFIG)
    build_pairs(rows[:30], tmp_path / 'p', config=CONFIG, overwrite=True)
    assert len(Pairs(tmp_path / 'p')) == 30


def test_altered_manifest_is_noticed(rows, tmp_path):
    build_pairs(rows, tmp_path / 'p', config=CONFIG)
    with (tmp_path / 'p' / 'pairs.jsonl').open('a') as file:
        file.write('{}\n')
    with pytest.raises(TrainingError, match='altered'):
        Pairs(tmp_path / 'p')


def test_real_pairs(tmp_path):
    file = shared_data('pairs', 'pairs.jsonl')
    rows = read_jsonl(file)[::12]
    pairs = build_pairs(rows, tmp_path / 'p', root=file.parent)
    assert len(pairs) == len(rows)
    assert pairs.image(pairs[100]).is_file()
    held = {pairs[r]['id'] for r in pairs.part('validation')}
    group = {row['id']: row['split_group'] for row in rows}
    assert not {group[i] for i in held} & {
        group[pairs[r]['id']] for r in pairs.part('train')
    }
