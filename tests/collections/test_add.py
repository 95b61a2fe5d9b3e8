# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Images become rows, and only those that are new are embedded."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS
from PIL import Image

from astroclip_search import Collection
from astroclip_search.collections import _embed
from astroclip_search.exceptions import CollectionError
from astroclip_search.images import Rendering, load


class FakeEmbedder:
    """Mean colours in place of a model; counts what it is given."""

    name = 'fake'
    dim = 3
    fingerprint = 'sha256:fake'
    rendering = Rendering(size=32)

    def __init__(self):
        self.seen = []
        self.stop_after = None

    def iter_images(self, images, *, thumbnail=None):
        for item in load(
            images, rendering=self.rendering, workers=1, thumbnail=thumbnail
        ):
            if len(self.seen) == self.stop_after:
                raise KeyboardInterrupt
            self.seen.append(item.source)
            vector = None
            if item.error is None:
                vector = item.pixels.mean((0, 1)) + 1
                vector = vector / np.linalg.norm(vector)
            yield SimpleNamespace(
                index=item.index,
                source=item.source,
                vector=vector,
                facts=item.facts,
                thumbnail=item.thumbnail,
                error=item.error,
            )


def picture(path, color):
    rng = np.random.default_rng(sum(color))
    data = np.full((40, 40, 3), color, np.uint8)
    data += rng.integers(0, 9, data.shape, np.uint8)
    Image.fromarray(data).save(path)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / 'pictures'
    (folder / 'sub').mkdir(parents=True)
    for k in range(4):
        picture(folder / f'{k}.png', (50 * k, 20, 100))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = 'RA---TAN', 'DEC--TAN'
    wcs.wcs.crval, wcs.wcs.crpix = (150, 2), (50.5, 40.5)
    wcs.wcs.cdelt = -1e-3, 1e-3
    header = wcs.to_header()
    header['INSTRUME'] = 'NIRCAM'
    data = np.random.default_rng(0).normal(size=(80, 100)).astype('f4')
    fits.PrimaryHDU(data, header).writeto(folder / 'sub' / 'field.fits')
    (folder / 'bad.jpg').write_bytes(b'no picture')
    (folder / 'notes.txt').write_text('no picture either')
    (folder / '.hidden.png').write_bytes(b'')
    return folder


@pytest.fixture
def made(tmp_path):
    return Collection.create(tmp_path / 'c', embedder=FakeEmbedder())


def test_directory_becomes_rows(made, folder):
    report = made.add(folder)
    assert (report.added, report.unchanged) == (5, 0)
    assert list(report.failures['id']) == ['bad.jpg']
    assert 'bad.jpg' in report.failures['reason'][0]
    table = made.table()
    table.add_index('id')
    assert set(table['id']) == {
        '0.png',
        '1.png',
        '2.png',
        '3.png',
        'sub/field.fits',
    }
    field = table.loc['sub/field.fits']
    assert np.isclose(field['s_ra'].to_value(u.deg), 150, atol=2e-3)
    assert field['instrument_name'] == 'NIRCAM'
    assert field['access_url'] == (folder / 'sub/field.fits').as_uri()
    assert table['s_ra'].mask.sum() == 4
    assert Image.open(
        __import__('io').BytesIO(made.thumbnail('1.png'))
    ).size == (32, 32)
    vectors = made.vectors(['0.png', '3.png'])
    assert vectors[0, 0] < 0.1 < vectors[1, 0]


def test_only_new_and_changed_files_are_embedded(made, folder):
    made.add(folder)
    made._embedder.seen.clear()
    report = made.add(folder)
    assert (report.added, report.unchanged) == (0, 5)
    assert len(made._embedder.seen) == 1  # the bad one, tried again
    picture(folder / '1.png', (200, 0, 0))
    picture(folder / 'new.png', (0, 200, 0))
    report = made.add(folder)
    assert (report.added, report.unchanged) == (2, 4)
    assert len(made) == 6
    assert made.vectors(['1.png'])[0, 0] > 0.9
    assert made.verify()['rows'] == 6


def test_interrupted_run_goes_on_where_it_was(made, folder, monkeypatch):
    monkeypatch.setattr(_embed, '_COMMIT_ROWS', 2)
    made._embedder.stop_after = 3
    with pytest.raises(KeyboardInterrupt):
        made.add(folder)
    assert len(Collection.open(made.path)) == 3
    made._embedder.stop_after = None
    made._embedder.seen.clear()
    report = made.add(folder)
    assert (report.added, report.unchanged) == (2, 3)
    assert len(made._embedder.seen) == 3
    assert made.verify()['rows'] == 5


