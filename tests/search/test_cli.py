# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The command line: results, messages, exit status, and what it writes."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table
from astropy.table import Table
from PIL import Image

from astroclip_search import __version__, search
from astroclip_search.cli import main

PROGRAM = 'import sys; from astroclip_search.cli import main; sys.exit(main())'


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def known(collection_path, model_path):
    return ['--collection', str(collection_path), '--model', str(model_path)]


def run(capsys, *args):
    """Exit status, standard output and standard error of a command."""
    try:
        status = main([str(arg) for arg in args])
    except SystemExit as exc:  # argparse
        status = exc.code
    out, err = capsys.readouterr()
    return status, out, err


def fails(capsys, *args):
    """Check that a command fails as it should, and return its message."""
    before = sorted(Path.cwd().iterdir())
    status, out, err = run(capsys, *args)
    assert status == 2
    assert out == ''
    assert err.count('\n') == 1
    assert err.startswith('astroclip-search: error: ')
    assert sorted(Path.cwd().iterdir()) == before
    return err


def test_search_json_is_what_search_returns(
    capsys, known, collection_path, model
):
    status, out, err = run(
        capsys, 'search', 'spiral', 'galaxy', *known, '--json', '--limit', 4
    )
    assert (status, err) == (0, '')
    found = json.loads(out)
    expected = search(
        'spiral galaxy', collection=collection_path, embedder=model, limit=4
    )
    assert [row['id'] for row in found] == list(expected['id'])
    assert [row['rank'] for row in found] == [1, 2, 3, 4]
    for row, similarity in zip(found, expected['similarity'], strict=True):
        assert row['similarity'] == pytest.approx(similarity)
        known_place = int(row['id'][3:]) % 5 != 0
        assert (row['s_ra'] is not None) == known_place


def test_both_ways_to_search_agree(capsys, known, here):
    """Tables are not even imported on the short way."""
    command = ['search', 'dust', *known, '--limit', 80]
    _, out, _ = run(capsys, *command, '--json')
    run(capsys, *command, '--json', '--output', 'out.json')
    assert json.loads(out) == json.loads((here / 'out.json').read_text())


def test_search_imports_nothing_heavy(known):
    program = (
        f'{PROGRAM.partition("; sys.exit")[0]}; main(sys.argv[1:]); '
        'heavy = {"torch", "scipy", "matplotlib", "mocpy", "transformers", '
        '"astropy.table", "astropy.coordinates"} & set(sys.modules); '
        'sys.exit(" ".join(heavy) or 0)'
    )
    done = subprocess.run(
        [sys.executable, '-c', program, 'search', 'dust', *known],
        capture_output=True,
        check=False,
    )
    assert done.stderr == b''


def test_search_table_for_people(capsys, known):
    status, out, _ = run(capsys, 'search', 'dust', *known, '--limit', 3)
    header, *lines = out.splitlines()
    assert status == 0
    assert header.split() == [
        'rank', 'target', 'RA', 'Dec', 'instrument', 'proposal',
        'similarity', 'score', 'access_url',
    ]  # fmt: skip
    assert len(lines) == 3
    assert all('https://example.org/' in line for line in lines)
    assert '\x1b' not in out


def test_terminal_of_80_columns(capsys, known, monkeypatch):
    monkeypatch.setenv('COLUMNS', '80')
    monkeypatch.setenv('NO_COLOR', '1')
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: True, raising=False)
    _, out, _ = run(capsys, 'search', 'dust', *known, '--limit', 3)
    lines = out.splitlines()
    assert len(lines) == 7
    assert max(map(len, lines)) <= 80
    assert all(line.strip().startswith('https:') for line in lines[2::2])
    assert '\x1b' not in out


def test_subtracted_word_and_examples(
    capsys, known, collection_path, model, here
):
    Image.fromarray(np.eye(30, dtype=np.uint8) * 255).save(here / 'i.png')
    status, out, _ = run(
        capsys, 'search', 'spiral', '-bar', '--image', 'i.png',
        '--like', 'row07', *known, '--json',
    )  # fmt: skip
    expected = search(
        ['spiral', '-bar', here / 'i.png', {'id': 'row07'}],
        collection=collection_path,
        embedder=model,
    )
    assert status == 0
    assert [row['id'] for row in json.loads(out)] == list(expected['id'])


