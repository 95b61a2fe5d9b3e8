# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Downloads from a server that fails."""

import ipaddress
import random
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import requests
from _faults import FaultServer, picture, serving

from astroclip_search.archive import download
from astroclip_search.archive._answers import retry_after
from astroclip_search.archive._transfer import backoff as BACKOFF
from astroclip_search.exceptions import ArchiveError, QueryError

QUICK = {'timeout': 0.4, 'retries': 2}


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    'fault',
    [
        'status=500', 'status=502', 'status=503', 'status=408', 'busy=0',
        'down=0', 'html', 'disguised', 'text', 'empty', 'truncated',
        'untagged', 'changed', 'endless', 'chunked=1', 'reset', 'stall',
        'stalled_body', 'drip',
    ],
)  # fmt: skip
def test_passing_fault_leaves_an_intact_file(server, tmp_path, fault):
    server.faults['/a.jpg'] = [fault]
    report = download(
        [server.url('/a.jpg')], tmp_path / 'f', names=['a.jpg'], **QUICK
    )
    assert list(report.failures['reason']) == []
    assert report.paths[0].read_bytes() == picture('/a.jpg')
    assert (report.fetched, report.present) == (1, 0)
    assert names_in(tmp_path / 'f') == ['a.jpg']  # nothing lies about
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ('fault', 'reason', 'tries'),
    [
        ('status=404', 'HTTP status 404 Not Found', 1),
        ('status=403', 'HTTP status 403 Forbidden', 1),
        ('status=500', 'HTTP status 500 Internal Server Error', 3),
        ('busy=0', 'HTTP status 429 Too Many Requests', 3),
        ('html', 'HTML page', 3),
        ('disguised', 'HTML page', 3),
        ('text', "starts with 'error: no such d'", 3),
        ('empty', 'empty file', 3),
        ('untagged', '2000 bytes read, 2000 more expected', 3),
        ('endless', 'cut off after 2000 bytes', 3),
        ('chunked=1', 'connection broke', 3),
        ('reset', 'no connection to 127.0.0.1', 3),
        ('stall', 'no answer for 0.4 s', 3),
        ('stalled_body', 'no answer for 0.4 s', 3),
        ('drip', 'slower than 1000 bytes a second', 3),
        ('huge', '1000000000000 bytes are more than the limit of 50000', 1),
        ('flood', 'more than the limit of 50000', 1),
        ('moved=file:///etc/hostname', 'which is no web address', 1),
        ('flooding_redirect', 'more than 5 redirects', 6),
        ('moved=ftp://127.0.0.1/x', 'which is no web address', 1),
    ],
)
def test_lasting_fault_is_listed_with_its_reason(
    server, tmp_path, fault, reason, tries
):
    server.always['/a.jpg'] = fault
    report = download(
        [server.url('/a.jpg'), server.url('/b.jpg')],
        tmp_path,
        max_size=50_000,
        **QUICK,
    )
    assert report.paths[0] is None
    assert report.paths[1].read_bytes() == picture('/b.jpg')
    assert list(report.failures['url']) == [server.url('/a.jpg')]
    assert reason in report.failures['reason'][0]
    asked = [path for path, _ in server.requests if path == '/a.jpg']
    assert len(asked) == tries
    assert names_in(tmp_path)[-1].startswith('b-')


def test_redirect_loop_ends(server, tmp_path):
    server.always['/a.jpg'] = 'loop'
    report = download([server.url('/a.jpg')], tmp_path, **QUICK)
    assert report.failures['reason'][0] == 'more than 5 redirects'
    assert len(server.requests) == 6


def test_partial_file_is_resumed_in_a_later_run(server, tmp_path):
    server.faults['/a.jpg'] = ['truncated']
    url = server.url('/a.jpg')
    report = download([url], tmp_path, timeout=1, retries=0)
    assert report.paths == [None]
    assert all(name.startswith('.') for name in names_in(tmp_path))
    report = download([url], tmp_path, timeout=1, retries=0)
    assert report.paths[0].read_bytes() == picture('/a.jpg')
    assert server.requests[1][1]['Range'] == 'bytes=2000-'
    assert names_in(tmp_path) == [report.paths[0].name]


