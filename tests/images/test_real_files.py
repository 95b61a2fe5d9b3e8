# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Every real file gives a picture, or a clear error where there is none."""

import warnings

import numpy as np
import pytest
from _shared import SHARED, read_jsonl, shared_data
from astropy.coordinates import SkyCoord

from astroclip_search.exceptions import ImageError
from astroclip_search.images import image_facts, read_image, render

FOLDER = SHARED / 'fits'
ROWS = read_jsonl(FOLDER / 'fits.jsonl') if FOLDER.is_dir() else []
# Files without a picture, and the rule that says so.
NO_IMAGE = {
    'astropy__arange.fits': 'is a cube',
    'astropy__blank.fits': '1 x 1 pixels',
    'astropy__j94f05bgq_flt.fits': '1 x 1 pixels',
    'reproject__bayestar.fits.gz': 'holds no image',
}
# Pixels that all have one value.
FLAT = {
    'fitsio__test_gzip_compressed_image.fits.fz',
    'grizli__jw42424001001_01101_00001_nrca1_rate.fits.gz',
}


def test_files_are_there():
    shared_data('fits')
    assert len(ROWS) == 40


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row['file'])
def test_real_file(row):
    path = FOLDER / row['file']
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        if row['file'] in NO_IMAGE:
            with pytest.raises(ImageError, match=NO_IMAGE[row['file']]):
                read_image(path)
            return
        image = read_image(path)
        picture = render(image)
        facts = image_facts(image)
    shape = f'{image.shape[0]}x{image.shape[1]}'
    assert shape in row['hdus']
    spread = np.percentile(picture, 99) - np.percentile(picture, 1)
    if row['file'] in FLAT:
        assert len(np.unique(image.data)) == 1
    elif 'ood_z' not in row['file']:  # a mask, nearly all zero
        assert spread > 40
    if row.get('has_nan'):
        assert image.mask.any()
    if 's_ra' in facts and 'ra' in row:
        there = SkyCoord(row['ra'], row['dec'], unit='deg')
        apart = there.separation(image.coordinates).deg
        # The manifest has the centre, or the reference pixel of a file.
        assert apart < max(0.02, facts.get('s_fov', 360))
