# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Damaged and hostile files, made from good ones with a seed."""

import gzip
import io

import numpy as np
from astropy.io import fits
from PIL import Image

CARD, BLOCK = 80, 2880

VALUES = (
    '-1', '0', '1', '2', '3', '7', '9', '10', '99', '1000', '65536',
    '2147483647', '-2147483648', '4294967296', '9223372036854775807',
    '-9223372036854775808', '1E30', '-1E30', '1E308', '1E-300', '0.0', '-0.5',
    '0.5', '360.0', '-1E5', 'NaN', 'Inf', "'TEXT'", "''", "'LOOKUP'",
    "'RA---TAN-SIP'", "'DEC--TPV'", "'GLON-AIT'", "'RA---ZPN'", "'RA---HPX'",
    "'STOKES'", "'1E5'", "'\u00e9'", 'T', 'F', '', '12345678901234567890123',
    '1 2', "'unclosed", '{[', "'EXTVER: 1'", "'RICE_1'", "'HCOMPRESS_1'",
    "'PLIO_1'", "'1PB(1000)'", "'2A'", "'1QE'", '(1.0, 2.0)',
)  # fmt: skip
KEYS = (
    'SIMPLE', 'XTENSION', 'BITPIX', 'NAXIS', 'NAXIS1', 'NAXIS2', 'NAXIS3',
    'NAXIS999', 'PCOUNT', 'GCOUNT', 'GROUPS', 'EXTEND', 'BSCALE', 'BZERO',
    'BLANK', 'BUNIT', 'EXTNAME', 'EXTVER', 'TFIELDS', 'TFORM1', 'TFORM2',
    'TTYPE1', 'THEAP', 'TSCAL1', 'TZERO1', 'TNULL1', 'TDIM1',
    'ZIMAGE', 'ZBITPIX', 'ZNAXIS', 'ZNAXIS1', 'ZNAXIS2', 'ZTILE1', 'ZTILE2',
    'ZCMPTYPE', 'ZNAME1', 'ZVAL1', 'ZNAME2', 'ZVAL2', 'ZBLANK', 'ZQUANTIZ',
    'ZDITHER0', 'ZSCALE', 'ZZERO', 'ZMASKCMP', 'ZSIMPLE', 'ZTENSION',
    'WCSAXES', 'WCSNAME', 'CTYPE1', 'CTYPE2', 'CTYPE3', 'CUNIT1', 'CUNIT2',
    'CRPIX1', 'CRPIX2', 'CRVAL1', 'CRVAL2', 'CDELT1', 'CDELT2', 'CROTA2',
    'CD1_1', 'CD1_2', 'CD2_1', 'CD2_2', 'PC1_1', 'PC1_2', 'PC001001',
    'PV1_0', 'PV1_1', 'PV2_0', 'PV2_1', 'PV2_20', 'PV2_99', 'PV2_999',
    'LONPOLE', 'LATPOLE', 'RADESYS', 'EQUINOX', 'EPOCH', 'DATE-OBS',
    'MJD-OBS', 'TIMESYS', 'OBSGEO-X', 'SPECSYS', 'RESTFRQ', 'VELREF',
    'A_ORDER', 'B_ORDER', 'AP_ORDER', 'BP_ORDER', 'A_0_2', 'B_2_0', 'A_9_9',
    'A_DMAX', 'CPDIS1', 'CPDIS2', 'DP1', 'DP2', 'CPERR1', 'D2IMDIS1',
    'D2IMDIS2', 'D2IM1', 'D2IMERR1', 'AXISCORR', 'D2IMEXT', 'CQDIS1', 'DQ1',
    'WAT0_001', 'WAT1_001', 'WAT2_001', 'PPO3', 'AMDX1', 'AMDY13',
    'AMDX99', 'PLTRAH', 'PLTDECSN', 'XPIXELSZ', 'CNPIX1',
    'PPO9', 'AMDY1', 'PLTSCALE',
    'TELESCOP', 'INSTRUME', 'OBJECT', 'EXPTIME', 'EXPSTART', 'SATURATE',
    'MP_SAT', 'CONTINUE', 'HIERARCH', 'INHERIT', 'CHECKSUM', 'DATASUM',
)  # fmt: skip