def test_place_and_conditions(capsys, known):
    status, out, _ = run(
        capsys, 'search', 'dust', *known, '--json', '--limit', 80,
        '--position', '81 -69', '--radius', '40arcmin',
        '--where', 'instrument_name=acs', '--where', 't_exptime>=200',
        '--where', 't_exptime<=600',
    )  # fmt: skip
    rows = json.loads(out)
    assert status == 0
    assert rows
    assert all(row['separation'] <= 40 / 60 for row in rows)
    assert {row['instrument_name'] for row in rows} == {'ACS'}
    assert all(200 <= row['t_exptime'] <= 600 for row in rows)


def test_position_alone(capsys, known):
    status, out, _ = run(
        capsys, 'search', '--position', '05h24m00s -69d00m00s', *known,
        '--json', '--limit', 5,
    )  # fmt: skip
    separations = [row['separation'] for row in json.loads(out)]
    assert status == 0
    assert separations == sorted(separations)


def test_votable_on_standard_output(known):
    """A process of its own: VOTable is written as bytes."""
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM, 'search', 'dust', *known, '--votable'],
        capture_output=True,
        check=True,
    )
    table = parse_single_table(io.BytesIO(done.stdout))
    assert len(table.array) == 20
    assert table.get_field_by_id('s_ra').ucd == 'pos.eq.ra'
    assert done.stderr == b''


@pytest.mark.parametrize('ending', ['vot', 'json', 'ecsv', 'csv', 'fits'])
def test_output_file(capsys, known, here, ending):
    path = here / f'out.{ending}'
    status, out, err = run(
        capsys, 'search', 'dust', *known, '--limit', 3, '--quiet',
        '--output', path,
    )  # fmt: skip
    assert (status, out, err) == (0, '', '')
    assert [p.name for p in here.iterdir()] == [path.name]
    if ending == 'json':
        names = [row['id'] for row in json.loads(path.read_text())]
    else:
        forms = {'vot': 'votable', 'ecsv': 'ascii.ecsv', 'csv': 'ascii.csv'}
        table = Table.read(path, format=forms.get(ending, ending))
        names = [str(name) for name in table['id']]
    assert len(names) == 3
    assert names[0].startswith('row')


def test_nothing_found(capsys, known):
    status, out, err = run(
        capsys, 'search', 'dust', *known, '--where', 'target_name=M 31'
    )
    assert (status, out) == (1, '')
    assert err == 'astroclip-search: nothing found\n'


@pytest.mark.filterwarnings(
    'default::astroclip_search.exceptions.AstroClipWarning'
)
def test_describe(capsys, here, model_path, monkeypatch):
    monkeypatch.setattr(
        'astroclip_search._describe.background_texts',
        lambda: tuple(f'title {i}' for i in range(60)),
    )
    monkeypatch.setattr(
        'astroclip_search._background._cache', lambda: here / 'cache'
    )
    fits.writeto(here / 'i.fits', np.outer(np.arange(30.0), np.ones(30)))
    (here / 'v.txt').write_text('comet\nquasar\n')
    options = ['--vocabulary', 'v.txt', '--model', model_path]
    status, out, err = run(capsys, 'describe', 'i.fits', *options)
    assert status == 0
    assert {'comet', 'quasar'} <= set(out.split())
    assert '(none of these)' in out
    assert err.count('\n') == 1
    assert 'warning: there is no background' in err
    status, out, err = run(
        capsys, 'describe', 'i.fits', *options, '--json', '--quiet'
    )
    labels = {row['label'] for row in json.loads(out)}
    assert (status, err) == (0, '')
    assert labels == {'comet', 'quasar', '(none of these)'}


def test_index(capsys, here, model_path):
    (here / 'images').mkdir()
    for i in range(3):
        pixels = np.full((20, 20), 80 * i, np.uint8)
        pixels[i] = 255
        Image.fromarray(pixels).save(here / 'images' / f'{i}.png')
    command = ['index', 'images', '--collection', 'c', '--model', model_path]
    status, out, err = run(capsys, *command)
    assert (status, err) == (0, '')
    assert out == '3 added, 0 unchanged, 0 failed; 3 rows in c\n'
    (here / 'images' / 'bad.fits').write_text('no image')
    status, out, err = run(capsys, *command)
    assert status == 1
    assert out == '0 added, 3 unchanged, 1 failed; 3 rows in c\n'
    assert err.startswith('astroclip-search: bad.fits: ')
    status, out, _ = run(
        capsys, 'search', 'x', '--collection', 'c', '--model', model_path,
        '--json',
    )  # fmt: skip
    assert {row['id'] for row in json.loads(out)} == {
        '0.png',
        '1.png',
        '2.png',
    }


