# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Make the figures of the documentation.

    python docs/make_figures.py

Pictures are generated galaxies and clusters with a known WCS, so that scale
bars and arrows can be checked by eye: the WCS of each is turned by another
angle. Positions of the sky plots are those of the starter collection.
"""

import io
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
from astropy.io import fits
from astropy.modeling.models import Sersic2D
from astropy.table import Table
from astropy.wcs import WCS

from astroclip_search import describe, search
from astroclip_search.results import SearchResult

mpl.use('Agg')
STATIC = Path(__file__).parent / '_static'


def wcs(angle, scale, shape):
    """North turned from up towards east (left) by an angle in degrees."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    header = WCS(naxis=2)
    header.wcs.ctype = ['RA---TAN', 'DEC--TAN']
    header.wcs.crval = [150.0, 2.0]
    header.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    header.wcs.cd = scale / 3600 * np.array([[-c, -s], [-s, c]])
    return header.to_header()


def galaxy(rng, shape, ellip, n=1.0):
    """A galaxy in a field of stars, in counts."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    model = Sersic2D(
        amplitude=60, r_eff=min(shape) / 8, n=n, x_0=shape[1] / 2,
        y_0=shape[0] / 2, ellip=ellip, theta=rng.uniform(0, np.pi),
    )  # fmt: skip
    image = model(x, y) + rng.normal(100, 2, shape)
    for _ in range(25):
        cx, cy = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
        flux = rng.pareto(1.2) * 40
        image += flux * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 4.5)
    return image.astype('f4')


def generated(folder):
    """A result whose pictures are FITS files of ours."""
    rng = np.random.default_rng(8)
    rows = Table()
    count = 5
    rows['id'] = [f'made/{i}' for i in range(count)]
    rows['target_name'] = [
        'north up', 'north 30° to the left', 'a wide field', 'edge-on',
        'no WCS',
    ]  # fmt: skip
    rows['instrument_name'] = ['generated'] * count
    files = []
    for i, (angle, scale, shape, ellip) in enumerate(
        [
            (0, 0.4, (300, 300), 0.2),
            (30, 2.0, (300, 300), 0.5),
            (0, 30.0, (200, 400), 0.3),
            (-90, 0.1, (300, 200), 0.85),
            (None, None, (300, 300), 0.6),
        ]
    ):
        path = folder / f'{i}.fits'
        header = None if angle is None else wcs(angle, scale, shape)
        fits.writeto(path, galaxy(rng, shape, ellip), header)
        files.append(str(path))
    rows['access_url'] = files
    return SearchResult.from_rows(
        rows,
        similarity=np.linspace(0.42, 0.31, count),
        false_match_rate=[0.0004, 0.001, 0.002, 0.01, 0.03],
    ), files


def contact_sheet(figures, width):
    """Put figures below one another."""
    from PIL import Image

    pictures = []
    for figure in figures:
        file = io.BytesIO()
        figure.savefig(file, dpi=90)
        picture = Image.open(file).convert('RGB')
        factor = min(1, width / picture.width)
        size = [round(n * factor) for n in picture.size]
        pictures.append(picture.resize(size))
    colour = pictures[0].getpixel((1, 1))
    height = sum(p.height for p in pictures)
    sheet = Image.new('RGB', (width, height), colour)
    y = 0
    for picture in pictures:
        sheet.paste(picture, ((width - picture.width) // 2, y))
        y += picture.height
    return sheet.quantize(128)


def main():
    STATIC.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        made, files = generated(Path(folder))
        spirals = search('a face-on spiral galaxy', limit=60)
        cluster = search('young star cluster', limit=40)
        near = spirals[np.isfinite(spirals.coordinates.ra.deg)]
        centre = near.coordinates[0]
        close = near[near.coordinates.separation(centre).deg < 20]
        description = describe(files[3])
        for name, dark in (('light', False), ('dark', True)):
            figures = [
                made.plot(dark=dark),
                spirals.plot_sky(
                    coverage=cluster.to_moc(max_depth=5), dark=dark
                ),
                close.plot_sky(dark=dark),
                description.plot(limit=10, dark=dark),
                spirals.similarity_histogram(
                    background=search('comets', limit=1200)['similarity'],
                    dark=dark,
                ),
            ]
            contact_sheet(figures, 900).save(
                STATIC / f'plots_{name}.png', optimize=True
            )


if __name__ == '__main__':
    main()