def test_tiles_are_rows(made, folder, monkeypatch):
    monkeypatch.setattr(_embed, '_COMMIT_ROWS', 1)
    report = made.add(folder / 'sub', tiles=40)
    assert report.added == 6  # 3 x 2 tiles of 100 x 80 pixels
    table = made.table(['id', 's_ra', 's_dec'])
    assert 'field.fits#0,0' in table['id']
    assert len({round(v, 6) for v in table['s_ra'].value}) > 1
    report = made.add(folder / 'sub', tiles=40)
    assert (report.added, report.unchanged) == (0, 1)


def test_half_a_mosaic_is_not_kept(made, folder, monkeypatch):
    """A file counts as done only with all its tiles."""
    monkeypatch.setattr(_embed, '_COMMIT_ROWS', 1)
    made._embedder.stop_after = 3
    with pytest.raises(KeyboardInterrupt):
        made.add(folder / 'sub', tiles=40)
    assert len(Collection.open(made.path)) == 0
    made._embedder.stop_after = None
    assert made.add(folder / 'sub', tiles=40).added == 6


def test_table_with_paths(made, folder):
    table = QTable(
        {
            'id': ['a', 'b', 'c', 'd'],
            'path': [
                str(folder / '0.png'),
                (folder / '1.png').as_uri(),
                'https://example.org/x.jpg',
                str(folder / 'absent.png'),
            ],
            'access_url': [f'https://example.org/{k}' for k in range(4)],
            's_ra': [1, 2, 3, 4] * u.deg,
            's_dec': [1, 2, 3, 4] * u.deg,
            'note': ['w', 'x', 'y', 'z'],
        }
    )
    report = made.add(table)
    assert report.added == 2
    assert list(report.failures['id']) == ['c', 'd']
    assert 'not on this machine' in report.failures['reason'][0]
    stored = made.table()
    stored.sort('id')
    assert list(stored['note']) == ['w', 'x']
    assert stored['access_url'][1] == 'https://example.org/1'
    assert 'path' not in stored.colnames
    assert made.add(table).unchanged == 2


def test_equal_names_of_different_folders(made, folder, tmp_path):
    other = tmp_path / 'other'
    other.mkdir()
    picture(other / '0.png', (9, 9, 9))
    made.add(folder)
    assert made.add(other).added == 1
    assert str((other / '0.png').resolve()) in made.table('id')['id']
    assert made.add(other).unchanged == 1


def test_images_in_memory_need_ids_of_their_own(made):
    rng = np.random.default_rng(0)
    images = [rng.normal(size=(40, 40)) for _ in range(2)]
    assert made.add(images, ids=['x', 'y'], thumbnails=None).added == 2
    assert made.thumbnail('x') is None
    report = made.add(images, ids=['y', 'z'])
    assert report.added == 1
    assert list(report.failures['id']) == ['y']
    with pytest.raises(CollectionError, match='3 ids for 2'):
        made.add(images, ids=['1', '2', '3'])


def test_thumbnails_survive_updates_and_compaction(made, folder):
    made.add(folder)
    before = {i: made.thumbnail(i) for i in made.table('id')['id']}
    made.update(QTable({'id': ['1.png'], 'note': ['x']}))
    made.remove('0.png')
    made.compact()
    for name in made.table('id')['id']:
        assert made.thumbnail(name) == before[name]
    assert made.add(folder).unchanged == 4  # and knows the files
    result = made.search(made.vectors(['1.png'])[0], limit=2)
    assert result.thumbnails[0] == before['1.png']


def test_nothing_to_add(made, tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(CollectionError, match='no images'):
        made.add(tmp_path / 'empty')
    report = made.add([tmp_path / 'absent.fits'])
    assert 'cannot be read' in report.failures['reason'][0]
    with pytest.raises(CollectionError, match='neither vectors'):
        made.add(QTable({'id': ['a']}))
    with pytest.raises(CollectionError, match='tiles'):
        made.add(tmp_path, tiles=2.5)


def test_another_model_is_refused(made, folder):
    other = FakeEmbedder()
    other.fingerprint = 'sha256:other'
    with pytest.raises(CollectionError, match='not by fake'):
        Collection.open(made.path, embedder=other)
    other = FakeEmbedder()
    other.rendering = Rendering(size=32, fit='crop')
    with pytest.raises(CollectionError, match='rendered'):
        Collection.open(made.path, embedder=other)
    assert made.rendering == FakeEmbedder.rendering


def test_files_are_told_apart_by_time(made, folder):
    made.add(folder)
    stat = (folder / '2.png').stat()
    os.utime(folder / '2.png', ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert made.add(folder).added == 1
