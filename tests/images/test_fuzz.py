# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Damaged and hostile files end in a picture or in an error of ours.

`benchmarks/images_fuzz.py` runs many more, in processes with limits.
"""

import io
import time
import warnings

import numpy as np
import pytest
from _mutate import generated_files, mutate
from astropy.io import fits

from astroclip_search.exceptions import AstroClipError, AstroClipWarning
from astroclip_search.images import image_facts, read_image, render

FILES = generated_files()


@pytest.mark.parametrize('name', FILES)
def test_good_files_are_good(name, tmp_path):
    if name == 'cube.fits':
        return
    path = tmp_path / name
    path.write_bytes(FILES[name])
    assert render(read_image(path)).std() > 1


@pytest.mark.parametrize('seed', range(20))
def test_damaged_files(seed, tmp_path):
    outcomes = set()
    for number in range(20):
        rng = np.random.default_rng([seed, number])
        name = list(FILES)[rng.integers(len(FILES))]
        path = tmp_path / 'case'
        path.write_bytes(mutate(FILES[name], rng))
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            try:
                image = read_image(path)
                picture = render(image)
                image_facts(image)
                assert picture.shape == (224, 224, 3)
                outcomes.add('picture')
            except AstroClipError as exc:
                assert '\n' not in str(exc)  # noqa: PT017
                outcomes.add('error')
        assert time.perf_counter() - started < 5
        assert len(caught) <= 1
        for item in caught:
            assert issubclass(item.category, AstroClipWarning)
    assert outcomes == {'picture', 'error'}


def hostile(**cards):
    header = fits.Header()
    header.update(
        CTYPE1='RA---TAN-SIP', CTYPE2='DEC--TAN-SIP', CRPIX1=5.0, CRPIX2=5.0,
        CRVAL1=10.0, CRVAL2=10.0, CDELT1=-0.01, CDELT2=0.01, A_ORDER=2,
        B_ORDER=2, A_2_0=1e-6, B_2_0=1e-6,
    )  # fmt: skip
    header.update(cards)
    return header


@pytest.mark.parametrize(
    'cards',
    [
        {'CRVAL1': 1e30},
        {'CRVAL2': -1e300},
        {'LONPOLE': 1e25},
        {'A_ORDER': 100_000_000},
        {'B_ORDER': -1},
        {'AP_ORDER': 2147483647, 'BP_ORDER': 2},
        {'WCSAXES': 1000},
        {'CDELT1': 0.0},
        {'CTYPE1': 'RA---XYZ', 'CTYPE2': 'DEC--XYZ'},
        {'CTYPE1': 'RA---TAN', 'CTYPE2': 'GLAT-TAN'},
    ],
)
def test_hostile_world_coordinates(cards):
    data = np.random.default_rng(0).normal(0, 1, (20, 20))
    with pytest.warns(AstroClipWarning, match='not used') as caught:
        image = read_image(fits.PrimaryHDU(data, hostile(**cards)))
    assert len(caught) == 1
    assert image.wcs is None
    assert render(image).std() > 1


@pytest.mark.parametrize(
    ('key', 'value', 'match'),
    [
        ('NAXIS1', 2**62, 'missing'),
        ('NAXIS2', -3, 'negative'),
        ('NAXIS', 99_999_999, 'NAXIS'),
        ('BITPIX', 17, 'BITPIX'),
        ('PCOUNT', -2880, 'PCOUNT'),
        ('GCOUNT', 0, 'GCOUNT'),
    ],
)
def test_hostile_sizes(tmp_path, key, value, match):
    raw = FILES['sci.fits']
    start = raw.index(b'XTENSION')
    if key in ('PCOUNT', 'GCOUNT'):
        at = raw.index(key.encode(), start)
    else:
        at = raw.index(f'{key:8s}='.encode(), start)
    card = f'{key:8s}= {value:>20d}'.ljust(80).encode()
    path = tmp_path / 'a.fits'
    path.write_bytes(raw[:at] + card + raw[at + 80 :])
    with pytest.raises(AstroClipError, match=match):
        read_image(path)


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('ZTILE1', 2**31), ('ZTILE1', 0), ('ZNAXIS1', 2**40), ('ZNAXIS', 0),
        ('ZBITPIX', 12), ('TFIELDS', 900), ('NAXIS2', 1),
    ],
)  # fmt: skip
def test_hostile_compression(tmp_path, key, value):
    raw = FILES['RICE_1.fits']
    at = raw.index(f'{key:8s}='.encode(), raw.index(b'XTENSION'))
    card = f'{key:8s}= {value:>20d}'.ljust(80).encode()
    path = tmp_path / 'a.fits'
    path.write_bytes(raw[:at] + card + raw[at + 80 :])
    with pytest.raises(AstroClipError, match=r'damaged|missing|no image'):
        read_image(path)


@pytest.mark.parametrize('key', ['CTYPE2', 'TELESCOP', 'CRVAL1'])
def test_unprintable_cards(tmp_path, key):
    raw = FILES['plain.fits']
    at = raw.index(f'{key:8s}='.encode())
    path = tmp_path / 'a.fits'
    path.write_bytes(raw[: at + 10] + b"=\x0b'A\xff'" + raw[at + 16 :])
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', AstroClipWarning)
        image = read_image(path)
    assert image_facts(image)['t_exptime'] == 10


@pytest.mark.parametrize('key', ['AMDX1', 'PPO3', 'PLTRAH', 'CTYPE1', None])
def test_part_of_a_plate_solution(key):
    # Some of these make wcslib overrun its memory where they reach it.
    with fits.open(io.BytesIO(FILES['plate.fits'])) as hdus:
        header, data = hdus[0].header, hdus[0].data.copy()
    if key is None:
        header['AMDX15'] = 3.0
        assert read_image((data, header)).coordinates is not None
        return
    alone = fits.Header({'EPOCH': 0.0, key: 100.0})
    assert read_image((data, alone)).wcs is None
    if key == 'CTYPE1':
        header[key] = 'GLON-AIT'
    else:
        del header[key]
    assert read_image((data, header)).wcs is None


@pytest.mark.parametrize('kind', ['HCOMPRESS_1', 'PLIO_1'])
def test_sizes_inside_compressed_tiles(tmp_path, kind):
    # Sizes in the data themselves, which the decompressors believe.
    raw = bytearray(FILES[f'{kind}.fits'])
    with fits.open(
        io.BytesIO(bytes(raw)), disable_image_compression=True
    ) as h:
        start = (
            h[1].fileinfo()['datLoc']
            + h[1].header['NAXIS1'] * (h[1].header['NAXIS2'])
        )
    at = {'HCOMPRESS_1': start + 2, 'PLIO_1': start + 4}[kind]
    raw[at : at + 2] = b'\x7f\xff'
    path = tmp_path / 'a.fits'
    path.write_bytes(raw)
    with pytest.raises(AstroClipError, match='the size of a tile'):
        read_image(path)
