# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Measure reading and rendering against the plain way to do the same.

    python benchmarks/images.py speed mosaic [--data FOLDER]
    python benchmarks/images.py fidelity throughput --data FOLDER

``FOLDER`` holds ``fits/`` and ``pairs/images/``. Best and median of several
runs are given, because other programs may be running.
"""

import argparse
import io
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.visualization import (
    AsinhStretch,
    AsymmetricPercentileInterval,
    PercentileInterval,
)
from PIL import Image

from astroclip_search.exceptions import AstroClipError
from astroclip_search.images import Rendering, read_image, render, tiles


def times(function, repeat=7):
    """Best and median time in milliseconds."""
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        taken.append(1e3 * (time.perf_counter() - start))
    return min(taken), float(np.median(taken))


def show(name, ours, reference):
    print(
        f'{name:30s} ours {ours[0]:7.1f} ({ours[1]:.1f}) ms   reference '
        f'{reference[0]:7.1f} ({reference[1]:.1f}) ms   ratio '
        f'{reference[0] / ours[0]:.1f} ({reference[1] / ours[1]:.1f})'
    )


def sky(size, rng):
    data = rng.normal(100, 5, (size, size)).astype(np.float32)
    steps = np.arange(-15, 15) ** 2
    star = np.exp(-np.add.outer(steps, steps) / 18)
    for _ in range(300):
        y, x = rng.integers(20, size - 20, 2)
        data[y - 15 : y + 15, x - 15 : x + 15] += rng.exponential(3000) * star
    return data


def header():
    cards = fits.Header()
    cards.update(
        CTYPE1='RA---TAN', CTYPE2='DEC--TAN', CRVAL1=10.0, CRVAL2=20.0,
        CRPIX1=100.0, CRPIX2=100.0, CDELT1=-1e-4, CDELT2=1e-4,
    )  # fmt: skip
    return cards


def full_frame(path, interval=None):
    """The usual way: limits and stretch of every pixel, then resize."""
    data = fits.getdata(path)
    data = AsinhStretch(0.1)((interval or PercentileInterval(99.5))(data))
    picture = Image.fromarray((data[::-1] * 255).astype(np.uint8))
    return np.asarray(picture.resize((224, 224), Image.Resampling.BICUBIC))


def speed(args, folder):
    rng = np.random.default_rng(1)
    for size in (2048, 4096):
        path = folder / f'{size}.fits'
        fits.writeto(path, sky(size, rng), header(), overwrite=True)

        def ours(path=path):
            return render(read_image(path))

        def slow(path=path):
            return full_frame(path)

        def bare(path=path):
            return fits.getdata(path).astype('f4')

        mine = times(ours)
        name = f'{size} px float32'
        show(f'{name}, full frame', mine, times(slow, 3))
        show(f'{name}, only reading', mine, times(bare))
    sources = [Image.fromarray(np.clip(sky(2048, rng) - 80, 0, 255)
               .astype(np.uint8)).convert('RGB')]  # fmt: skip
    names = ['noise and stars']
    if args.data:
        for path in sorted((args.data / 'pairs/images').glob('jwstobs*'))[
            :400:100
        ]:
            with Image.open(path) as picture:
                sources.append(picture.convert('RGB').resize((2048, 2048)))
            names.append(path.stem)
    for name, picture in zip(names, sources, strict=True):
        stream = io.BytesIO()
        picture.save(stream, 'JPEG', quality=85)
        data = stream.getvalue()

        def slow(data=data):
            with Image.open(io.BytesIO(data)) as full:
                full = full.convert('RGB')
                return np.asarray(full.resize((224, 224), Image.BICUBIC))

        def fast(data=data):
            return render(read_image(io.BytesIO(data)), fit='squash')

        label = f'JPEG {len(data) >> 10} kB {name}'
        show(label, times(fast), times(slow))
        print('   mean difference', abs(fast() - slow().astype(float)).mean())


def anonymous():
    """RssAnon of this process in MB (Linux)."""
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('RssAnon'):
            return int(line.split()[1]) / 1024
    return float('nan')


def mosaic(args, folder):
    size, rng = args.mosaic, np.random.default_rng(0)
    path = folder / 'mosaic.fits'
    cards = fits.Header()
    cards.update(
        SIMPLE=True, BITPIX=-32, NAXIS=2, NAXIS1=size, NAXIS2=size
    )  # fmt: skip
    cards.update(header())
    band = rng.normal(100, 5, (500, size)).astype('>f4')
    with path.open('wb') as file:
        file.write(cards.tostring().encode())
        for _ in range(size // 500):
            file.write(np.roll(band, 7, axis=1).tobytes())
        file.write(bytes(-file.tell() % 2880))
    before, peak, count = anonymous(), 0.0, 0
    start = time.perf_counter()
    for tile in tiles(path, size=512):
        if count % 10 == 0:
            render(tile)
            peak = max(peak, anonymous())
        count += 1
    taken = time.perf_counter() - start
    print(
        f'mosaic {size} px: {count} tiles in {taken:.1f} s, RssAnon '
        f'{before:.0f} MB before, at most {peak:.0f} MB'
    )
    path.unlink()


def fidelity(args, folder):
    from astroclip_search.embedding import Embedder

    embedder = Embedder.from_pretrained(args.model)
    recipe = Rendering(interval=AsymmetricPercentileInterval(10, 99.8))
    rows = []
    for path in sorted((args.data / 'fits').iterdir()):
        if path.suffix == '.jsonl':
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                image = read_image(path)
        except AstroClipError:
            continue
        fast = render(image, rendering=recipe)
        rows.append((path.name, fast, reference(image, recipe)))
    pixels = np.stack([row[1] for row in rows] + [row[2] for row in rows])
    vectors = embedder.embed_pixels(pixels)
    cosines = (vectors[: len(rows)] * vectors[len(rows) :]).sum(axis=1)
    for n in np.argsort(cosines):
        print(f'   {cosines[n]:.4f} {rows[n][0]}')
    print(f'fidelity: median cosine {np.median(cosines):.4f}')


def reference(image, recipe):
    """Limits and stretch on every usable pixel of the frame, then resize."""
    data = image.data.astype(float)
    bad = np.zeros(data.shape, bool) if image.mask is None else image.mask
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        low, high = recipe.interval_object().get_limits(data[~bad])
    data = np.where(bad, low, data)
    scaled = np.clip((data - low) / (high - low or 1), 0, 1)
    shades = np.rint(255 * recipe.stretch_object()(scaled)).astype(np.uint8)
    colours = np.repeat(shades[::-1, :, None], 3, axis=2)
    return render(np.ascontiguousarray(colours), rendering=recipe)


def throughput(args, folder):
    from astroclip_search.embedding import Embedder

    embedder = Embedder.from_pretrained(args.model)
    paths = sorted((args.data / 'pairs/images').glob('*.jpg'))[::6][:500]
    recipe = embedder.rendering
    embedder.embed_images(paths[:32])
    start = time.perf_counter()
    pixels = np.stack([render(path, rendering=recipe) for path in paths])
    decoding = time.perf_counter() - start
    start = time.perf_counter()
    embedder.embed_pixels(pixels)
    inference = time.perf_counter() - start
    start = time.perf_counter()
    embedder.embed_images(paths)
    together = time.perf_counter() - start
    print(
        f'{len(paths)} JPEGs: decoding {decoding:.1f} s, inference '
        f'{inference:.1f} s, in turn {decoding + inference:.1f} s, '
        f'embed_images {together:.1f} s, '
        f'gain {(decoding + inference) / together:.2f}'
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('what', nargs='+', choices=[
        'speed', 'mosaic', 'fidelity', 'throughput'])  # fmt: skip
    parser.add_argument('--data', type=Path)
    parser.add_argument('--model')
    parser.add_argument('--mosaic', type=int, default=20_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in args.what:
            globals()[name](args, Path(folder))


if __name__ == '__main__':
    main()
