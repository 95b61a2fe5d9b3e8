# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Reading: every kind of input gives the values that were put in."""

import bz2
import gzip
import io
import itertools
import warnings

import numpy as np
import pytest
from _shared import shared_data
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData, NDData
from astropy.wcs import WCS
from PIL import Image

from astroclip_search.exceptions import AstroClipWarning, ImageError
from astroclip_search.images import SkyImage, _unpack, read_image, render
from astroclip_search.images._pixels import ArrayPixels

# Values that differ in every pixel, so that a flip or a transposition shows.
PIXELS = np.arange(6 * 8, dtype=np.float32).reshape(6, 8)


def sky_header(**more):
    header = fits.Header()
    header.update(
        CTYPE1='RA---TAN', CTYPE2='DEC--TAN', CRPIX1=4.5, CRPIX2=3.5,
        CRVAL1=150.0, CRVAL2=2.0, CDELT1=-0.001, CDELT2=0.001,
    )  # fmt: skip
    header.update(more)
    return header


def write(path, data, header=None):
    fits.writeto(path, data, header)
    return path


@pytest.mark.parametrize('pack', ['', '.gz', '.bz2'])
@pytest.mark.parametrize('kind', [str, lambda p: p, lambda p: p.open('rb')])
def test_files(tmp_path, pack, kind):
    path = write(tmp_path / 'a.fits', PIXELS, sky_header(BUNIT='Jy/beam'))
    if pack:
        squeeze = {'.gz': gzip.compress, '.bz2': bz2.compress}[pack]
        packed = tmp_path / f'a.fits{pack}'
        packed.write_bytes(squeeze(path.read_bytes()))
        path = packed
    source = kind(path)
    image = read_image(source)
    if hasattr(source, 'close'):
        source.close()
    np.testing.assert_array_equal(image.data, PIXELS)
    assert image.data.dtype == np.dtype('=f4')
    assert image.shape == (6, 8)
    assert image.origin == 'lower'
    assert image.unit == u.Jy / u.beam
    assert image.mask is None
    assert not image.is_rgb
    assert image.coordinates.ra.deg == pytest.approx(150)
    assert str(path) in image.meta['source']


@pytest.mark.parametrize(
    'dtype', ['u1', 'i2', 'i4', 'i8', 'f4', 'f8', 'u2', 'u4', 'i1']
)
def test_stored_types(tmp_path, dtype):
    # Unsigned and signed bytes are written with BZERO by the FITS standard.
    values = PIXELS.astype(dtype)
    values[0, 0] = np.iinfo(dtype).max if dtype[0] in 'iu' else 1e6
    path = write(tmp_path / 'a.fits', values)
    np.testing.assert_array_equal(read_image(path).data, values)


def test_scaled_and_blank(tmp_path):
    header = fits.Header()
    header.update(
        SIMPLE=True, BITPIX=16, NAXIS=2, NAXIS1=8, NAXIS2=6, BSCALE=2.5,
        BZERO=-10.0, BLANK=13,
    )  # fmt: skip
    path = tmp_path / 'scaled.fits'
    stored = PIXELS.astype('>i2').tobytes().ljust(2880, b'\0')
    path.write_bytes(header.tostring().encode() + stored)
    image = read_image(path)
    expected = PIXELS * 2.5 - 10
    expected[PIXELS == 13] = np.nan
    np.testing.assert_array_equal(image.data, expected)
    np.testing.assert_array_equal(image.mask, PIXELS == 13)


@pytest.mark.parametrize(
    ('kind', 'dtype'),
    [
        *itertools.product(
            ['RICE_1', 'GZIP_1', 'GZIP_2', 'HCOMPRESS_1'], ['i2', 'i4', 'u2']
        ),
        ('PLIO_1', 'i2'),
    ],
)
def test_compressed_integers(tmp_path, kind, dtype):
    values = np.arange(40 * 30, dtype=dtype).reshape(40, 30)
    path = tmp_path / 'a.fits.fz'
    fits.HDUList(
        [
            fits.PrimaryHDU(),
            fits.CompImageHDU(values, compression_type=kind,
                              tile_shape=(16, 16)),
        ]
    ).writeto(path)  # fmt: skip
    image = read_image(path)
    np.testing.assert_array_equal(image.data, values)
    with fits.open(path) as hdus:
        listed = read_image(hdus)
        np.testing.assert_array_equal(listed.data, values)


