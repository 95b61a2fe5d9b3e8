# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Rendering: orientation, averages, masks, limits, and the recipe."""

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.visualization import (
    AsinhStretch,
    AsymmetricPercentileInterval,
    CompositeStretch,
    HistEqStretch,
    LinearStretch,
    LogStretch,
    ManualInterval,
    MinMaxInterval,
    PercentileInterval,
    PowerStretch,
    SqrtStretch,
    ZScaleInterval,
)
from PIL import Image

from astroclip_search.exceptions import ImageError
from astroclip_search.images import Rendering, SkyImage, read_image, render
from astroclip_search.images._pixels import ArrayPixels
from astroclip_search.images._reduce import block_means

PLAIN = {'interval': MinMaxInterval(), 'stretch': LinearStretch()}


def brightest(picture):
    """Row and column of the brightest part, in the picture's own sense."""
    weight = picture[..., 0].astype(float) ** 4
    rows, columns = np.indices(weight.shape)
    total = weight.sum()
    return (rows * weight).sum() / total, (columns * weight).sum() / total


@pytest.mark.parametrize('angle', [0, 30, 90, 200])
@pytest.mark.parametrize('parity', [-1, 1])
def test_source_is_where_the_sky_has_it(angle, parity):
    # A source 20 arcsec north and 10 arcsec east of the centre. The tangent
    # plane is worked out by hand: xi = 10", eta = 20" to 1e-8, and pixels are
    # the inverse of CD, whose columns are scale x rotation (x parity).
    scale, size = 0.5 / 3600, 201
    turn = np.deg2rad(angle)
    rotation = np.array(
        [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    )
    matrix = scale * rotation @ np.diag([parity, 1])
    x, y = np.linalg.solve(matrix, [10 / 3600, 20 / 3600]) + size // 2
    rows, columns = np.indices((size, size))
    data = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)
    header = fits.Header()
    header.update(
        CTYPE1='RA---TAN', CTYPE2='DEC--TAN', CRVAL1=80.0, CRVAL2=-30.0,
        CRPIX1=size // 2 + 1, CRPIX2=size // 2 + 1, CD1_1=matrix[0, 0],
        CD1_2=matrix[0, 1], CD2_1=matrix[1, 0], CD2_2=matrix[1, 1],
    )  # fmt: skip
    image = read_image((data, header))
    picture = render(image, size=size, **PLAIN)
    row, column = brightest(picture)
    assert column == pytest.approx(x, abs=0.1)
    assert row == pytest.approx(size - 1 - y, abs=0.1)
    if angle == 0:
        assert row < size / 2  # north is up,
        assert (column < size / 2) == (
            parity < 0
        )  # east left, unless mirrored


@pytest.mark.parametrize('shape', [(64, 64), (67, 50), (230, 310), (5, 7)])
@pytest.mark.parametrize('dtype', ['>f4', '<f8', '>i2', 'u1', '>i4'])
def test_block_means(shape, dtype):
    data = np.random.default_rng(3).integers(0, 200, shape).astype(dtype)
    means = block_means(ArrayPixels(data), (8, 6))
    for row in range(means.shape[0]):
        for column in range(means.shape[1]):
            block = data[8 * row : 8 * row + 8, 6 * column : 6 * column + 6]
            assert means[row, column] == pytest.approx(
                block.astype(float).mean(), rel=1e-6
            )


def test_block_means_without_bad_pixels():
    data = np.random.default_rng(3).normal(1e4, 50, (60, 60)).astype('>f4')
    mask = np.zeros(data.shape, bool)
    mask[:20, :20] = True
    mask[30, 30] = True
    data[30, 30] = 1e30
    data[45, 3] = np.nan
    data[50:60, 50:60] = np.inf
    means = block_means(ArrayPixels(data), (10, 10), mask=mask)
    usable = np.where(mask | ~np.isfinite(data), np.nan, data).astype(float)
    blocks = usable.reshape(6, 10, 6, 10).swapaxes(1, 2).reshape(6, 6, 100)
    assert np.isnan(means[:2, :2]).all()
    assert np.isnan(means[5, 5])
    good = np.isfinite(means)
    assert good.sum() == 31
    np.testing.assert_allclose(
        means[good], np.nanmean(blocks[good], axis=1), rtol=1e-6
    )