def cards_at(data):
    """Offsets of the cards of all headers, and of those of each END."""
    found, ends, start = [], [], 0
    for start in range(0, len(data), BLOCK):
        head = data[start : start + 9]
        if head.startswith((b'SIMPLE  =', b'XTENSION=')):
            for at in range(start, min(len(data), start + 40 * BLOCK), CARD):
                if data[at : at + 8] == b'END     ':
                    ends.append(at)
                    break
                found.append(at)
    return found, ends


def _card(rng, key=None):
    key = key or rng.choice(KEYS)
    value = rng.choice(VALUES)
    if rng.random() < 0.05:
        key = f'DP{rng.integers(1, 3)}.AXIS.{rng.integers(0, 9)}'
        text = f"{key[:3]:8s}= '{key[4:]}: {value}'"
    else:
        text = f'{key:8s}= {value:>20s}'
    return text.encode('utf-8')[:CARD].ljust(CARD)


def mutate_fits(data, rng):
    """Damage a FITS file in one to four ways."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        found, ends = cards_at(data)
        how = rng.random()
        if how < 0.4 and found:
            at = found[rng.integers(len(found))]
            key = bytes(data[at : at + 8]).decode('ascii', 'replace').strip()
            data[at : at + CARD] = _card(rng, key or None)
        elif how < 0.7 and ends and found:
            at = found[rng.integers(len(found))]
            data[at : at + CARD] = _card(rng)
        elif how < 0.78:
            del data[rng.integers(len(data)) :]
        elif how < 0.9:
            for _ in range(rng.integers(1, 20)):
                if data:
                    data[rng.integers(len(data))] = rng.integers(256)
        elif how < 0.95 and ends:
            # The start of the data: descriptors of a compressed image.
            at = min(ends[-1] // BLOCK * BLOCK + BLOCK, len(data))
            for _ in range(8):
                if at < len(data):
                    place = rng.integers(at, min(len(data), at + 400))
                    data[place] = rng.integers(256)
        elif found:
            at = found[rng.integers(len(found))]
            other = found[rng.integers(len(found))]
            data[at : at + CARD] = data[other : other + CARD]
        if not data:
            break
    return bytes(data)


def mutate_bytes(data, rng):
    """Damage any file: bytes changed, cut off, or taken out."""
    data = bytearray(data)
    how = rng.random()
    if how < 0.3:
        del data[rng.integers(len(data)) :]
    elif how < 0.4:
        at = rng.integers(len(data))
        del data[at : at + rng.integers(1, 200)]
    else:
        near = len(data) if rng.random() < 0.5 else min(len(data), 600)
        for _ in range(rng.integers(1, 12)):
            data[rng.integers(near)] = rng.integers(256)
    return bytes(data)


def mutate(data, rng):
    """Damage a file of whichever kind it is."""
    if data[:6] == b'SIMPLE':
        return mutate_fits(data, rng)
    return mutate_bytes(data, rng)


def generated_files():
    """Small good files of many kinds, by name."""
    rng = np.random.default_rng(5)
    sky = rng.normal(100, 5, (40, 50)).astype(np.float32)
    sky[10:14, 20:24] += 500
    header = fits.Header()
    header.update(
        CTYPE1='RA---TAN-SIP', CTYPE2='DEC--TAN-SIP', CRVAL1=150.0,
        CRVAL2=2.0, CRPIX1=25.0, CRPIX2=20.0, CD1_1=-1e-4, CD1_2=0.0,
        CD2_1=0.0, CD2_2=1e-4, A_ORDER=2, B_ORDER=2, A_2_0=1e-6, B_0_2=1e-6,
        TELESCOP='TEST', EXPTIME=10.0,
    )  # fmt: skip
    files = {}

    def keep(name, *hdus):
        stream = io.BytesIO()
        fits.HDUList(list(hdus)).writeto(stream)
        files[name] = stream.getvalue()

    keep('plain.fits', fits.PrimaryHDU(sky, header))
    scaled = fits.PrimaryHDU((sky * 10).astype(np.int16), header)
    keep('integer.fits', scaled)
    flags = (sky > 300).astype(np.int16)
    keep(
        'sci.fits',
        fits.PrimaryHDU(header=fits.Header({'TELESCOP': 'HST'})),
        fits.ImageHDU(sky, header, name='SCI', ver=1),
        fits.ImageHDU(flags, name='DQ', ver=1),
    )
    cube = np.stack([sky, sky, sky])
    keep('cube.fits', fits.PrimaryHDU(cube))
    for kind in ('RICE_1', 'GZIP_2', 'PLIO_1', 'HCOMPRESS_1'):
        data = (sky * 10).astype(np.int32)
        keep(
            f'{kind}.fits',
            fits.PrimaryHDU(),
            fits.CompImageHDU(
                data, header, compression_type=kind, tile_shape=(16, 25)
            ),
        )
    lookup = header.copy()
    lookup['CTYPE1'], lookup['CTYPE2'] = 'RA---TAN', 'DEC--TAN'
    for n in '12':
        lookup[f'CPDIS{n}'] = 'LOOKUP'
        lookup[f'CPERR{n}'] = 0.5
        lookup[f'DP{n}.EXTVER'] = float(n)
        lookup[f'DP{n}.NAXES'] = 2.0
        lookup[f'DP{n}.AXIS.1'] = 1.0
        lookup[f'DP{n}.AXIS.2'] = 2.0
    tables = []
    for n in (1, 2):
        table = fits.ImageHDU(
            rng.normal(0, 0.3, (4, 5)).astype(np.float32),
            name='WCSDVARR', ver=n,
        )  # fmt: skip
        table.header.update(
            CRPIX1=0.0, CRPIX2=0.0, CRVAL1=0.0, CRVAL2=0.0, CDELT1=12.0,
            CDELT2=12.0,
        )  # fmt: skip
        tables.append(table)
    keep('lookup.fits', fits.PrimaryHDU(sky, lookup), *tables)
    # A plate solution as the Digitized Sky Survey writes it, and no other.
    plate = fits.Header()
    for key, value in zip(
        ('PLTRAH', 'PLTRAM', 'PLTRAS', 'PLTDECSN', 'PLTDECD', 'PLTDECM',
         'PLTDECS', 'CNPIX1', 'CNPIX2', 'XPIXELSZ', 'YPIXELSZ', 'PLTSCALE'),
        (5, 42, 23.86, '-', 4, 56, 47.9, 8400, 8200, 15.0, 15.0, 67.2),
        strict=True,
    ):  # fmt: skip
        plate[key] = value
    for n in range(1, 7):
        plate[f'PPO{n}'] = 177500.0 if n in (3, 6) else 0.0
    for n in range(1, 21):
        plate[f'AMDX{n}'] = 67.2 if n == 1 else 0.0
        plate[f'AMDY{n}'] = 67.2 if n == 1 else 0.0
    keep('plate.fits', fits.PrimaryHDU(sky, plate))
    files['plain.fits.gz'] = gzip.compress(files['plain.fits'], mtime=0)
    colours = rng.integers(0, 255, (32, 40, 3), dtype=np.uint8)
    for kind, mode in (
        ('JPEG', 'RGB'), ('JPEG', 'CMYK'), ('PNG', 'RGBA'), ('PNG', 'P'),
        ('PNG', 'I;16'), ('TIFF', 'RGB'), ('TIFF', 'F'), ('GIF', 'P'),
    ):  # fmt: skip
        picture = Image.fromarray(colours)
        if mode in ('I;16', 'F'):
            values = np.asarray(picture.convert('L'))
            number = np.float32 if mode == 'F' else np.uint16
            picture = Image.fromarray(values.astype(number) * number(257))
        else:
            picture = picture.convert(mode)
        stream = io.BytesIO()
        picture.save(stream, kind)
        files[f'{mode}.{kind.lower()}'] = stream.getvalue()
    return files
