# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Embedding on a cluster gives what one machine gives."""

import os
import signal
import time
from collections import Counter
from threading import Thread

import numpy as np
import pytest
from _slow_model import SlowModel
from _tiny import tiny_bundle
from astropy.table import Table
from PIL import Image

from astroclip_search import Collection, Embedder
from astroclip_search.exceptions import CollectionError, ModelError
from astroclip_search.scale import embed_catalog

pytestmark = pytest.mark.usefixtures('lsdb')


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp('model') / 'tiny')


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pictures')
    rng = np.random.default_rng(5)
    for i in range(24):
        small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((90, 70)).save(folder / f'p{i:02d}.png')
    (folder / 'p07.png').write_bytes(b'no picture')
    return folder


def table_of(folder):
    paths = sorted(folder.glob('*.png'))
    return Table(
        {
            'id': [p.stem for p in paths],
            'path': [str(p) for p in paths],
            's_ra': np.arange(24.0),
            's_dec': np.arange(24.0) - 12,
        }
    )


def test_same_vectors_as_one_machine(bundle, pictures, tmp_path, client):
    table = table_of(pictures)
    report = embed_catalog(
        table, tmp_path / 'c', embedder=bundle, partition_rows=5,
        meta={'title': 'x'},
    )  # fmt: skip
    assert (report.added, report.partitions, report.reused) == (23, 5, 0)
    assert list(report.failures['id']) == ['p07']
    assert 'p07.png' in report.failures['access_url'][0]
    made = report.collection
    alone = Collection.create(
        tmp_path / 'alone', embedder=Embedder.from_pretrained(bundle)
    )
    alone.add(table)
    ids = sorted(made.table(['id'])['id'])
    assert ids == sorted(alone.table(['id'])['id'])
    one, other = made.vectors(ids), alone.vectors(ids)
    cosines = (one * other).sum(axis=1)
    cosines /= np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    assert cosines.min() > 0.99999
    assert made.fingerprint == alone.fingerprint
    assert made.rendering == alone.rendering
    assert made.meta == {'title': 'x'}
    assert set(made.colnames) == set(alone.colnames)
    assert made.thumbnail('p03').startswith(b'\xff\xd8')
    left = sorted(f.name for f in tmp_path.iterdir())
    assert left == ['alone', 'c', 'c.failures.ecsv']
    lost = Table.read(tmp_path / 'c.failures.ecsv')
    assert list(lost['id']) == ['p07']


def test_without_a_cluster_and_to_hats(bundle, pictures, tmp_path):
    report = embed_catalog(pictures, tmp_path / 'c', embedder=bundle)
    assert report.added == 23
    with pytest.raises(CollectionError, match='another directory'):
        embed_catalog(pictures, tmp_path / 'c', embedder=bundle)


def test_an_interrupted_run_goes_on(pictures, tmp_path):
    log = tmp_path / 'log'
    names = [tmp_path / f'{i}.png' for i in range(20)]
    for name in names:
        name.touch()

    class Interrupted(SlowModel):
        def iter_images(self, images, **options):
            for n, item in enumerate(super().iter_images(images, **options)):
                if item.source.endswith('13.png') and n:
                    raise KeyboardInterrupt
                yield item

    with pytest.raises(KeyboardInterrupt):
        embed_catalog(
            names, tmp_path / 'c', embedder=Interrupted(log, 0),
            partition_rows=4,
        )  # fmt: skip
    assert not (tmp_path / 'c').exists()
    report = embed_catalog(
        names, tmp_path / 'c', embedder=SlowModel(log, 0), partition_rows=4
    )
    assert (report.added, report.partitions, report.reused) == (20, 5, 3)
    lines = Counter(line.split()[0] for line in log.read_text().splitlines())
    twice = {name for name, n in lines.items() if n > 1}
    assert len(lines) == 20
    assert twice == {'12.png', '13.png'}


def test_other_inputs_are_embedded_again(tmp_path):
    log = tmp_path / 'log'
    names = [tmp_path / f'{i}.png' for i in range(4)]
    for name in names:
        name.touch()
    from astroclip_search.scale import _embed_part

    options = ('sha256:slow', '{}', None)
    file = str(tmp_path / 'part.parquet')
    images = tuple((n.name, str(n), None) for n in names)
    work = _embed_part.Work(file, images, SlowModel(log, 0), *options)
    assert _embed_part.embed_part(work) == 4
    assert _embed_part.embed_part(work) == 0
    other = _embed_part.Work(file, images[::-1], SlowModel(log, 0), *options)
    assert not _embed_part.finished(other)
    wrong = _embed_part.Work(
        file, images[:1], SlowModel(log, 0), 'sha256:other', '{}', None
    )
    with pytest.raises(ModelError, match='same model on all workers'):
        _embed_part.embed_part(wrong)


def test_a_killed_worker(tmp_path, client):
    log = tmp_path / 'log'
    names = [tmp_path / f'{i}.png' for i in range(48)]
    for name in names:
        name.touch()
    client.wait_for_workers(2, timeout=60)

    def kill():
        while not log.exists() or len(log.read_text().splitlines()) < 14:
            time.sleep(0.01)
        os.kill(int(log.read_text().split()[-1]), signal.SIGKILL)

    killer = Thread(target=kill)
    killer.start()
    report = embed_catalog(
        names, tmp_path / 'c', embedder=SlowModel(str(log), 0.05),
        partition_rows=4,
    )  # fmt: skip
    killer.join()
    assert report.added == 48
    lines = [line.split() for line in log.read_text().splitlines()]
    assert len({pid for _, pid in lines}) > 1
    again = Counter(name for name, _ in lines)
    assert len(again) == 48
    # At most the partition that the worker had in hand.
    assert 0 < sum(n - 1 for n in again.values()) <= 4
    wanted = [
        np.random.default_rng(i).normal(size=8).astype(np.float32)
        for i in range(48)
    ]
    ids = [f'{i}.png' for i in range(48)]
    found = report.collection.vectors(ids)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_bad_arguments(tmp_path, pictures):
    model = SlowModel(tmp_path / 'log', 0)
    with pytest.raises(CollectionError, match='partition_rows=0'):
        embed_catalog(
            pictures, tmp_path / 'c', embedder=model, partition_rows=0
        )
    table = table_of(pictures)
    with pytest.raises(CollectionError, match='twice'):
        embed_catalog(
            table, tmp_path / 'c', embedder=model, ids=['a'] * len(table)
        )
    assert not [*tmp_path.iterdir()]