def test_partial_file_of_another_version_is_not_resumed(server, tmp_path):
    server.faults['/a.jpg'] = ['changed']
    url = server.url('/a.jpg')
    download([url], tmp_path, timeout=1, retries=0)
    report = download([url], tmp_path, timeout=1, retries=0)
    assert report.paths[0].read_bytes() == picture('/a.jpg')
    assert server.requests[1][1]['If-Range'] == '"old"'


def test_rerun_fetches_only_what_is_missing(server, tmp_path):
    urls = [server.url(f'/{n}.jpg') for n in range(12)]
    for n in (3, 7):
        server.faults[f'/{n}.jpg'] = ['status=404']
    first = download(urls, tmp_path, **QUICK)
    assert (first.fetched, len(first.failures)) == (10, 2)
    server.requests.clear()
    second = download(urls, tmp_path, **QUICK)
    assert (second.fetched, second.present) == (2, 10)
    assert sorted(p for p, _ in server.requests) == ['/3.jpg', '/7.jpg']
    assert [p.read_bytes() for p in second.paths] == [
        picture(f'/{n}.jpg') for n in range(12)
    ]


def test_hundred_files_with_thirty_percent_faults(server, tmp_path):
    passing = ['status=500', 'truncated', 'html', 'reset', 'busy=0', 'text']
    lasting = ['status=404', 'disguised', 'untagged', 'loop', 'empty']
    good = {f'/{n}.jpg' for n in range(100)}
    for n in range(0, 100, 5):
        server.faults[f'/{n}.jpg'] = [passing[n // 5 % len(passing)]]
    for n in range(1, 100, 10):
        server.always[f'/{n}.jpg'] = lasting[n // 10 % len(lasting)]
        good.discard(f'/{n}.jpg')
    urls = [server.url(f'/{n}.jpg') for n in range(100)]
    report = download(urls, tmp_path, workers=6, **QUICK)
    for n, path in enumerate(report.paths):
        name = f'/{n}.jpg'
        assert (path is not None) == (name in good)
        assert path is None or path.read_bytes() == picture(name)
    assert len(report.failures) == 10
    assert server.peak <= 6


def test_waits_grow_stay_bounded_and_follow_the_seed():
    waits = [BACKOFF(n, random.Random(1)) for n in range(12)]
    for n, seconds in enumerate(waits):
        longest = min(0.25 * 2**n, 30)
        assert longest / 2 <= seconds <= longest
    assert waits == [BACKOFF(n, random.Random(1)) for n in range(12)]
    assert waits != [BACKOFF(n, random.Random(2)) for n in range(12)]


@pytest.mark.parametrize(
    ('header', 'seconds'),
    [
        ('7', 7), ('100000', 120), ('-3', None), ('soon', None), (None, None),
        ('Fri, 01 Jan 2100 00:00:00 GMT', 120),
        ('Fri, 01 Jan 1999 00:00:00 GMT', 0),
    ],
)  # fmt: skip
def test_retry_after_is_read_and_bounded(header, seconds):
    response = requests.Response()
    if header is not None:
        response.headers['Retry-After'] = header
    assert retry_after(response) == seconds


def test_retry_after_holds_for_every_file_of_the_server(server, tmp_path):
    server.faults['/0.jpg'] = ['busy=1']
    urls = [server.url(f'/{n}.jpg') for n in range(4)]
    start = time.monotonic()
    report = download(urls, tmp_path, workers=1, retries=1, timeout=5)
    assert report.fetched == 4
    assert time.monotonic() - start >= 1


def test_server_that_is_down_is_given_up(tmp_path):
    # Nothing listens on the discard port of the loopback.
    urls = [f'http://127.0.0.1:9/{n}.jpg' for n in range(40)]
    report = download(urls, tmp_path, retries=0, workers=2, timeout=1)
    reasons = list(report.failures['reason'])
    assert len(reasons) == 40
    assert sum('no connection' in r for r in reasons) <= 20
    assert 'had no answer' in reasons[-1]


def test_plain_server_behind_https_is_explained(server, tmp_path):
    url = server.url('/a.jpg').replace('http:', 'https:')
    report = download([url], tmp_path, **QUICK)
    reason = report.failures['reason'][0]
    assert reason.startswith('the TLS connection to 127.0.0.1 failed')
    assert 'REQUESTS_CA_BUNDLE' in reason


@pytest.mark.parametrize(
    'url',
    [
        'file:///etc/hostname', 'javascript:alert(1)', 'ftp://host/a.fits',
        'data:image/png;base64,AAAA', 's3://bucket/a', 'a.jpg', '',
        'http://', 'http://[::1',
    ],
)  # fmt: skip
def test_other_addresses_are_refused(tmp_path, url):
    report = download([url], tmp_path)
    assert report.paths == [None]
    assert len(report.failures) == 1
    assert names_in(tmp_path) == []


def test_file_addresses_on_request(tmp_path):
    source = tmp_path / 'a picture.jpg'
    source.write_bytes(picture('x'))
    report = download([source.as_uri()], tmp_path / 'f', schemes=['file'])
    assert report.paths[0].read_bytes() == picture('x')
    missing = (tmp_path / 'none.jpg').as_uri()
    report = download([missing], tmp_path / 'f', schemes=['file'])
    assert 'cannot be read' in report.failures['reason'][0]


def test_repeated_address_is_fetched_once(server, tmp_path):
    url = server.url('/a.jpg')
    report = download([url, url], tmp_path, **QUICK)
    assert report.paths[0] == report.paths[1]
    assert report.fetched == len(server.requests) == 1


def test_names_of_two_addresses_may_not_clash(tmp_path):
    urls = ['http://h/1', 'http://h/2']
    with pytest.raises(QueryError, match='each address needs its own'):
        download(urls, tmp_path, names=['A.jpg', 'a.jpg'])
    with pytest.raises(QueryError, match='1 names were given for 2'):
        download(urls, tmp_path, names=['a.jpg'])


@pytest.mark.parametrize(
    'arguments',
    [{'kind': 'movie'}, {'timeout': 0}, {'retries': -1}, {'workers': 0}],
)
def test_bad_arguments(tmp_path, arguments):
    with pytest.raises(QueryError):
        download([], tmp_path, **arguments)


def test_folder_that_is_a_file(server, tmp_path):
    (tmp_path / 'f').write_text('')
    with pytest.raises(ArchiveError, match='cannot be written'):
        download([server.url('/a.jpg')], tmp_path / 'f')


def test_interrupt_ends_the_run_and_leaves_no_half_file(
    server, tmp_path, monkeypatch
):
    server.stall = 30
    urls = [server.url(f'/{n}.jpg') for n in range(8)]
    for n in range(4, 8):
        server.always[f'/{n}.jpg'] = 'status=503'

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr('astroclip_search.archive._pool.wait', interrupt)
    before = threading.active_count()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        download(urls, tmp_path, timeout=5, retries=8)
    assert time.monotonic() - start < 5
    assert threading.active_count() <= before + 4  # the server's own
    for name in names_in(tmp_path):
        if not name.startswith('.'):
            assert (tmp_path / name).stat().st_size == 4000


def test_many_files_take_little_memory(server, tmp_path):
    import tracemalloc

    server.content['/big.jpg'] = picture('big', 30_000_000)
    tracemalloc.start()
    report = download([server.url('/big.jpg')], tmp_path, timeout=20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.paths[0].stat().st_size == 30_000_000
    # The server's copy is in this process as well, but was made before.
    assert peak < 10_000_000


@pytest.fixture
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that nobody signed but itself."""
    x509 = pytest.importorskip('cryptography.x509')
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(x509.NameOID.COMMON_NAME, '127.0.0.1')]
    )
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address('127.0.0.1'))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp('tls') / 'both.pem'
    encoding = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(
            encoding,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(encoding)
    )
    return path


def test_certificate_that_nobody_signed(tmp_path, certificate, monkeypatch):
    secure = FaultServer()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    with serving(secure):
        url = secure.url('/a.jpg').replace('http:', 'https:')
        report = download([url], tmp_path, **QUICK)
        reason = report.failures['reason'][0]
        assert 'the TLS connection to 127.0.0.1 failed' in reason
        assert 'check the date of this computer' in reason
        # What the message says helps.
        monkeypatch.setenv('REQUESTS_CA_BUNDLE', str(certificate))
        assert download([url], tmp_path, **QUICK).fetched == 1