def test_compressed_floats_with_nan(tmp_path):
    values = np.random.default_rng(0).normal(50, 3, (40, 30)).astype('f4')
    values[3:6, 4:9] = np.nan
    path = tmp_path / 'a.fits'
    fits.HDUList(
        [fits.PrimaryHDU(), fits.CompImageHDU(values, quantize_level=16)]
    ).writeto(path)
    image = read_image(path)
    np.testing.assert_allclose(image.data, values, atol=0.5)
    np.testing.assert_array_equal(image.mask, np.isnan(values))


def hdu_list():
    flags = np.zeros((6, 8), np.int16)
    flags[1, 2] = 4  # a bad detector pixel
    flags[2, 3] = 64  # a warm pixel, which stays usable
    return fits.HDUList(
        [
            fits.PrimaryHDU(header=fits.Header({'TELESCOP': 'HST'})),
            fits.BinTableHDU.from_columns(
                [fits.Column('a', 'J', array=[1, 2])], name='CAT'
            ),
            fits.ImageHDU(PIXELS + 100, name='ERR', ver=1),
            fits.ImageHDU(PIXELS, sky_header(), name='SCI', ver=1),
            fits.ImageHDU(flags, name='DQ', ver=1),
            fits.ImageHDU(PIXELS + 7, name='SCI', ver=2),
        ]
    )


def test_choice_of_extension(tmp_path):
    path = tmp_path / 'a.fits'
    hdu_list().writeto(path)
    for source in (path, hdu_list()):
        image = read_image(source)
        np.testing.assert_array_equal(image.data, PIXELS)
        assert image.meta['hdu'] == 3
        assert '3:SCI,1' in image.meta['notes'][0]
        mask = np.zeros((6, 8), bool)
        mask[1, 2] = True
        np.testing.assert_array_equal(image.mask, mask)
        for hdu, extra in ((('SCI', 2), 7), ('ERR', 100), (5, 7)):
            other = read_image(source, hdu=hdu)
            np.testing.assert_array_equal(other.data, PIXELS + extra)
        for hdu in (0, 1, 9, 'X', ('SCI', 3), -1, True, 1.5):
            with pytest.raises(ImageError, match='those with an image are'):
                read_image(source, hdu=hdu)


def test_sky_goes_before_other_images():
    hdus = fits.HDUList(
        [
            fits.PrimaryHDU(PIXELS + 1),
            fits.ImageHDU(PIXELS + 2, sky_header(), name='VAR_POISSON'),
            fits.ImageHDU(PIXELS + 3, sky_header(), name='EXPOSED'),
            fits.ImageHDU(PIXELS + 4, sky_header(), name='OTHER'),
        ]
    )
    assert read_image(hdus).data[0, 0] == 3
    assert read_image(hdus[:2]).data[0, 0] == 1
    assert read_image(hdus[1]).data[0, 0] == 2


def test_jwst_flags_and_saturation():
    flags = np.zeros((6, 8), np.uint32)
    flags[1, 2], flags[2, 2], flags[3, 2] = 1, 2, 4
    hdus = fits.HDUList(
        [
            fits.PrimaryHDU(header=fits.Header({'TELESCOP': 'JWST'})),
            fits.ImageHDU(PIXELS, fits.Header({'SATURATE': 45.0}), name='SCI'),
            fits.ImageHDU(flags, name='DQ'),
        ]
    )
    mask = read_image(hdus).mask
    assert sorted(zip(*np.nonzero(mask), strict=True)) == [
        (1, 2), (2, 2), (5, 5), (5, 6), (5, 7),
    ]  # fmt: skip


