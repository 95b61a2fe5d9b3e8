# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""What a model bundle is, and what can be known of it without torch."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from astroclip_search.embedding._heads import HEADS
from astroclip_search.embedding._text import Tokenizer, clip_tokenizer_json
from astroclip_search.embedding._verify import sha256_of
from astroclip_search.exceptions import ModelError

__all__ = ['Bundle', 'Model']

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

    @property
    def has_heads(self):
        """Whether there are heads on its towers, which torch alone runs."""
        return (self.path / HEADS).is_file()

    @cached_property
    def text(self):
        """Settings of the tokenizer."""
        return text_settings(self.model_cfg, pad_id=_pad_id(self.path))

    @cached_property
    def fingerprint(self):
        """Identity of the vector space; see `fingerprint`."""
        sums = {
            name: sha256_of(self.path / name)
            for name in (TOKENIZER, 'config.json', HEADS)
            if (self.path / name).is_file()
        }
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
        kwargs = {'model_name': f'local-dir:{self.path}'}
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
