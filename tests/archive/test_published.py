# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Collections that are published at an address."""

import hashlib

import pytest
from _faults import picture

from astroclip_search import conf
from astroclip_search.archive import fetch_collection
from astroclip_search.exceptions import ArchiveError, QueryError

FILES = {
    'manifest.json': b'{"name": "m"}' + b' ' * 100,
    'segments/0.arrow': picture('0', 5000),
    'segments/1.arrow': picture('1', 5000),
    'thumbnails_0.bin': picture('t', 100),
}


def sha(data):
    return hashlib.sha256(data).hexdigest()


def publish(server, files=FILES, sums=None):
    if sums is None:
        sums = {name: sha(data) for name, data in files.items()}
    text = ''.join(f'{digest}  ./{name}\n' for name, digest in sums.items())
    server.content['/pub/my.astroclip/SHA256SUMS'] = text.encode()
    for name, data in files.items():
        server.content[f'/pub/my.astroclip/{name}'] = data
    return server.url('/pub/my.astroclip')


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


def test_fetched_once_and_then_offline(server):
    address = publish(server)
    folder = fetch_collection(address)
    assert content(folder) == FILES
    assert folder.suffix == '.astroclip'
    asked = len(server.requests)
    assert asked == 5
    assert fetch_collection(address + '/') == folder
    assert len(server.requests) == asked


def test_rebuilt_from_the_cache_alone(server):
    import shutil

    address = publish(server)
    folder = fetch_collection(address)
    shutil.rmtree(folder)
    server.requests.clear()
    assert content(fetch_collection(address)) == FILES
    assert server.requests == []


def test_new_version_fetches_what_changed(server):
    address = publish(server)
    old = fetch_collection(address)
    changed = {**FILES, 'segments/1.arrow': picture('new', 5000)}
    publish(server, changed)
    assert fetch_collection(address) == old
    server.requests.clear()
    new = fetch_collection(address, cache=False)
    assert new != old
    assert content(new) == changed
    assert content(old) == FILES
    assert sorted(path for path, _ in server.requests) == [
        '/pub/my.astroclip/SHA256SUMS',
        '/pub/my.astroclip/segments/1.arrow',
    ]


def test_altered_file_is_refused_and_nothing_stays(server):
    sums = {name: sha(data) for name, data in FILES.items()}
    address = publish(server, {**FILES, 'segments/0.arrow': b'x' * 90}, sums)
    with pytest.raises(ArchiveError, match='its SHA-256 differs'):
        fetch_collection(address)
    publish(server)  # the publisher mends it
    assert content(fetch_collection(address)) == FILES


def test_failing_files_are_fetched_by_the_next_call(server):
    address = publish(server)
    path = '/pub/my.astroclip/segments/1.arrow'
    server.faults[path] = ['status=404']
    with pytest.raises(ArchiveError, match='1 of 4 files'):
        fetch_collection(address)
    server.requests.clear()
    assert content(fetch_collection(address)) == FILES
    assert [p for p, _ in server.requests] == [path]


def test_pinned_version(server):
    address = publish(server)
    sums = server.content['/pub/my.astroclip/SHA256SUMS']
    folder = fetch_collection(f'{address}#sha256={sha(sums)}')
    assert content(folder) == FILES
    with pytest.raises(ArchiveError, match='another version'):
        fetch_collection(f'{address}#sha256={"0" * 64}', cache=False)


@pytest.mark.parametrize(
    'name',
    [
        '../evil.py', '/etc/cron.d/x', 'a/../../x', '..\\x', 'C:\\x',
        '.bashrc', 'con', 'a//b', 'segments/nul.arrow', 'x' * 300,
    ],
)  # fmt: skip
def test_paths_that_lead_elsewhere_are_refused(server, name, tmp_path):
    address = publish(server)
    line = f'{"0" * 64}  {name}\n'
    server.content['/pub/my.astroclip/SHA256SUMS'] += line.encode()
    with pytest.raises(ArchiveError, match='a line that is refused'):
        fetch_collection(address)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    'sums', [b'hello world', b'', b'<html>\xff', b'0' * 64 + b'  a.arrow\n']
)
def test_address_without_collection(server, sums):
    address = publish(server)
    server.content['/pub/my.astroclip/SHA256SUMS'] = sums
    with conf.set_temp('retries', 0), pytest.raises(ArchiveError):
        fetch_collection(address)


def test_server_that_fails(server):
    server.always['/pub/SHA256SUMS'] = 'status=404'
    with pytest.raises(ArchiveError, match='SHA256SUMS was not fetched'):
        fetch_collection(server.url('/pub'))


@pytest.mark.parametrize(
    'address',
    ['file:///etc', 'my.astroclip', 'http://', 'http://h/x#md5=12'],
)
def test_what_is_no_address(address):
    with pytest.raises(QueryError):
        fetch_collection(address)
