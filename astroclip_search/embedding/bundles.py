# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Model bundles: directories that hold all that a model needs.

A bundle has the form of open_clip's ``local-dir:`` models and beside that
``astroclip.json`` (name, version, checksums, rendering, how the model was
made and how well it does) and, where the architecture allows it, the graphs
``image.onnx`` and ``text.onnx``, which hold no weights of their own but point
into the weights file.
"""

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from astroclip_search.embedding._text import Tokenizer, clip_tokenizer_json
from astroclip_search.embedding._verify import (
    sha256_of,
    verified_sha256,
    write_atomically,
)
from astroclip_search.exceptions import ModelError

__all__ = ['Bundle', 'find_bundle', 'read_bundle', 'write_bundle']

CONFIG = 'open_clip_config.json'
WEIGHTS = 'open_clip_model.safetensors'
INFO = 'astroclip.json'
TOKENIZER = 'tokenizer.json'
GRAPHS = ('image.onnx', 'text.onnx')

# What open_clip takes where a configuration does not say.
OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
_FIT = {'shortest': 'crop', 'longest': 'pad', 'squash': 'squash'}


def preprocessing(preprocess_cfg):
    """Mean and standard deviation of the colours that a model expects."""
    mean = preprocess_cfg.get('mean') or OPENAI_MEAN
    std = preprocess_cfg.get('std') or OPENAI_STD
    return tuple(map(float, mean)), tuple(map(float, std))


def text_settings(model_cfg, *, pad_id=0):
    """
    Settings of the `Tokenizer` of a model.

    Parameters
    ----------
    model_cfg : dict
        Model configuration of open_clip.
    pad_id : int, optional
        Id that fills up short texts.

    Returns
    -------
    settings : dict
        ``limit``, ``clean``, ``pad_id``, ``fixed_length``.
    """
    text_cfg = model_cfg['text_cfg']
    options = dict(text_cfg.get('tokenizer_kwargs') or {})
    default = 'whitespace' if text_cfg.get('hf_tokenizer_name') else 'lower'
    clean = options.pop('clean', default)
    if text_cfg.get('tokenizer_mode') or options:
        msg = (
            'models whose tokenizer has the settings '
            f'{text_cfg.get("tokenizer_mode") or options} are not supported. '
            'Use another model.'
        )
        raise ModelError(msg)
    return {
        'limit': int(text_cfg.get('context_length', 77)),
        'clean': clean,
        'pad_id': int(pad_id),
        'fixed_length': 'hf_model_name' not in text_cfg,
    }


def fingerprint(*, weights, model_cfg, preprocess_cfg, text):
    """
    Identity of the vector space of a model.

    Parameters
    ----------
    weights : str
        SHA-256 of the weights.
    model_cfg, preprocess_cfg : dict
        Configurations of open_clip.
    text : dict
        Settings of the tokenizer and checksums of its files.

    Returns
    -------
    fingerprint : str
        ``'sha256:'`` and 64 hexadecimal digits.
    """
    cfg = json.loads(json.dumps(model_cfg))
    # Where a tower once came from does not matter once it has its weights.
    for tower, keys in {
        'vision_cfg': ('timm_model_pretrained',),
        'text_cfg': (
            'hf_model_pretrained',
            'hf_model_name',
            'hf_tokenizer_name',
        ),
    }.items():
        for key in keys:
            cfg[tower].pop(key, None)
    what = [weights, cfg, preprocessing(preprocess_cfg), text]
    text = json.dumps(what, sort_keys=True, separators=(',', ':'))
    return 'sha256:' + hashlib.sha256(text.encode()).hexdigest()


def read_json(path):
    """Read a JSON object, or say why not."""
    try:
        value = json.loads(Path(path).read_text(encoding='utf-8'))
    except (OSError, ValueError) as exc:
        msg = (
            f'{path} cannot be read as JSON ({exc}). Install the model again.'
        )
        raise ModelError(msg) from exc
    if not isinstance(value, dict):
        msg = f'{path} holds no JSON object. Install the model again.'
        raise ModelError(msg)
    return value


class Model:
    """What can be known of a model from its configuration."""

    @property
    def image_size(self):
        """Pixels on a side of the pictures that the model takes."""
        size = self.model_cfg['vision_cfg'].get('image_size', 224)
        sizes = {size} if isinstance(size, int) else set(size)
        if len(sizes) != 1:
            msg = (
                f'the model {self.name!r} takes pictures of {size} pixels; '
                'only square ones are supported. Use another model.'
            )
            raise ModelError(msg)
        return sizes.pop()

    @property
    def rendering(self):
        """How pictures are made for this model, a `Rendering`."""
        from astroclip_search.images import Rendering

        if 'rendering' in self.info:
            return Rendering.from_dict(self.info['rendering'])
        mode = self.preprocess_cfg.get('resize_mode') or 'shortest'
        return Rendering(size=self.image_size, fit=_FIT[mode])


@dataclass(frozen=True)
class Bundle(Model):
    """
    A model bundle whose files were verified.

    Parameters
    ----------
    path : `~pathlib.Path`
        The directory.
    model_cfg, preprocess_cfg : dict
        Configurations of open_clip.
    info : dict
        Contents of ``astroclip.json``; empty for a plain open_clip model.
    weights_sha256 : str
        SHA-256 of the weights file.
    """

    path: Path
    model_cfg: dict
    preprocess_cfg: dict
    info: dict
    weights_sha256: str

    @property
    def name(self):
        """Name of the model."""
        return self.info.get('name', self.path.name)

    @property
    def has_graphs(self):
        """Whether ONNX Runtime can run the model."""
        return all((self.path / graph).is_file() for graph in GRAPHS)

    @cached_property
    def text(self):
        """Settings of the tokenizer."""
        return text_settings(self.model_cfg, pad_id=_pad_id(self.path))

    @cached_property
    def fingerprint(self):
        """Identity of the vector space; see `fingerprint`."""
        files = [
            p.name
            for p in (self.path / TOKENIZER, self.path / 'config.json')
            if p.is_file()
        ]
        sums = {name: sha256_of(self.path / name) for name in files}
        return fingerprint(
            weights=self.weights_sha256,
            model_cfg=self.model_cfg,
            preprocess_cfg=self.preprocess_cfg,
            text={**self.text, **sums},
        )

    def tokenizer(self):
        """Make the tokenizer of the model."""
        path = self.path / TOKENIZER
        if path.is_file():
            return Tokenizer.from_file(path, **self.text)
        if self.model_cfg['text_cfg'].get('hf_tokenizer_name'):
            msg = (
                f'{self.path} has no {TOKENIZER}. Save the tokenizer of the '
                'model there with save_pretrained of transformers.'
            )
            raise ModelError(msg)
        import tokenizers

        tokenizer = tokenizers.Tokenizer.from_str(clip_tokenizer_json())
        return Tokenizer(tokenizer, **self.text)

    def open_clip_kwargs(self):
        """
        Keyword arguments of ``open_clip.create_model`` for this bundle.

        open_clip hands the name of a Hugging Face text tower to transformers
        as it is; here it becomes the directory, so that nothing is fetched.
        """
        kwargs = {
            'model_name': f'local-dir:{self.path}',
            'require_pretrained': True,
        }
        text_cfg = self.model_cfg['text_cfg']
        if 'hf_model_name' in text_cfg:
            kwargs['text_cfg'] = {
                **text_cfg,
                'hf_model_name': str(self.path),
                'hf_model_pretrained': False,
            }
        return kwargs


def _pad_id(path):
    """Id of the padding token, as the files of a tokenizer name it."""
    for name in ('config.json', 'tokenizer_config.json'):
        file = path / name
        if file.is_file():
            settings = read_json(file)
            if settings.get('pad_token_id') is not None:
                return settings['pad_token_id']
    return 0


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
    from importlib.resources import files

    shipped = Path(str(files('astroclip_search'))) / 'data' / 'models'
    for path in (shipped / str(name), Path(name).expanduser()):
        if (path / CONFIG).is_file():
            return path.resolve()
    return None


def list_bundles():
    """Names of the models that ship with the package."""
    from importlib.resources import files

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


def _float16(state_dict):
    """State dict as float16 tensors, refusing what does not fit in."""
    import torch

    out = {}
    for name, value in state_dict.items():
        tensor = torch.as_tensor(value).detach().cpu().contiguous()
        if tensor.is_floating_point():
            if not torch.isfinite(tensor).all():
                msg = (
                    f'the tensor {name!r} holds values that are not finite. '
                    'Train the model again, with a lower learning rate.'
                )
                raise ModelError(msg)
            tensor = tensor.half()
            if not torch.isfinite(tensor).all():
                msg = (
                    f'the tensor {name!r} holds values above 65504, the '
                    'largest float16. Scale the weights of the model down.'
                )
                raise ModelError(msg)
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
        _write_graphs(new, path.name, model_cfg, preprocess_cfg)
        for file in new.iterdir():
            file.chmod(0o644)  # safetensors keeps its files to the user
        sums = {p.name: sha256_of(p) for p in sorted(new.iterdir())}
        record = {k: v for k, v in info.items() if k != 'files'}
        record.setdefault('name', path.name)
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


def _write_graphs(path, name, model_cfg, preprocess_cfg):
    """Load the new bundle as any user would, and export its graphs."""
    from astroclip_search.embedding._graphs import write_graphs
    from astroclip_search.embedding.backends import torch_model

    bundle = Bundle(
        path=path,
        model_cfg=model_cfg,
        preprocess_cfg=preprocess_cfg,
        info={'name': name},
        weights_sha256=sha256_of(path / WEIGHTS),
    )
    write_graphs(bundle, torch_model(bundle, device='cpu'))
