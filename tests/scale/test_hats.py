# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Collections become HATS catalogues and come back."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from astroclip_search import Collection
from astroclip_search.exceptions import CollectionError

pytestmark = pytest.mark.usefixtures('lsdb')


def mask_of(column):
    return np.broadcast_to(getattr(column, 'mask', False), len(column))


def plain(column):
    column = getattr(column, 'value', column)
    return np.asarray(np.ma.getdata(getattr(column, 'unmasked', column)))


def test_round_trip(collection, catalog, tmp_path):
    back = Collection.from_hats(catalog, tmp_path / 'back.astroclip')
    old, new = collection.table(), back.table()
    assert new.colnames == old.colnames
    assert len(new) == len(old) == 4497
    before, after = (np.argsort(t['id'], kind='stable') for t in (old, new))
    for name in old.colnames:
        a, b = old[name][before], new[name][after]
        np.testing.assert_array_equal(mask_of(a), mask_of(b), err_msg=name)
        there = ~mask_of(a)
        np.testing.assert_array_equal(plain(a)[there], plain(b)[there])
        assert a.unit == b.unit
        assert a.info.description == b.info.description
        assert (a.info.meta or {}) == (b.info.meta or {})
    assert mask_of(old['flux']).any()
    np.testing.assert_array_equal(
        collection.vectors()[before], back.vectors()[after]
    )
    assert back.fingerprint == 'sha256:abc'
    assert back.meta == collection.meta
    assert back.dim == collection.dim


def test_name_of_the_collection_beside(catalog):
    back = Collection.from_hats(catalog)
    assert back.path == catalog.with_name('some.astroclip')
    with pytest.raises(CollectionError, match='overwrite=True'):
        Collection.from_hats(catalog)
    shutil.rmtree(back.path)


def test_plain_lsdb_opens_it(collection, catalog, lsdb):
    opened = lsdb.open_catalog(catalog)
    frame = opened.compute()
    assert len(frame) == len(collection)
    assert {*collection.colnames, 'vector'} == {*frame.columns}
    some = frame[frame['id'] == 'r5'].iloc[0]
    known = collection.vectors(['r5'])[0]
    np.testing.assert_array_equal(np.asarray(some['vector'], 'f4'), known)
    cone = opened.cone_search(100.0, 20.0, 10 * 3600).compute()
    table = collection.table()
    from astropy.coordinates import SkyCoord

    place = SkyCoord(
        plain(table['s_ra']) % 360, plain(table['s_dec']), unit='deg'
    )
    near = place.separation(SkyCoord(100, 20, unit='deg')).deg <= 10
    near &= ~mask_of(table['s_ra'])
    assert set(cone['id']) == set(table['id'][near])


def test_partitions_are_bounded_and_in_their_cell(catalog):
    files = sorted(catalog.glob('dataset/**/Npix=*.parquet'))
    assert len(files) > 20
    for file in files:
        order = int(file.parts[-3].removeprefix('Norder='))
        pixel = int(file.stem.removeprefix('Npix='))
        index = pq.read_table(file, partitioning=None)['_healpix_29']
        index = index.to_numpy()
        assert 0 < len(index) <= 200
        assert (index >> 2 * (29 - order) == pixel).all()
        assert (np.diff(index) >= 0).all()


def test_taken_directories_are_left_alone(collection, tmp_path):
    other = tmp_path / 'other'
    other.mkdir()
    (other / 'precious').write_text('x')
    with pytest.raises(CollectionError, match='overwrite=True'):
        collection.to_hats(other)
    with pytest.raises(CollectionError, match='no HATS catalogue'):
        collection.to_hats(other, overwrite=True)
    assert [f.name for f in tmp_path.rglob('*')] == ['other', 'precious']


def test_overwrite(collection, tmp_path):
    path = collection.to_hats(tmp_path / 'c')
    n = len([*path.rglob('*')])
    collection.to_hats(path, overwrite=True)
    assert len([*path.rglob('*')]) == n
    assert [f.name for f in tmp_path.iterdir()] == ['c']


def test_empty_collection(tmp_path):
    empty = Collection.create(tmp_path / 'e', dim=4)
    with pytest.raises(CollectionError, match='no rows'):
        empty.to_hats(tmp_path / 'c')
    with pytest.raises(CollectionError, match='partition_rows=0'):
        empty.to_hats(tmp_path / 'c', partition_rows=0)
    assert not (tmp_path / 'c').exists()


def test_full_disk_leaves_nothing(collection, tmp_path, monkeypatch):
    done = []

    def full(*args, **kwargs):
        done.append(args)
        if len(done) > 2:
            raise OSError(28, 'No space left on device')
        return write(*args, **kwargs)

    write = pq.write_table
    monkeypatch.setattr(pq, 'write_table', full)
    with pytest.raises(CollectionError, match='No space left'):
        collection.to_hats(tmp_path / 'c', partition_rows=500)
    assert len(done) == 3
    assert not [*tmp_path.iterdir()]


def changed(catalog, tmp_path, change):
    path = tmp_path / 'changed.hats'
    shutil.copytree(catalog, path)
    for file in path.glob('dataset/**/Npix=*.parquet'):
        pq.write_table(change(pq.read_table(file, partitioning=None)), file)
    return path


def test_missing_vectors(catalog, tmp_path):
    path = changed(catalog, tmp_path, lambda t: t.drop_columns('vector'))
    with pytest.raises(CollectionError, match="no column 'vector'"):
        Collection.from_hats(path, tmp_path / 'back')
    assert [f.name for f in tmp_path.iterdir()] == ['changed.hats']


def test_missing_values_of_vectors(catalog, tmp_path):
    def change(table):
        kind = table['vector'].type
        none = pa.nulls(1, kind)
        column = pa.chunked_array([none, *table['vector'].slice(1).chunks])
        return table.set_column(
            table.schema.get_field_index('vector'), 'vector', column
        )

    path = changed(catalog, tmp_path, change)
    with pytest.raises(CollectionError, match='does not hold 16 numbers'):
        Collection.from_hats(path, tmp_path / 'back')


def test_ids_twice(catalog, tmp_path):
    path = changed(
        catalog,
        tmp_path,
        lambda t: t.set_column(
            t.schema.get_field_index('id'), 'id', pa.array(['a'] * len(t))
        ),
    )
    with pytest.raises(CollectionError, match='twice'):
        Collection.from_hats(path, tmp_path / 'back')


def test_unreadable_partition(catalog, tmp_path):
    path = tmp_path / 'broken.hats'
    shutil.copytree(catalog, path)
    file = sorted(path.glob('dataset/**/Npix=*.parquet'))[3]
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(CollectionError, match=file.name):
        Collection.from_hats(path, tmp_path / 'back')
    assert [f.name for f in tmp_path.iterdir()] == ['broken.hats']


def test_not_a_catalogue(tmp_path):
    with pytest.raises(CollectionError, match='no HATS catalogue'):
        Collection.from_hats(tmp_path / 'nowhere', tmp_path / 'back')


def test_catalogue_of_somebody_else(lsdb, tmp_path):
    from astropy.table import Table

    other = lsdb.from_astropy(
        Table({'ra': [1.0], 'dec': [2.0]}), ra_column='ra', dec_column='dec'
    )
    other.write_catalog(tmp_path / 'o', as_collection=False)
    with pytest.raises(CollectionError, match='which model'):
        Collection.from_hats(tmp_path / 'o', tmp_path / 'back')