def test_index_without_images_writes_nothing(capsys, here, model_path):
    (here / 'images').mkdir()
    command = ['index', 'images', '--collection', 'c', '--model', model_path]
    assert 'there are no images' in fails(capsys, *command)
    assert 'no directory' in fails(
        capsys, 'index', 'nothing', '--collection', 'c'
    )
    (here / 'images' / 'bad.fits').write_text('no image')
    status, _, err = run(capsys, *command)
    assert status == 2
    assert err.splitlines()[-1].startswith(
        'astroclip-search: error: none of the 1 images'
    )
    assert not (here / 'c').exists()


def test_info(capsys, known, model):
    status, out, _ = run(capsys, 'info', *known, '--json')
    facts = json.loads(out)
    assert status == 0
    assert facts['version'] == __version__
    assert facts['model']['fingerprint'] == model.fingerprint
    assert facts['collection']['rows'] == 80
    assert 'paperclip' in facts['vocabularies']
    status, out, _ = run(capsys, 'info', *known)
    assert status == 0
    assert model.fingerprint in out


@pytest.mark.parametrize(
    ('args', 'match'),
    [
        (['search'], 'there is no query'),
        (['search', ''], 'empty text'),
        (['search', 'x', '--radius', '5arcmin'], 'needs --position'),
        (['search', 'x', '--position', '81 -69', '--radius', '5'], 'no unit'),
        (['search', 'x', '--position', '81 -69', '--radius', 'far'], 'angle'),
        (['search', 'x', '--position', '81 -99', '--radius', '1deg'], '-99'),
        (['search', 'x', '--where', 'instrument=ACS'], 'instrument_name'),
        (['search', 'x', '--where', 'ACS'], 'is no condition'),
        (['search', 'x', '--limit', '0'], 'above 0'),
        (['search', 'x', '--output', 'out.doc'], 'is not one of'),
        (['search', 'x', '--output', 'no/out.vot'], 'no such directory'),
        (['search', 'notes.txt'], 'neither FITS nor a picture'),
        (['search', '--image', 'notes.txt'], 'neither FITS nor a picture'),
        (['search', '--image', 'gone.fits'], 'does not exist'),
        (['search', 'gone.fits'], 'no file'),
        (['search', '--like', 'row99'], 'no row'),
    ],
)
def test_bad_search(capsys, known, here, args, match):
    (here / 'notes.txt').write_text('spiral')
    assert match in fails(capsys, *args, *known)


@pytest.mark.parametrize(
    ('args', 'match'),
    [
        (['search', 'x', '--collection', 'gone'], 'no collection'),
        (['describe', 'gone.fits'], 'does not exist'),
        (['describe', 'notes.txt'], 'neither FITS nor a picture'),
        (['describe', '.', '--limit', '3'], 'is a directory'),
        (['info', '--collection', 'gone'], 'no collection'),
    ],
)
def test_bad_commands(capsys, here, args, match):
    (here / 'notes.txt').write_text('spiral')
    assert match in fails(capsys, *args)


def test_usage(capsys):
    assert run(capsys)[0] == 2
    assert run(capsys, 'search', 'x', '--limit', 'many')[0] == 2
    assert run(capsys, 'unknown')[0] == 2
    status, out, _ = run(capsys, '--version')
    assert (status, out) == (0, f'astroclip-search {__version__}\n')
    status, out, _ = run(capsys, '--help')
    assert status == 0
    for command in ('search', 'describe', 'index', 'info'):
        assert command in out


def test_interrupt(capsys, known, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr('astroclip_search._search.search_values', interrupted)
    status, out, err = run(capsys, 'search', 'x', *known)
    assert (status, out) == (130, '')
    assert err == 'astroclip-search: interrupted\n'


@pytest.mark.skipif(os.name == 'nt', reason='pipes of POSIX')
def test_reader_that_goes_away(known):
    command = (
        f'"{sys.executable}" -c "{PROGRAM}" search x {" ".join(known)} '
        '--limit 80 --json | head -c 1 >/dev/null'
    )
    done = subprocess.run(
        command, shell=True, capture_output=True, check=False
    )
    assert done.stderr == b''
