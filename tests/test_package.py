# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The package as a whole: layers, imports, names, files."""

import ast
import hashlib
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from _shared import ROOT, shared_data

import astroclip_search

PACKAGE = ROOT / 'astroclip_search'
SOURCES = sorted(PACKAGE.rglob('*.py'))

# Which modules a layer must not import anywhere, not even in a function.
FORBIDDEN = {
    'images': {'torch', 'open_clip', 'onnxruntime', 'transformers'},
    'embedding': {'astropy.io.fits', 'astropy.wcs'},
    'collections': {'open_clip', 'astropy.io.fits', 'transformers'},
    'results': {'torch', 'open_clip', 'onnxruntime'},
}


def imported(path):
    """Names of all modules that a source file imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            for alias in node.names:
                yield f'{node.module}.{alias.name}'


@pytest.mark.parametrize('layer', FORBIDDEN)
def test_layers(layer):
    files = sorted((PACKAGE / layer).rglob('*.py'))
    assert files
    for path in files:
        for name in imported(path):
            for forbidden in FORBIDDEN[layer]:
                assert not f'{name}.'.startswith(f'{forbidden}.'), (
                    f'{path.relative_to(ROOT)} imports {name}'
                )


def test_import_is_light():
    code = (
        'import sys, astroclip_search; '
        'from astroclip_search import conf; '
        'heavy = {"torch", "open_clip", "onnxruntime", "transformers", '
        '"pyarrow", "scipy", "matplotlib", "astroquery", "pandas"}; '
        'print(sorted(heavy & set(sys.modules)))'
    )
    output = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert output.stdout.strip() == '[]'


def test_public_names_are_there():
    for name in astroclip_search.__all__:
        assert getattr(astroclip_search, name) is not None
    assert callable(astroclip_search.search)
    assert callable(astroclip_search.describe)
    assert set(astroclip_search.__all__) <= set(dir(astroclip_search))
    with pytest.raises(AttributeError, match='no attribute'):
        astroclip_search.nothing_of_the_kind  # noqa: B018


def test_functions_are_not_shadowed_by_modules():
    # A module of the name would replace the function when it is imported.
    for name in ('search', 'describe'):
        assert not (PACKAGE / f'{name}.py').exists()


@pytest.mark.parametrize('path', SOURCES, ids=lambda p: p.name)
def test_no_pickle_and_no_print(path):
    tree = ast.parse(path.read_text(encoding='utf-8'))
    assert not {'pickle', 'dill', 'joblib', 'cloudpickle'} & set(
        imported(path)
    )
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        for keyword in node.keywords:
            value = getattr(keyword.value, 'value', None)
            if keyword.arg == 'allow_pickle':
                assert value is False
            if keyword.arg == 'weights_only':
                assert value is True


def test_files_can_be_held_in_the_head():
    lengths = [
        len(path.read_text(encoding='utf-8').splitlines()) for path in SOURCES
    ]
    assert max(lengths) <= 600
    assert sum(n < 250 for n in lengths) >= 0.8 * len(lengths)


def public_objects():
    prefix = 'astroclip_search.'
    for info in pkgutil.walk_packages(astroclip_search.__path__, prefix):
        if any(part.startswith('_') for part in info.name.split('.')):
            continue
        try:
            module = importlib.import_module(info.name)
        except ImportError:  # an extra that is not installed
            continue
        yield info.name, module
        for name in getattr(module, '__all__', ()):
            yield f'{info.name}.{name}', getattr(module, name)


def test_everything_public_is_documented():
    missing = []
    for name, thing in public_objects():
        documented = inspect.ismodule(thing) or callable(thing)
        if documented and not inspect.getdoc(thing):
            missing.append(name)
        if inspect.isclass(thing):
            for attribute, value in vars(thing).items():
                if attribute.startswith('_'):
                    continue
                if isinstance(value, property) or callable(value):
                    doc = inspect.getdoc(getattr(thing, attribute))
                    if not doc:
                        missing.append(f'{name}.{attribute}')
    assert not missing


def test_versions_agree():
    version = astroclip_search.__version__
    changes = (ROOT / 'CHANGES.rst').read_text(encoding='utf-8')
    citation = (ROOT / 'CITATION.cff').read_text(encoding='utf-8')
    assert re.search(rf'^{re.escape(version)} \(', changes, re.MULTILINE)
    assert f'version: {version}' in citation


def test_no_picture_of_the_training_data_is_shipped():
    def digest(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()

    shipped = {
        digest(path)
        for path in (PACKAGE / 'data').rglob('*')
        if path.is_file()
    }
    real = {digest(path) for path in shared_data('pairs', 'images').iterdir()}
    assert shipped
    assert len(real) > 3000
    assert not shipped & real


def test_every_licence_file_is_listed():
    folder = ROOT / 'licenses'
    listed = (folder / 'README.rst').read_text(encoding='utf-8')
    for path in folder.iterdir():
        if path.name != 'README.rst':
            assert path.name in listed, f'{path.name} is not in README.rst'


def test_sources_name_no_machine():
    pattern = re.compile(
        '|'.join(
            [r'(?<![A-Za-z.])/w' + 'ork/', '/o' + 'pt/', 'find-' + 'links']
        )
    )
    for path in [*SOURCES, *ROOT.glob('*.*'), *Path(ROOT / 'docs').glob('*')]:
        if path.suffix in {'.py', '.rst', '.toml', '.txt', '.cfg', '.yml'}:
            text = path.read_text(encoding='utf-8')
            assert not pattern.search(text), path
