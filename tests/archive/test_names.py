# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""File names and positions from what archives and users write."""

import json

import astropy.units as u
import pytest
from astropy.coordinates import SkyCoord, name_resolve

from astroclip_search.archive._names import (
    resolve_position,
    safe_name,
    url_name,
)
from astroclip_search.exceptions import ArchiveError, QueryError


@pytest.mark.parametrize(
    ('text', 'name'),
    [
        ('u9o40504m_drz.fits', 'u9o40504m_drz.fits'),
        ('../../etc/passwd', 'passwd'),
        ('..\\..\\boot.ini', 'boot.ini'),
        ('%2e%2e%2fevil.jpg', 'evil.jpg'),
        ('/absolute/a.jpg', 'a.jpg'),
        ('C:\\Windows\\a.jpg', 'a.jpg'),
        ('a.jpg:stream', 'a.jpg_stream'),
        ('.bashrc', 'bashrc'),
        ('..', 'file'),
        ('', 'file'),
        ('\x00\n', 'file'),
        ('con', '_con'),
        ('NUL.fits', '_NUL.fits'),
        ('LPT1.jpg', '_LPT1.jpg'),
        ('conditions.jpg', 'conditions.jpg'),
        ('a b<c>"d|e?.jpg', 'a_b_c_d_e_.jpg'),
        ('trailing. ', 'trailing'),
        ('naïve-\u202egpj.exe', 'na_ve-_gpj.exe'),
    ],
)
def test_safe_name(text, name):
    assert safe_name(text) == name


def test_long_names_keep_their_suffix():
    name = safe_name('x' * 5000 + '.fits')
    assert len(name) == 120
    assert name.endswith('.fits')


def test_name_of_an_address():
    mast = 'https://mast.stsci.edu/api/v0.1/Download/file?uri='
    name = url_name(mast + 'mast:JWST/product/jw1_i2d.jpg')
    assert name.startswith('jw1_i2d-')
    assert name.endswith('.jpg')
    assert name == url_name(mast + 'mast:JWST/product/jw1_i2d.jpg')
    assert name != url_name(mast + 'mast:HST/product/jw1_i2d.jpg')
    assert '/' not in url_name('http://host/a/..%2f..%2fb.jpg?x=../../c.jpg')


def test_position_in_another_frame():
    centre = SkyCoord(0 * u.deg, 0 * u.deg, frame='galactic')
    found = resolve_position(centre)
    assert found.frame.name == 'icrs'
    assert found.separation(centre) < 1e-6 * u.arcsec


@pytest.mark.parametrize(
    'position',
    [(10, 20), 10.5, None, '', '  ', SkyCoord([1, 2], [3, 4], unit='deg')],
)
def test_what_is_no_position(position):
    with pytest.raises(QueryError):
        resolve_position(position)


def test_name_without_network_says_how_to_go_on():
    with pytest.raises(ArchiveError, match=r'give the position: SkyCoord\('):
        resolve_position('Messier 31')


def test_name_is_resolved_by_sesame(server):
    reply = b'# M31\n#=S=Simbad\n%J 10.6847083 +41.2687500 = 00 42 44\n'
    server.content['/SNV'] = server.content['/NSV'] = reply
    with name_resolve.sesame_url.set([server.url('/')]):
        found = resolve_position('Messier 31')
    assert (
        json.dumps([found.ra.deg, found.dec.deg]) == '[10.6847083, 41.26875]'
    )
