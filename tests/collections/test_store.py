# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Rows come and go whole, and damage is named."""

import json
import os

import numpy as np
import pytest
from _make import DIM, make_collection, make_rows
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time

from astroclip_search import Collection
from astroclip_search.collections import _write
from astroclip_search.config import conf
from astroclip_search.exceptions import AstroClipWarning, CollectionError


def same(collection, *sizes):
    """Whether it holds the rows of make_collection, and nothing else."""
    collection = Collection.open(collection.path)
    start = 0
    for seed, n in enumerate(sizes):
        table, vectors = make_rows(n, seed=seed, start=start)
        ids = [f'row-{i}' for i in range(start, start + n)]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        assert np.allclose(collection.vectors(ids), vectors, atol=5e-4)
        stored = collection.table()
        stored.add_index('id')
        for name in table.colnames:
            mine = stored.loc[ids][name]
            mask = getattr(table[name], 'mask', np.zeros(n, bool))
            assert np.array_equal(getattr(mine, 'mask', mask), mask)
            assert np.array_equal(
                np.asarray(mine)[~mask], np.asarray(table[name])[~mask]
            )
        start += n
    assert len(collection) == start
    assert collection.verify()['rows'] == start
    return True


def file_names(collection):
    return {path.name for path in (collection.path / 'segments').iterdir()}


def test_rows_are_what_was_added(small):
    assert same(small, 60, 40)
    table = small.table()
    assert table['s_ra'].unit == u.deg
    assert table['t_exptime'].unit == u.s
    assert table['s_ra'].info.meta['ucd'] == 'pos.eq.ra'


def test_vectors_are_in_the_order_of_the_table(small):
    ids = list(small.table('id')['id'])
    assert np.array_equal(small.vectors(), small.vectors(ids))


def test_repr_is_one_line(small):
    assert repr(small) == (
        "<Collection 'small': 100 rows, 32 dimensions, unknown model>"
    )
    assert small.table()['id'][0] in small._repr_html_()


def test_compact_changes_nothing_but_the_files(small):
    small.remove(['row-1', 'row-70'])
    small.add(make_rows(2, start=200)[0], vectors=np.ones((2, DIM)))
    before = small.table()
    vectors = small.vectors(list(before['id']))
    small.compact()
    assert small.info()['segments'] == 1
    assert small.verify()['rows'] == 100
    after = small.table()
    assert set(after['id']) == set(before['id'])
    assert np.array_equal(small.vectors(list(before['id'])), vectors)
    before.sort('id')
    after.sort('id')
    for name in before.colnames:
        mask = np.asarray(getattr(before[name], 'mask', [False] * 100))
        assert np.array_equal(
            np.asarray(getattr(after[name], 'mask', [False] * 100)), mask
        )
        assert np.array_equal(
            np.asarray(before[name])[~mask], np.asarray(after[name])[~mask]
        )


def test_rows_are_in_the_order_of_the_sky(sky):
    for segment in sky._snapshot.segments:
        assert (np.diff(segment.hpx) >= 0).all()
    assert sky.coverage(order=2).sky_fraction == 1


def test_update_changes_columns_and_keeps_the_rest(small):
    vectors = small.vectors(['row-3', 'row-70', 'row-4'])
    table = QTable(
        {
            'id': ['row-3', 'row-70'],
            'instrument_name': ['new', 'newer'],
            's_ra': [1.0, 2.0] * u.deg,
            's_dec': [60, 120] * u.arcmin,
            'comment': ['a', 'b'],
        }
    )
    small.update(table)
    assert len(small) == 100
    assert np.array_equal(small.vectors(['row-3', 'row-70', 'row-4']), vectors)
    near = small.select(position=SkyCoord(1, 1, unit='deg'), limit=2)
    assert list(near['id']) == ['row-3', 'row-70']
    assert near['separation'][0] < 1e-6 * u.deg
    assert list(near['comment']) == ['a', 'b']
    assert list(near['number']) == [3, 70]
    stored = small.table(['id', 'comment'])
    assert stored['comment'].mask.sum() == 98
    with pytest.raises(CollectionError, match="'row-999'"):
        small.update(QTable({'id': ['row-999'], 'number': [1]}))


