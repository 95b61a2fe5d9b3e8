# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Model bundles: directories that hold all that a model needs.

A bundle has the form of open_clip's ``local-dir:`` models and beside that
``astroclip.json`` (name, version, checksums, rendering, how the model was
made and how well it does) and, where the architecture allows it, the graphs
``image.onnx`` and ``text.onnx``, which hold no weights of their own but point
into the weights file.
"""

from importlib.resources import files
from pathlib import Path

from astroclip_search.embedding._bundle import (
    CONFIG,
    INFO,
    WEIGHTS,
    Bundle,
    read_json,
)
from astroclip_search.embedding._verify import sha256_of, verified_sha256
from astroclip_search.embedding._write import write_bundle
from astroclip_search.exceptions import ModelError

__all__ = [
    'Bundle',
    'find_bundle',
    'list_bundles',
    'read_bundle',
    'write_bundle',
]


def find_bundle(name):
    """
    Directory of a shipped model or of one that was saved.

    Parameters
    ----------
    name : str or path-like
        Name of a shipped model, or a directory.

    Returns
    -------
    path : `~pathlib.Path` or None
        The directory; None where there is none of that name.
    """
    if not str(name):
        return None
    shipped = Path(str(files('astroclip_search'))) / 'data' / 'models'
    for path in (shipped / str(name), Path(name).expanduser()):
        if (path / CONFIG).is_file():
            return path.resolve()
    return None


def list_bundles():
    """Names of the models that ship with the package."""
    shipped = Path(str(files('astroclip_search'))) / 'data' / 'models'
    return sorted(p.parent.name for p in shipped.glob(f'*/{CONFIG}'))


def read_bundle(path):
    """
    Read and verify a bundle.

    Parameters
    ----------
    path : path-like
        The directory.

    Returns
    -------
    bundle : `Bundle`
        What the directory holds.

    Raises
    ------
    ModelError
        If a file is missing, damaged, or not the one that was saved.
    """
    path = Path(path).expanduser().resolve()
    if not (path / CONFIG).is_file():
        msg = (
            f'{path} is no model: it holds no {CONFIG}. Name a directory '
            'that Embedder.save or open_clip wrote.'
        )
        raise ModelError(msg)
    config = read_json(path / CONFIG)
    model_cfg = config.get('model_cfg')
    if not isinstance(model_cfg, dict) or not all(
        isinstance(model_cfg.get(k), dict) for k in ('vision_cfg', 'text_cfg')
    ):
        msg = (
            f'{path / CONFIG} describes no model: model_cfg with vision_cfg '
            'and text_cfg is missing. Install the model again.'
        )
        raise ModelError(msg)
    info = read_json(path / INFO) if (path / INFO).is_file() else {}
    bundle = Bundle(
        path=path,
        model_cfg=model_cfg,
        preprocess_cfg=config.get('preprocess_cfg') or {},
        info=info,
        weights_sha256=verified_sha256(path / WEIGHTS),
    )
    for file, expected in info.get('files', {}).items():
        actual = (
            bundle.weights_sha256
            if file == WEIGHTS
            else sha256_of(path / file)
            if (path / file).is_file()
            else None
        )
        if actual != expected:
            state = 'is missing' if actual is None else 'was altered'
            msg = (
                f'the file {file} of the model {bundle.name!r} {state} since '
                f'the model was saved in {path}. Install or save the model '
                'again.'
            )
            raise ModelError(msg)
    return bundle