def test_scaled_integers_average_like_their_values():
    raw = np.arange(400, dtype='>i2').reshape(20, 20)
    pixels = ArrayPixels(raw, scale=0.5, zero=100.0, blank=7)
    values = raw * 0.5 + 100.0
    values[0, 7] = np.nan
    means = block_means(pixels, (5, 5))
    expected = np.nanmean(
        values.reshape(4, 5, 4, 5).swapaxes(1, 2).reshape(4, 4, 25), axis=2
    )
    np.testing.assert_allclose(means, expected, rtol=1e-6)


def test_against_full_frame():
    # The slow way: astropy's limits and stretch on every pixel, then Pillow.
    rng = np.random.default_rng(8)
    rows, columns = np.indices((900, 900))
    data = rng.normal(10, 1, (900, 900))
    for _ in range(25):
        y, x = rng.uniform(0, 900, 2)
        size, flux = rng.uniform(4, 30), rng.exponential(60)
        data += flux * np.exp(
            -((columns - x) ** 2 + (rows - y) ** 2) / (2 * size**2)
        )
    interval = ManualInterval(8, 120)
    slow = AsinhStretch(0.1)(interval(data))[::-1]
    slow = Image.fromarray((slow * 255).astype(np.uint8))
    slow = np.asarray(slow.resize((224, 224), Image.Resampling.BICUBIC))
    fast = render(data, interval=interval, stretch=AsinhStretch(0.1))
    assert abs(fast[..., 0].astype(float) - slow).mean() < 2
    correlation = np.corrcoef(fast[..., 0].ravel(), slow.ravel())[0, 1]
    assert correlation > 0.998


@pytest.mark.parametrize(
    ('fit', 'corner', 'edge'),
    [('pad', 0, 0), ('crop', 200, 200), ('squash', 50, 200)],
)
def test_fit_of_pictures(fit, corner, edge):
    # 60 wide, 30 high: 50 in the outer quarters, 200 in the central square.
    data = np.full((30, 60, 3), 50, np.uint8)
    data[:, 15:45] = 200
    picture = render(data, size=30, fit=fit)
    assert picture.shape == (30, 30, 3)
    assert picture[0, 0, 0] == pytest.approx(corner, abs=2)
    assert picture[0, 15, 0] == pytest.approx(edge, abs=2)
    assert picture[15, 15, 0] == pytest.approx(200, abs=2)
    if fit == 'pad':
        lit = np.flatnonzero(picture[:, 15, 0])
        assert (lit.min(), lit.max()) == (7, 21)  # 15 rows, 7 above


@pytest.mark.parametrize('fit', ['pad', 'crop', 'squash'])
@pytest.mark.parametrize('shape', [(301, 512), (512, 333), (100, 80)])
def test_same_as_open_clip(fit, shape):
    from astroclip_search.embedding._torchvision import import_open_clip

    import_open_clip()
    from open_clip.transform import PreprocessCfg, image_transform_v2

    mode = {'pad': 'longest', 'crop': 'shortest', 'squash': 'squash'}[fit]
    config = PreprocessCfg(
        size=224, mode='RGB', mean=(0, 0, 0), std=(1, 1, 1),
        interpolation='bicubic', resize_mode=mode,
    )  # fmt: skip
    rng = np.random.default_rng(4)
    small = rng.integers(0, 255, (9, 9, 3), np.uint8)
    picture = Image.fromarray(small).resize(shape[::-1])
    theirs = image_transform_v2(config, is_train=False)(picture)
    theirs = np.rint(theirs.numpy().transpose(1, 2, 0) * 255)
    ours = render(picture, size=224, fit=fit).astype(float)
    assert abs(ours - theirs).max() <= 1