def test_cubes():
    cube = np.stack([PIXELS, PIXELS + 1, PIXELS * 4])
    hdu = fits.PrimaryHDU(cube)
    with pytest.raises(ImageError, match='plane=0 to 2'):
        read_image(hdu)
    np.testing.assert_array_equal(read_image(hdu, plane=1).data, PIXELS + 1)
    np.testing.assert_allclose(
        read_image(hdu, plane='median').data, np.median(cube, axis=0)
    )
    with pytest.raises(ImageError, match='plane=3'):
        read_image(hdu, plane=3)
    with pytest.raises(ImageError, match='sum, mean'):
        read_image(hdu, plane='mode')
    four = fits.PrimaryHDU(PIXELS[np.newaxis, np.newaxis])
    np.testing.assert_array_equal(read_image(four).data, PIXELS)
    with pytest.raises(ImageError, match='is a cube'):
        read_image(np.zeros((5, 6, 7)))


def test_arrays_and_nddata():
    wcs = WCS(sky_header())
    mask = PIXELS == 5
    ccd = CCDData(PIXELS, unit='adu', mask=mask, wcs=wcs)
    image = read_image(ccd)
    np.testing.assert_array_equal(image.mask, mask)
    assert image.unit == u.adu
    assert image.coordinates.dec.deg == pytest.approx(2)
    assert read_image(NDData(PIXELS)).wcs is None
    for data in (
        PIXELS, PIXELS.astype('>f8'), PIXELS.astype('i4'), PIXELS * u.Jy,
        PIXELS.astype('f2'),
    ):  # fmt: skip
        image = read_image(data)
        np.testing.assert_array_equal(image.data, PIXELS)
        assert image.data.dtype.isnative
        assert image.origin == 'lower'
    masked = np.ma.MaskedArray(PIXELS, mask)
    np.testing.assert_array_equal(read_image(masked).mask, mask)
    for world in (wcs, sky_header()):
        image = read_image((PIXELS, world))
        assert image.coordinates.ra.deg == pytest.approx(150)
    assert read_image((PIXELS, None)).wcs is None
    assert read_image(image) is image


def test_colour_arrays():
    rgb = np.random.default_rng(2).integers(0, 256, (5, 9, 3), np.uint8)
    for data in (rgb, np.moveaxis(rgb, 2, 0), rgb / 255,
                 rgb.astype(np.uint16) * 257):  # fmt: skip
        image = read_image(data)
        np.testing.assert_array_equal(image.data, rgb)
        assert image.origin == 'upper'
        assert image.is_rgb
    clear = np.dstack([rgb, np.full((5, 9), 0, np.uint8)])
    assert read_image(clear).data.max() == 0
    with pytest.raises(ImageError, match='compose_rgb'):
        read_image(rgb.astype(float))


@pytest.mark.parametrize(
    ('source', 'match'),
    [
        (5, 'int is no image'),
        ('no/such/file.fits', 'No such file'),
        ('https://example.org/a.fits', 'download it first'),
        (np.zeros(5), 'no picture'),
        (np.zeros((1, 5)), 'no picture'),
        (np.zeros((4, 4), complex), 'complex'),
        (np.array([['a', 'b'], ['c', 'd']]), 'holds no pixel values'),
        ((PIXELS, 'x'), 'str beside an array'),
        (io.BytesIO(b'nothing of use'), 'neither FITS nor a picture'),
        (io.BytesIO(b''), 'neither FITS nor a picture'),
        (io.StringIO('text'), 'binary mode'),
        (io.BytesIO(b'SIMPLE  =' + b' ' * 3000), 'no END'),
    ],
)
def test_no_image(source, match):
    with pytest.raises(ImageError, match=match):
        read_image(source)


def test_folder_is_no_image(tmp_path):
    with pytest.raises(ImageError, match='cannot be read'):
        read_image(tmp_path)


def test_cut_off_files(tmp_path):
    data = np.zeros((200, 200), np.float32)
    path = write(tmp_path / 'a.fits', data)
    whole = path.read_bytes()
    path.write_bytes(whole[:20_000])
    with pytest.raises(ImageError, match='bytes are missing'):
        read_image(path)
    packed = gzip.compress(whole)
    path.write_bytes(packed[:-20])
    with pytest.raises(ImageError, match='damaged or cut off'):
        read_image(path)


def test_archive_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(_unpack, '_FREE_UNPACKED', 1 << 20)
    path = tmp_path / 'bomb.fits.gz'
    path.write_bytes(gzip.compress(b'SIMPLE  =' + bytes(1 << 21)))
    with pytest.raises(ImageError, match='more than 1048576 bytes'):
        read_image(path)