def test_columns_of_other_types(tmp_path):
    made = Collection.create(tmp_path / 'c', dim=3)
    table = QTable(
        {
            'id': ['a', 'b'],
            'place': SkyCoord([10, 20] * u.deg, [1, 2] * u.deg),
            't_min': Time([51544, 51545], format='mjd'),
            's_fov': [1, 2] * u.arcmin,
            'flux': [1, 2] * u.mJy,
            'good': MaskedColumn([True, False], mask=[False, True]),
            'proposal_id': [1234, 5678],
            'words': np.array(['x', None], object),
        }
    )
    made.add(table, vectors=np.eye(3)[:2])
    stored = Collection.open(made.path).table()
    stored.sort('id')
    assert np.allclose(stored['s_dec'].value, [1, 2])
    assert np.allclose(stored['t_min'].value, [51544, 51545])
    assert np.allclose(stored['s_fov'].value, [1 / 60, 2 / 60])
    assert stored['flux'].unit == u.mJy
    assert list(stored['good'].mask) == [False, True]
    assert list(stored['proposal_id']) == ['1234', '5678']
    assert list(stored['words'].mask) == [False, True]


def bad_rows():
    good, vectors = make_rows(5, start=500)

    def change(**columns):
        table = good.copy()
        for name, value in columns.items():
            table[name] = value
        return table

    twice = change(id=['a', 'b', 'c', 'a', 'd'])
    return {
        'equal ids': (twice, vectors, "'a' is there twice"),
        'id in collection': (
            change(id=['a', 'b', 'c', 'd', 'row-7']),
            vectors,
            "'row-7' is in the collection",
        ),
        'nan': (good, np.where(np.eye(5, DIM), np.nan, 1), 'row 0 is not fin'),
        'zero': (good, np.eye(5, DIM) * 0, 'zero'),
        'dimension': (good, np.ones((5, 7)), r'\(5, 7\)'),
        'fewer': (good, np.ones((4, DIM)), '4 vectors for 5 rows'),
        'ra': (change(s_ra=[1, 2, 360.5, 4, 5]), vectors, 'row 2 is 360.5'),
        'dec': (change(s_dec=[1, 2, 3, -90.1, 5]), vectors, 'row 3 is -90.1'),
        'kind': (change(number=list('abcde')), vectors, "'number' holds"),
        'unit': (change(s_fov=[1] * 5 * u.m), vectors, 'not convertible'),
        'shape': (change(m=np.ones((5, 2))), vectors, '2 dimensions'),
        'name': (change(_x=[1] * 5), vectors, 'underscore'),
        'no id': (good['s_ra', 's_dec'], vectors, 'no ids'),
        'no table': ([1, 2], vectors, 'Table'),
    }


@pytest.mark.parametrize('case', list(bad_rows()))
def test_bad_rows_change_nothing(small, case):
    table, vectors, match = bad_rows()[case]
    generation = small.info()['generation']
    files = file_names(small)
    with pytest.raises(CollectionError, match=match):
        small.add(table, vectors=vectors)
    assert small.info()['generation'] == generation
    assert file_names(small) == files
    assert same(small, 60, 40)


def test_unknown_ids_are_named(small):
    for call in (small.vectors, small.remove, small.thumbnail):
        with pytest.raises(CollectionError, match="'row-999'"):
            call(['row-3', 'row-999'])
    assert same(small, 60, 40)


