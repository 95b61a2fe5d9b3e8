# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Writing of model bundles."""

import json
import shutil
import tempfile
from pathlib import Path

from astroclip_search.embedding._bundle import (
    CONFIG,
    INFO,
    TOKENIZER,
    WEIGHTS,
    Bundle,
)
from astroclip_search.embedding._text import clip_tokenizer_json
from astroclip_search.embedding._verify import sha256_of, write_atomically
from astroclip_search.exceptions import ModelError

__all__ = ['write_bundle']


def _float16(state_dict):
    """State dict as float16 tensors, refusing what does not fit in."""
    import torch

    out = {}
    for name, value in state_dict.items():
        tensor = torch.as_tensor(value).detach().cpu().contiguous()
        if tensor.is_floating_point():
            half = tensor.half()
            if not torch.isfinite(half).all():
                msg = (
                    f'the tensor {name!r} holds values that are not finite, '
                    'or above 65504, the largest float16. Train the model '
                    'again, with a lower learning rate.'
                )
                raise ModelError(msg)
            tensor = half
        # Two names of one storage would be refused by safetensors.
        out[name] = tensor.clone()
    return out


def write_bundle(
    path, *, model_cfg, preprocess_cfg, state_dict, tokenizer_files, info
):
    """
    Write a bundle, whole or not at all.

    Parameters
    ----------
    path : path-like
        Directory to write; one that holds a bundle is replaced.
    model_cfg, preprocess_cfg : dict
        Configurations of open_clip.
    state_dict : dict
        Weights by name, as open_clip's model names them. They are rounded to
        float16.
    tokenizer_files : list of path-like, dict, or None
        Files of the tokenizer and of the text configuration, or their
        contents by file name. None for the byte-pair tokenizer of CLIP.
    info : dict
        What ``astroclip.json`` shall say: ``name``, ``version``,
        ``rendering`` (of `Rendering.to_dict`), ``licence``, ...

    Returns
    -------
    bundle : `Bundle`
        The bundle, read back.

    Raises
    ------
    ModelError
        If weights are not finite or too large for float16, if they do not
        fit the configuration, or if the directory holds something else.
    """
    from safetensors.torch import save_file

    from astroclip_search.embedding.bundles import read_bundle

    path = Path(path).expanduser().resolve()
    if (
        path.exists()
        and not (path / CONFIG).is_file()
        and (not path.is_dir() or any(path.iterdir()))
    ):
        msg = (
            f'{path} holds something that is no model. Name a directory that '
            'is new or empty.'
        )
        raise ModelError(msg)
    tensors = _float16(state_dict)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f'.{path.name}-'
    ) as folder:
        new = Path(folder) / path.name
        new.mkdir()
        _write_json(
            new / CONFIG,
            {'model_cfg': model_cfg, 'preprocess_cfg': preprocess_cfg},
        )
        save_file(tensors, new / WEIGHTS, metadata={'format': 'pt'})
        _write_tokenizer(new, model_cfg, tokenizer_files)
        bundle = Bundle(
            path=new,
            model_cfg=model_cfg,
            preprocess_cfg=preprocess_cfg,
            info={'name': path.name, **info},
            weights_sha256=sha256_of(new / WEIGHTS),
        )
        if not bundle.has_heads:  # they have no graphs
            _write_graphs(bundle)
        for file in new.iterdir():
            file.chmod(0o644)  # safetensors keeps its files to the user
        sums = {p.name: sha256_of(p) for p in sorted(new.iterdir())}
        record = {k: v for k, v in info.items() if k != 'files'}
        record.setdefault('name', path.name)
        record.setdefault('rendering', bundle.rendering.to_dict())
        record['sha256'] = sums[WEIGHTS]
        record['files'] = sums
        _write_json(new / INFO, record)
        if path.exists():
            path.rename(Path(folder) / 'replaced')
        new.rename(path)
    return read_bundle(path)


def _write_json(path, value):
    text = json.dumps(value, indent=1, ensure_ascii=False)
    write_atomically(path, (text + '\n').encode())


def _write_tokenizer(path, model_cfg, files):
    if files is None:
        text = clip_tokenizer_json()
        (path / TOKENIZER).write_text(text, encoding='utf-8')
        return
    if not isinstance(files, dict):
        files = {Path(file).name: Path(file) for file in files}
    for name, content in files.items():
        if isinstance(content, bytes):
            (path / name).write_bytes(content)
        elif isinstance(content, Path):
            shutil.copyfile(content, path / name)
        else:
            (path / name).write_text(content, encoding='utf-8')
    if not (path / TOKENIZER).is_file():
        msg = (
            f'the files {sorted(files)} hold no {TOKENIZER}. Save the '
            'tokenizer with save_pretrained of transformers.'
        )
        raise ModelError(msg)


def _write_graphs(bundle):
    """Load the new bundle as any user would, and export its graphs."""
    from astroclip_search.embedding._graphs import write_graphs
    from astroclip_search.embedding.backends import torch_model

    write_graphs(bundle, torch_model(bundle, device='cpu'))