@pytest.mark.parametrize('ending', ['png', 'tif', 'gif', 'bmp', 'webp'])
def test_pictures_without_loss(tmp_path, ending):
    rgb = np.random.default_rng(2).integers(0, 256, (20, 30, 3), np.uint8)
    path = tmp_path / f'a.{ending}'
    picture = Image.fromarray(rgb)
    if ending == 'gif':
        picture = picture.convert('L')
        rgb = np.repeat(np.asarray(picture)[..., None], 3, axis=2)
    options = {'lossless': True} if ending == 'webp' else {}
    picture.save(path, **options)
    image = read_image(path)
    np.testing.assert_array_equal(image.data, rgb)
    assert image.origin == 'upper'


@pytest.mark.parametrize('turn', range(1, 9))
def test_exif_orientation(tmp_path, turn):
    # Left half red, top row of it brighter: tells all eight apart.
    rgb = np.zeros((64, 96, 3), np.uint8)
    rgb[:, :48, 0] = 120
    rgb[:32, :48, 0] = 250
    exif = Image.Exif()
    exif[0x0112] = turn
    # How a camera stores the scene, by the EXIF 2.3 specification (4.6.4).
    stored = {
        1: rgb, 2: rgb[:, ::-1], 3: rgb[::-1, ::-1], 4: rgb[::-1],
        5: rgb.swapaxes(0, 1), 6: np.rot90(rgb, 1),
        7: rgb[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(rgb, -1),
    }[turn]  # fmt: skip
    path = tmp_path / 'a.jpg'
    Image.fromarray(np.ascontiguousarray(stored)).save(
        path, exif=exif, quality=95
    )
    image = read_image(path)
    assert image.shape == (64, 96)
    assert abs(image.data.astype(int) - rgb).mean() < 4
    picture = render(image, size=24, fit='squash')
    assert picture[3, 3, 0] > 230
    assert 100 < picture[-4, 3, 0] < 140
    assert picture[:, -4].max() < 20


def test_picture_modes(tmp_path):
    grey = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (20, 1))
    rgb = np.repeat(grey[..., None], 3, axis=2)
    pictures = {
        'L': Image.fromarray(grey),
        'P': Image.fromarray(grey).convert('P'),
        '1': Image.fromarray((grey > 127).astype(np.uint8) * 255).convert('1'),
        'I;16': Image.fromarray(grey.astype(np.uint16) * 257),
        'F': Image.fromarray(grey.astype(np.float32)),
        'LA': Image.fromarray(grey).convert('LA'),
        'RGBA': Image.fromarray(rgb).convert('RGBA'),
        'CMYK': Image.fromarray(rgb).convert('CMYK'),
    }
    for mode, picture in pictures.items():
        image = read_image(picture)
        expected = (rgb > 127) * 255 if mode == '1' else rgb
        np.testing.assert_allclose(image.data, expected, atol=2, err_msg=mode)
    half = np.dstack([rgb, np.full((20, 40), 128, np.uint8)])
    shown = read_image(Image.fromarray(half)).data
    np.testing.assert_allclose(shown, rgb / 2, atol=2)


def test_users_picture_is_left_alone(tmp_path):
    path = tmp_path / 'a.jpg'
    Image.new('RGB', (600, 400), (10, 20, 30)).save(path)
    with Image.open(path) as picture:
        render(picture, size=32)
        assert picture.size == (600, 400)
        assert picture.getpixel((5, 5)) == (10, 20, 30)


@pytest.mark.parametrize('ending', ['jpg', 'png', 'tif'])
def test_damaged_pictures(tmp_path, ending):
    noise = np.random.default_rng(1).integers(0, 255, (90, 90, 3), np.uint8)
    path = tmp_path / f'a.{ending}'
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ImageError, match='damaged or'):
        read_image(path)


def test_decompression_bomb(tmp_path):
    path = tmp_path / 'a.png'
    Image.new('1', (5000, 5000)).save(path, optimize=True)
    with pytest.raises(ImageError, match='5000 x 5000'):
        read_image(path)