@pytest.mark.parametrize(
    'shape', [(1500, 2101), (2048, 2048), (2041, 1003), (500, 300)]
)
def test_reduced_scale_decoding_is_close(tmp_path, shape):
    rng = np.random.default_rng(4)
    small = rng.integers(0, 255, (40, 40, 3), np.uint8)
    picture = Image.fromarray(small).resize(shape[::-1], Image.BICUBIC)
    path = tmp_path / 'a.jpg'
    picture.save(path, quality=92)
    with Image.open(path) as full:
        slow = np.asarray(full.resize((224, 224), Image.Resampling.BICUBIC))
    fast = render(path, fit='squash')
    assert abs(fast.astype(float) - slow).mean() < 0.7


@pytest.mark.parametrize('shape', [(3, 100_000), (100_000, 3)])
@pytest.mark.parametrize('fit', ['pad', 'crop', 'squash'])
def test_long_strips_take_no_memory(shape, fit):
    data = np.tile(np.linspace(0, 1, max(shape)), (3, 1))
    data = data if shape[0] == 3 else data.T
    picture = render(data, fit=fit, **PLAIN)
    middle = int(picture[111:113, 111:113].max())
    assert middle == pytest.approx(127, abs=2)


def test_limits_do_not_follow_columns():
    # Every eighth column is bright; a sample of every eighth pixel sees only
    # bright or only dark ones.
    data = np.random.default_rng(0).normal(10, 1, (400, 400))
    data[:, ::8] += 1000
    picture = render(data, size=400, interval='minmax', stretch='linear')
    assert picture.max() > 250
    assert np.median(picture) < 5


def test_small_differences_on_a_large_offset():
    data = 1e9 + np.linspace(0, 1, 64)[np.newaxis] * np.ones((64, 1))
    picture = render(data, size=64, **PLAIN)
    np.testing.assert_allclose(
        picture[30, :, 0], 255 * np.linspace(0, 1, 64), atol=1
    )


def test_no_stretch_for_pictures():
    data = np.full((50, 50, 3), 77, np.uint8)
    assert (render(data, size=20) == 77).all()
    assert (render(data, size=20, stretch='log') == 77).all()


def star(shape=(64, 64), value=1000.0, level=0.0):
    data = np.full(shape, level)
    data[40, 20] = value
    return data


@pytest.mark.parametrize(
    'data',
    [
        np.full((40, 40), 7.0),
        np.zeros((40, 40), np.int16),
        -np.abs(np.random.default_rng(0).normal(5, 1, (40, 40))),
        star(),
        np.arange(9.0).reshape(3, 3),
        np.where(np.indices((50, 50))[1] < 25, np.nan, 1.0),
        np.random.default_rng(0).normal(0, 1e-30, (50, 50)),
        np.random.default_rng(0).normal(0, 1e30, (50, 50)),
        np.full((40, 40), 3e38, np.float32),
        np.random.default_rng(0).integers(0, 1 << 62, (50, 50)),
        np.eye(700, 3),
    ],
    ids=['flat', 'zero', 'negative', 'star', 'tiny', 'half', 'faint', 'huge',
         'overflow', 'int64', 'strip'],
)  # fmt: skip
def test_unusual_images(data):
    picture = render(data)
    assert picture.shape == (224, 224, 3)
    assert picture.dtype == np.uint8


def test_single_star_is_seen():
    picture = render(star(level=10.0), size=64)
    row, column = brightest(picture)
    assert picture.max() > 200
    assert (row, column) == pytest.approx((64 - 1 - 40, 20), abs=0.5)


def test_nothing_usable():
    for data in (
        np.full((9, 9), np.nan),
        np.ma.MaskedArray(np.ones((9, 9)), True),
    ):
        with pytest.raises(ImageError, match='no usable pixel'):
            render(data)