def test_create_refuses_what_is_there(small, tmp_path):
    with pytest.raises(CollectionError, match='overwrite=True'):
        Collection.create(small.path, dim=3)
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'file').touch()
    with pytest.raises(CollectionError, match='taken'):
        Collection.create(tmp_path / 'other', dim=3)
    with pytest.raises(CollectionError, match='embedder'):
        Collection.create(tmp_path / 'new')
    assert not (tmp_path / 'new').exists()
    made = Collection.create(small.path, dim=3, overwrite=True)
    assert (len(made), made.dim) == (0, 3)


def test_open_by_name(small, monkeypatch, tmp_path):
    with conf.set_temp('collection_path', str(small.path.parent)):
        assert Collection.open('small').name == 'small'
    monkeypatch.chdir(tmp_path / '..')
    with pytest.raises(CollectionError, match="no collection 'small'"):
        Collection.open('small')
    (tmp_path / 'folder').mkdir()
    with pytest.raises(CollectionError, match='is no collection'):
        Collection.open(tmp_path / 'folder')


@pytest.mark.parametrize('damage', ['cut', 'words', 'digit'])
def test_damaged_manifest_is_named_and_can_be_replaced(small, damage):
    path = small.path / 'manifest.json'
    data = path.read_bytes()
    path.write_bytes(
        {
            'cut': data[: len(data) // 2],
            'words': b'hello',
            'digit': data.replace(b'"rows": 60', b'"rows": 61'),
        }[damage]
    )
    with pytest.raises(CollectionError, match=r'manifest\.json.*damaged'):
        Collection.open(small.path)
    previous = small.path / 'manifest.previous.json'
    path.write_bytes(previous.read_bytes())
    assert same(small, 60)


def test_later_formats_are_refused(small):
    path = small.path / 'manifest.json'
    data = json.loads(path.read_bytes())
    data['version'] = 99
    path.write_text(json.dumps(data))
    with pytest.raises(CollectionError, match='version 99'):
        Collection.open(small.path)


def segment_file(collection, k=0):
    return (
        collection.path
        / 'segments'
        / collection._snapshot.manifest.segments[k].file
    )


@pytest.mark.parametrize('damage', ['truncated', 'missing', 'swapped bytes'])
def test_damaged_segment_is_named_and_others_stay(small, damage):
    path = segment_file(small)
    data = bytearray(path.read_bytes())
    if damage == 'missing':
        path.unlink()
    elif damage == 'truncated':
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    if damage != 'swapped bytes':
        with pytest.warns(AstroClipWarning, match=path.name):
            some = Collection.open(small.path)
        assert len(some) == 40
        assert some.search(np.ones(DIM), limit=1)['number'][0] >= 60
        with pytest.raises(CollectionError, match='drop_damaged'):
            some.compact()
    with pytest.raises(CollectionError, match=path.name):
        small.verify()


def test_damaged_rows_can_be_given_up(small):
    segment_file(small).write_bytes(b'')
    with pytest.warns(AstroClipWarning, match='damaged'):
        some = Collection.open(small.path)
    some.compact(drop_damaged=True)
    assert Collection.open(small.path).verify()['rows'] == 40


def test_wrong_footer_is_no_traceback(small):
    path = segment_file(small)
    path.write_bytes(b'\0' * path.stat().st_size)
    with pytest.warns(AstroClipWarning, match='damaged'):
        assert len(Collection.open(small.path)) == 40


def test_one_writer_at_a_time(small):
    from astroclip_search.collections._change import writing

    other = Collection.open(small.path)
    with writing(small), pytest.raises(CollectionError, match='being written'):
        other.remove('row-1')
    other.remove('row-1')
    assert len(other) == 99
    assert len(small) == 100  # until it looks again
    assert small.refresh()
    assert not small.refresh()
    assert len(small) == 99


def test_changes_build_on_those_of_others(small):
    other = Collection.open(small.path)
    other.remove('row-1')
    small.add(make_rows(3, start=300)[0], vectors=np.ones((3, DIM)))
    assert len(small) == 102


def test_old_readers_keep_their_rows(small):
    reader = Collection.open(small.path)
    before = reader.vectors()
    small.remove([f'row-{i}' for i in range(50)])
    small.compact()
    small.remove([f'row-{i}' for i in range(50, 90)])
    small.compact()
    assert np.array_equal(reader.vectors(), before)
    assert len(reader.search(np.ones(DIM), limit=100)) == 100
    assert len(Collection.open(small.path)) == 10
    assert len(file_names(small)) <= 4


@pytest.mark.parametrize('after', range(8))
def test_full_disk_keeps_what_was_there(small, monkeypatch, after):
    """The disk is full after so many writes, wherever that is."""
    written = []

    def write(self, data, *, old=_write.HashingFile.write):
        written.append(len(data))
        if len(written) > after:
            raise OSError(28, 'No space left on device')
        return old(self, data)

    table, vectors = make_rows(20, start=100)
    with monkeypatch.context() as patch:
        patch.setattr(_write.HashingFile, 'write', write)
        with pytest.raises(CollectionError, match='No space left'):
            small.add(table, vectors=vectors)
    assert same(small, 60, 40)
    named = small._snapshot.manifest.files
    assert file_names(small) == named
    small.add(table, vectors=vectors)
    assert len(Collection.open(small.path)) == 120


def test_read_only_collections_can_be_read(small):
    if os.geteuid() == 0:
        pytest.skip('root may write everywhere')
    small.path.chmod(0o555)
    try:
        assert len(Collection.open(small.path)) == 100
    finally:
        small.path.chmod(0o755)


def test_empty_collection_answers(tmp_path):
    made = Collection.create(tmp_path / 'c', dim=DIM)
    assert len(made.search(np.ones(DIM))) == 0
    assert len(made.table()) == 0
    assert made.vectors().shape == (0, DIM)
    made.add(Table({'id': []}, dtype=[str]), vectors=np.empty((0, DIM)))
    assert made.verify() == {'segments': 0, 'rows': 0, 'bytes': 0}


def test_rows_may_be_examples(sky):
    example = sky.vectors(['row-5', 'row-6']).sum(0)
    assert {'row-5', 'row-6'} == set(sky.search(example, limit=2)['id'])


@pytest.mark.parametrize('suffix', ['parquet', 'npz', 'fits', 'ecsv', 'vot'])
def test_files_of_other_formats(small, tmp_path, suffix):
    file = tmp_path / f'rows.{suffix}'
    small.to_file(file)
    other = Collection.from_file(file, tmp_path / 'other')
    assert same(other, 60, 40)
    if suffix != 'vot':
        assert other.fingerprint == 'sha256:test'
    with pytest.raises(CollectionError, match='overwrite'):
        small.to_file(file)


def test_files_without_vectors(small, tmp_path):
    small.to_parquet(tmp_path / 'rows.parquet', vectors=False)
    with pytest.raises(CollectionError, match='no vectors'):
        Collection.from_parquet(tmp_path / 'rows.parquet', tmp_path / 'x')
    assert not (tmp_path / 'x').exists()
    made = Collection.from_parquet(
        tmp_path / 'rows.parquet', tmp_path / 'x', vectors=small.vectors()
    )
    assert len(made) == 100


@pytest.mark.parametrize('suffix', ['parquet', 'npz', 'fits', 'ecsv', 'txt'])
def test_bad_files_are_named(tmp_path, suffix):
    file = tmp_path / f'bad.{suffix}'
    file.write_bytes(b'nonsense')
    with pytest.raises(CollectionError, match='bad'):
        Collection.from_file(file, tmp_path / 'x')
    assert not (tmp_path / 'x').exists()


def test_model_of_a_collection(tmp_path):
    made = make_collection(tmp_path / 'c', 5)
    assert made.fingerprint == 'sha256:test'
    assert made.rendering is None
    with pytest.raises(CollectionError, match='no model'):
        made.add(['picture.jpg'])
