# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Pictures of rows, and results of Virtual Observatory services."""

import gzip
import io

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, QTable, Table
from PIL import Image
from pyvo.dal import DALResults

from astroclip_search import AstroClipSearch
from astroclip_search.archive import to_obscore
from astroclip_search.archive._vo import vo_table
from astroclip_search.exceptions import (
    ArchiveError,
    AstroClipWarning,
    QueryError,
)

RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def encoded(array, kind):
    file = io.BytesIO()
    if kind == 'fits':
        fits.PrimaryHDU(array).writeto(file)
    else:
        Image.fromarray(array).save(file, kind)
    return file.getvalue()


def rows_of(urls):
    column = MaskedColumn(
        [url or '' for url in urls], mask=[url is None for url in urls]
    )
    return QTable({'access_url': column, 'target_name': ['M 51'] * len(urls)})


def test_fits_stays_fits(server):
    data = RAMP.astype('>f4')
    server.content['/a.fits'] = encoded(data, 'fits')
    server.content['/b.fits.gz'] = gzip.compress(encoded(data, 'fits'))
    urls = [server.url('/a.fits'), server.url('/b.fits.gz')]
    for hdus in AstroClipSearch.get_images(rows_of(urls)):
        assert isinstance(hdus, fits.HDUList)
        np.testing.assert_array_equal(hdus[0].data, RAMP)


def test_picture_becomes_a_primary_hdu_the_right_way_up(server):
    colour = np.stack([RAMP, RAMP // 2, 255 - RAMP], axis=-1)
    server.content['/a.png'] = encoded(colour, 'png')
    (hdus,) = AstroClipSearch.get_images(rows_of([server.url('/a.png')]))
    assert hdus[0].data.shape == (3, 8, 8)
    for k in range(3):
        np.testing.assert_array_equal(hdus[0].data[k], colour[::-1, :, k])
    assert hdus[0].header['OBJECT'] == 'M 51'
    file = io.BytesIO()
    hdus.writeto(file)  # valid, and complete in memory


def test_one_row_and_the_cache(server):
    server.content['/a.png'] = encoded(RAMP, 'png')
    rows = rows_of([server.url('/a.png')])
    AstroClipSearch.get_images(rows)
    assert len(AstroClipSearch.get_images(rows[0])) == 1
    assert len(server.requests) == 1
    AstroClipSearch.get_images(rows, cache=False)
    assert len(server.requests) == 2


def test_pictures_that_fail_are_none_and_told(server, tmp_path):
    server.always['/a.png'] = 'status=404'
    server.content['/b.png'] = encoded(RAMP, 'png')
    server.content['/c.fits'] = b'SIMPLE  =' + b' ' * 100
    local = tmp_path / 'local.png'
    local.write_bytes(server.content['/b.png'])
    urls = [
        server.url('/a.png'), None, 'javascript:alert(1)', '/dev/zero',
        server.url('/c.fits'), server.url('/b.png'), str(local),
        local.as_uri(),
    ]  # fmt: skip
    with pytest.warns(AstroClipWarning, match='5 of 8 pictures') as caught:
        images = AstroClipSearch.get_images(rows_of(urls))
    assert [image is None for image in images] == [True] * 5 + [False] * 3
    assert len(caught) == 1


@pytest.mark.parametrize('rows', [None, 'id', Table({'a': [1]})])
def test_what_are_no_rows(rows):
    with pytest.raises(QueryError, match='access_url'):
        AstroClipSearch.get_images(rows)


def dal_results(table, ucds=None):
    votable = from_table(table)
    for field in votable.get_first_table().fields:
        field.ucd = (ucds or {}).get(field.name)
    votable.resources[0].type = 'results'
    return DALResults(votable)


def test_results_of_obstap():
    table = Table(
        {
            'obs_id': ['a', 'b'], 's_ra': [1.0, 2.0], 's_dec': [3.0, 4.0],
            'em_min': [5e-7, 6e-7], 't_min': [59000.5, 59001.5],
            'access_url': ['https://h/a.png', 'https://h/b.png'],
            'access_format': ['image/png', 'image/fits'],
        }
    )  # fmt: skip
    found = to_obscore(vo_table(dal_results(table)))
    assert found['s_ra'].to_value('deg').tolist() == [1, 2]
    assert found['em_min'].to_value('m').tolist() == [5e-7, 6e-7]
    assert list(found['access_url']) == list(table['access_url'])


def test_results_of_sia_are_known_by_ucd():
    table = Table(
        {
            'titre': ['NGC 1'], 'alpha': [1.5], 'delta': [-2.5],
            'lien': ['https://h/a.fits'], 'mime': ['image/fits'],
            'taille': [2_000_000], 'lo': [5e-7],
        }
    )  # fmt: skip
    ucds = {
        'titre': 'VOX:Image_Title', 'alpha': 'POS_EQ_RA_MAIN',
        'delta': 'POS_EQ_DEC_MAIN', 'lien': 'VOX:Image_AccessReference',
        'mime': 'VOX:Image_Format', 'taille': 'VOX:Image_FileSize',
        'lo': 'VOX:BandPass_LoLimit',
    }  # fmt: skip
    found = to_obscore(vo_table(dal_results(table, ucds)))
    assert found['obs_title'][0] == 'NGC 1'
    assert found['s_ra'][0].to_value('deg') == 1.5
    assert found['s_dec'][0].to_value('deg') == -2.5
    assert found['access_url'][0] == 'https://h/a.fits'
    assert found['access_estsize'][0].to_value('kbyte') == 2000
    assert found['em_min'][0].to_value('m') == 5e-7


def test_results_without_images():
    with pytest.raises(ArchiveError, match='list no images'):
        vo_table(dal_results(Table({'ra': [1.0], 'dec': [2.0]})))
    with pytest.raises(QueryError, match='no result of pyvo'):
        vo_table(Table({'access_url': ['x']}))
