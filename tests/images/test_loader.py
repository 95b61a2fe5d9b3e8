# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The loader: order, isolation, laziness, and a clean end."""

import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from astroclip_search.exceptions import ImageError
from astroclip_search.images import Rendering, SkyImage, load, render
from astroclip_search.images import _loader as loader

RECIPE = Rendering(size=16)


def threads():
    return [t for t in threading.enumerate() if 'astroclip' in t.name]


def test_order_and_isolation(tmp_path):
    sources = []
    for n in range(60):
        path = tmp_path / f'{n}.png'
        Image.new('RGB', (20, 20), (n, 0, 0)).save(path)
        sources.append(path)
    sources[7] = tmp_path / 'missing.fits'
    sources[20] = object()
    sources[33].write_bytes(b'\x89PNG\r\n\x1a\n broken')
    items = list(load(sources, rendering=RECIPE, workers=3))
    assert [item.index for item in items] == list(range(60))
    assert [item.source for item in items] == sources
    for n, item in enumerate(items):
        if n in (7, 20, 33):
            assert isinstance(item.error, ImageError)
            assert item.pixels is None
        else:
            assert item.error is None
            assert (item.pixels == (n, 0, 0)).all()
    assert not threads()


def test_same_as_render_with_facts_and_thumbnail():
    data = np.random.default_rng(0).normal(0, 1, (50, 100))
    image = SkyImage(data, meta={'header': {'OBJECT': 'M 31'}})
    (item,) = load([image], rendering=RECIPE, thumbnail=8)
    np.testing.assert_array_equal(item.pixels, render(data, size=16))
    assert item.facts == {'target_name': 'M 31'}
    with Image.open(io.BytesIO(item.thumbnail)) as picture:
        assert picture.format == 'JPEG'
        assert picture.size == (8, 4)  # without the bars above and below


def test_draws_only_a_little_ahead():
    drawn = []

    def sources():
        for n in range(1000):
            drawn.append(n)
            yield np.eye(8)

    items = load(sources(), rendering=RECIPE, workers=2, prefetch=4)
    next(items)
    assert len(drawn) <= 6
    items.close()
    assert len(drawn) <= 6
    assert not threads()


def test_readers_run_at_once(monkeypatch):
    together = threading.Barrier(2, timeout=10)

    def slow(source):
        together.wait()
        return SkyImage(np.eye(8))

    monkeypatch.setattr(loader, 'read_image', slow)
    items = list(load(range(4), rendering=RECIPE, workers=2))
    assert all(item.error is None for item in items)


def test_even_a_fault_of_ours_stops_nothing(monkeypatch):
    def faulty(source):
        if source == 1:
            raise ZeroDivisionError
        return SkyImage(np.eye(8))

    monkeypatch.setattr(loader, 'read_image', faulty)
    items = list(load(range(3), rendering=RECIPE))
    assert [item.error is None for item in items] == [True, False, True]
    assert 'item 1 failed (ZeroDivisionError' in str(items[1].error)


def test_interrupt_stops_the_threads(monkeypatch):
    begun = []

    def slow(source):
        begun.append(source)
        time.sleep(0.02)
        return SkyImage(np.eye(8))

    monkeypatch.setattr(loader, 'read_image', slow)

    def use():
        for item in load(range(500), rendering=RECIPE, workers=2):
            if item.index == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()
    assert not threads()
    assert len(begun) < 50


def test_a_fault_of_a_source_is_not_hidden():
    def sources():
        yield np.eye(8)
        raise ZeroDivisionError

    items = load(sources(), rendering=RECIPE, prefetch=1)
    with pytest.raises(ZeroDivisionError):
        list(items)
    assert not threads()


@pytest.mark.parametrize('settings', [{'workers': -1}, {'prefetch': 0}])
def test_settings(settings):
    with pytest.raises(ImageError, match='workers='):
        list(load([], rendering=RECIPE, **settings))