def test_broken_world_coordinates():
    header = sky_header(CRVAL2=1e30)
    with pytest.warns(AstroClipWarning, match='CRVAL2') as caught:
        image = read_image(fits.PrimaryHDU(PIXELS, header))
    assert len(caught) == 1
    assert image.wcs is None
    assert image.coordinates is None
    with pytest.warns(AstroClipWarning, match='not used'):
        image = read_image((PIXELS, sky_header(CDELT1=0.0)))
    assert image.wcs is None
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        linear = sky_header(CTYPE1='X', CTYPE2='Y')
        assert read_image((PIXELS, linear)).wcs is None


def test_sky_image_checks():
    image = SkyImage(PIXELS, mask=PIXELS > 40, meta={'source': 'here'})
    changed = image.with_meta(band='r')
    assert changed.meta == {'source': 'here', 'band': 'r'}
    np.testing.assert_array_equal(changed.mask, PIXELS > 40)
    assert 'here' in repr(image)
    with pytest.raises(ImageError, match='does not fit'):
        SkyImage(PIXELS, mask=np.zeros((2, 2), bool))
    with pytest.raises(ImageError, match='no image'):
        SkyImage(np.zeros((4, 4, 2)))
    with pytest.raises(ImageError, match='origin'):
        SkyImage(PIXELS, origin='left')
    with pytest.raises(AttributeError):
        image.colour  # noqa: B018


def test_mapped_file_is_not_read(tmp_path):
    # A file whose pixels are never touched may be far larger than memory.
    path = tmp_path / 'large.fits'
    header = fits.Header()
    header.update(
        SIMPLE=True, BITPIX=-32, NAXIS=2, NAXIS1=100_000, NAXIS2=100_000
    )
    with path.open('wb') as file:
        file.write(header.tostring().encode())
        file.truncate(len(header.tostring()) + 40_000_001_280)
    image = read_image(path)
    assert image.shape == (100_000, 100_000)


def test_polynomials_without_their_suffix():
    # Spitzer and others leave -SIP out of CTYPE; the polynomial still holds.
    def header(suffix):
        return sky_header(
            CTYPE1=f'RA---TAN{suffix}', CTYPE2=f'DEC--TAN{suffix}',
            A_ORDER=2, B_ORDER=2, A_2_0=1e-2, B_0_2=2e-2,
        )  # fmt: skip

    plain, full = (read_image((PIXELS, header(s))).wcs for s in ('', '-SIP'))
    assert plain.sip is not None
    np.testing.assert_allclose(
        plain.all_pix2world(7, 5, 0), full.all_pix2world(7, 5, 0), atol=1e-12
    )


def test_alternate_coordinates():
    header = sky_header(CTYPE1='X', CTYPE2='Y')
    for key, value in sky_header(CRVAL1=33.0).items():
        header[f'{key}B'] = value
    assert read_image((PIXELS, header)).coordinates.ra.deg == pytest.approx(33)


def test_plates_of_old():
    path = shared_data('fits', 'astropy-data__HorseHead.fits')
    header = fits.getheader(path)
    before = read_image(path).coordinates
    for key in ('CTYPE', 'CRVAL', 'CRPIX', 'CD'):
        for card in header[f'{key}*']:
            del header[card]
    after = read_image((np.zeros((893, 891)), header)).coordinates
    assert before.separation(after).arcsec < 1
    assert after.ra.deg == pytest.approx(85.275, abs=0.01)


@pytest.mark.parametrize('dtype', ['>i2', '>i4', '>f4', '>f8'])
@pytest.mark.parametrize('factors', [(1e38, -1e308), (1e308, 1e38)])
def test_absurd_factors(dtype, factors):
    # A damaged BSCALE makes pixels unusable, and nothing else.
    pixels = ArrayPixels(
        PIXELS.astype(dtype), scale=factors[0], zero=factors[1]
    )
    image = SkyImage(pixels)
    assert image.mask is None or not np.isfinite(image.data[image.mask]).any()
    try:
        picture = render(image)
    except ImageError as exc:
        assert 'no usable pixel' in str(exc)  # noqa: PT017
    else:
        assert picture.shape == (224, 224, 3)