def test_masked_pixels_do_not_count():
    rng = np.random.default_rng(6)
    data = rng.normal(100, 5, (300, 300))
    clean = render(data, size=100)
    spoilt = data.copy()
    mask = np.zeros(data.shape, bool)
    mask[rng.integers(0, 300, 400), rng.integers(0, 300, 400)] = True
    spoilt[mask] = 1e9
    masked = render(SkyImage(spoilt, mask=mask), size=100)
    difference = abs(clean.astype(float) - masked)
    assert difference.mean() < 4
    # A large hole is black, whatever lies under it.
    mask[:150] = True
    half = render(SkyImage(data, mask=mask), size=100)
    assert half[55:].max() == 0
    assert half[:45].mean() > 20


def test_settings():
    data = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    given = render(data, interval='minmax', stretch='linear', size=64)
    objects = render(data, size=64, **PLAIN)
    np.testing.assert_array_equal(given, objects)
    recipe = Rendering(size=64, interval='minmax', stretch='linear')
    np.testing.assert_array_equal(given, render(data, rendering=recipe))
    # Linear between the limits: the last row of the data is the first shown.
    np.testing.assert_allclose(given[:, 10, 0], 255 * data[::-1, 10], atol=1)
    with pytest.raises(ImageError, match='whole recipe'):
        render(data, rendering=recipe, fit='pad')


@pytest.mark.parametrize(
    ('interval', 'stretch'),
    [
        (MinMaxInterval(), LinearStretch()),
        (ManualInterval(1, 2.5), LinearStretch(0.5, 0.2)),
        (ManualInterval(vmax=np.float32(2.5)), SqrtStretch()),
        (PercentileInterval(99.7), AsinhStretch(0.02)),
        (PercentileInterval(95, n_samples=1000), LogStretch(500)),
        (AsymmetricPercentileInterval(2, 98), PowerStretch(0.7)),
        (ZScaleInterval(contrast=0.1), AsinhStretch()),
    ],
)
def test_recipes_survive_json(interval, stretch):
    recipe = Rendering(size=64, interval=interval, stretch=stretch)
    text = json.dumps(recipe.to_dict())
    again = Rendering.from_dict(json.loads(text))
    assert again == recipe
    assert hash(again) == hash(recipe)
    assert again != Rendering(size=64)
    made, given = again.interval_object(), interval
    data = np.random.default_rng(1).normal(2, 1, 5000)
    if getattr(interval, 'n_samples', None) is None:
        np.testing.assert_allclose(
            made.get_limits(data), given.get_limits(data), rtol=1e-6
        )
    shades = np.linspace(0, 1, 50)
    np.testing.assert_allclose(
        again.stretch_object()(shades), stretch(shades), rtol=1e-6
    )


@pytest.mark.parametrize(
    ('settings', 'match'),
    [
        ({'size': 0}, 'size=0'),
        ({'size': 2.5}, 'size=2.5'),
        ({'size': True}, 'size=True'),
        ({'size': 10**9}, 'size=1000000000'),
        ({'fit': 'stretch'}, 'pad, crop, squash'),
        ({'interval': 'Nothing()'}, 'not understood'),
        ({'interval': 'AsinhStretch()'}, 'not understood'),
        ({'interval': "__import__('os')"}, 'not understood'),
        ({'interval': 'BaseInterval()'}, 'not understood'),
        ({'interval': 5}, 'not understood'),
        ({'stretch': 'AsinhStretch(a=-1)'}, 'not understood'),
        ({'stretch': AsinhStretch() + SqrtStretch()}, 'cannot be written'),
        ({'stretch': HistEqStretch(np.arange(9.0))}, 'cannot be written'),
        ({'version': 99}, 'version 99'),
    ],
)
def test_bad_recipes(settings, match):
    with pytest.raises(ImageError, match=match):
        Rendering(**settings)


def test_bad_dicts():
    assert isinstance(AsinhStretch() + SqrtStretch(), CompositeStretch)
    with pytest.raises(ImageError, match='is no rendering'):
        Rendering.from_dict({'colour': 1})
    with pytest.raises(ImageError, match='is no rendering'):
        Rendering.from_dict('x')
