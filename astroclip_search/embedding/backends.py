# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Models of open_clip in torch.

They serve CUDA devices, training, and architectures without ONNX graphs.
"""

import hashlib
import json
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astroclip_search.config import conf
from astroclip_search.embedding._text import Tokenizer, clip_tokenizer_json
from astroclip_search.embedding._torchvision import import_open_clip
from astroclip_search.embedding.bundles import (
    CONFIG,
    INFO,
    Bundle,
    default_rendering,
    find_bundle,
    fingerprint,
    list_bundles,
    preprocessing,
    read_bundle,
    text_settings,
)
from astroclip_search.exceptions import ModelError

__all__ = ['TorchBackend', 'load_open_clip']


@dataclass(frozen=True)
class OpenClipModel:
    """A model that open_clip fetched by name; stands in for a `Bundle`."""

    name: str
    model: object
    model_cfg: dict
    preprocess_cfg: dict
    text: dict
    tokenizer_json: str
    kwargs: dict
    info = {}
    has_graphs = False

    @property
    def fingerprint(self):
        """Identity of the vector space; see `bundles.fingerprint`."""
        digest = hashlib.sha256()
        for name, value in sorted(self.model.state_dict().items()):
            value = value.cpu()
            value = value.float() if value.is_floating_point() else value
            digest.update(f'{name}{tuple(value.shape)}'.encode())
            digest.update(value.contiguous().numpy())
        names = self.model_cfg['text_cfg'].get('hf_tokenizer_name', 'clip')
        return fingerprint(
            weights=digest.hexdigest(),
            model_cfg=self.model_cfg,
            preprocess_cfg=self.preprocess_cfg,
            text={**self.text, 'tokenizer': names},
        )

    @property
    def image_size(self):
        """Pixels on a side of the pictures that the model takes."""
        return int(np.max(self.model_cfg['vision_cfg'].get('image_size', 224)))

    @property
    def rendering(self):
        """How pictures are made for this model, a `Rendering`."""
        return default_rendering(self.preprocess_cfg, self.image_size)

    def tokenizer(self):
        """Make the tokenizer of the model."""
        import tokenizers

        tokenizer = tokenizers.Tokenizer.from_str(self.tokenizer_json)
        return Tokenizer(tokenizer, **self.text)

    def open_clip_kwargs(self):
        """Keyword arguments of ``open_clip.create_model``."""
        return dict(self.kwargs)


def find_model(name, *, cache_dir=None):
    """
    Find the model of a name.

    Parameters
    ----------
    name : str or path-like or None
        See `Embedder.from_pretrained`.
    cache_dir : path-like, optional
        Where downloads are kept.

    Returns
    -------
    model : `Bundle` or `OpenClipModel`
        The verified model.

    Raises
    ------
    ModelError
        If there is no such model, or its weights are missing or damaged.
    """
    name = str(conf.model if name is None else name)
    found = find_bundle(name)
    if found is not None:
        return read_bundle(found)
    if name.startswith('hf-hub:'):
        return _from_hub(name, cache_dir)
    if Path(name).expanduser().is_dir():
        return read_bundle(name)  # says what is missing
    architecture, _, weights = name.partition('/')
    open_clip = import_open_clip()
    if architecture in open_clip.list_models():
        return _from_registry(architecture, weights, cache_dir)
    msg = (
        f'there is no model {name!r}. Models are one of '
        f'{", ".join(list_bundles()) or "(none shipped)"}; a directory that '
        'Embedder.save wrote; "architecture/weights" of open_clip, as '
        '"ViT-B-16-quickgelu/openai"; or "hf-hub:organisation/model".'
    )
    raise ModelError(msg)


def _from_registry(architecture, weights, cache_dir):
    """Load "architecture/weights" of open_clip."""
    open_clip = import_open_clip()
    name = f'{architecture}/{weights}'
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if weights not in tags:
        what = f'weights {weights!r}' if weights else 'weights named'
        msg = (
            f'there are no {what} for the model {architecture!r}, and a model '
            'without weights answers at random. Name one of: '
            f'{", ".join(f"{architecture}/{tag}" for tag in tags)}.'
        )
        raise ModelError(msg)
    model_cfg = open_clip.get_model_config(architecture)
    pretrained_cfg = open_clip.get_pretrained_cfg(architecture, weights)
    wanted = bool(pretrained_cfg.get('quick_gelu', False))
    if wanted != bool(model_cfg.get('quick_gelu', False)):
        base = architecture.removesuffix('-quickgelu')
        right = f'{base}-quickgelu' if wanted else base
        msg = (
            f'the weights {weights!r} were trained with '
            f'{"QuickGELU" if wanted else "GELU"}, which {architecture!r} '
            'does not use: it would load them and be silently wrong. '
            f'Name "{right}/{weights}".'
        )
        raise ModelError(msg)
    kwargs = {
        'model_name': architecture,
        'pretrained': weights,
        'require_pretrained': True,
    }
    return _create(name, model_cfg, pretrained_cfg, kwargs, cache_dir)


def _from_hub(name, cache_dir):
    """Load "hf-hub:organisation/model", with our settings if it has them."""
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError

    repo = name.removeprefix('hf-hub:')
    try:
        path = hf_hub_download(repo, CONFIG, cache_dir=cache_dir)
        try:
            hf_hub_download(repo, INFO, cache_dir=cache_dir)
        except EntryNotFoundError:
            pass  # a plain model of open_clip
        else:
            return read_bundle(snapshot_download(repo, cache_dir=cache_dir))
    except ModelError:
        raise
    except Exception as exc:
        msg = (
            f'{name!r} cannot be fetched ({_one_line(exc)}). Check the name '
            'and the network, or use the shipped model.'
        )
        raise ModelError(msg) from exc
    config = json.loads(Path(path).read_text(encoding='utf-8'))
    kwargs = {'model_name': name, 'require_pretrained': True}
    return _create(
        name,
        config['model_cfg'],
        config.get('preprocess_cfg') or {},
        kwargs,
        cache_dir,
    )


def _one_line(exc):
    return ' '.join(str(exc).split()) or type(exc).__name__


def _create(name, model_cfg, preprocess_cfg, kwargs, cache_dir):
    """Create a model of open_clip with its weights, or raise."""
    model = _create_model(name, kwargs, cache_dir=cache_dir)
    pad_id, text = 0, clip_tokenizer_json
    if model_cfg['text_cfg'].get('hf_tokenizer_name'):
        hf = (
            import_open_clip()
            .get_tokenizer(kwargs['model_name'], cache_dir=cache_dir)
            .tokenizer
        )
        if not getattr(hf, 'is_fast', False):
            msg = (
                f'the tokenizer of {name!r} has no fast form. Use another '
                'model.'
            )
            raise ModelError(msg)
        pad_id, text = hf.pad_token_id, hf.backend_tokenizer.to_str
    return OpenClipModel(
        name=name,
        model=model,
        model_cfg=model_cfg,
        preprocess_cfg={
            key: value
            for key, value in preprocess_cfg.items()
            if key in ('mean', 'std', 'interpolation', 'resize_mode')
            and value is not None
        },
        text=text_settings(model_cfg, pad_id=pad_id),
        tokenizer_json=text(),
        kwargs=kwargs,
    )


def _create_model(name, kwargs, **more):
    """Call ``open_clip.create_model``; its failures become ours."""
    open_clip = import_open_clip()
    try:
        with warnings.catch_warnings():
            # Other people's deprecations; ours are raised elsewhere.
            warnings.simplefilter('ignore')
            model = open_clip.create_model(**kwargs, **more)
    except Exception as exc:
        msg = (
            f'open_clip cannot load the model {name!r} ({_one_line(exc)}). '
            'Check the name, the network and the configuration.'
        )
        raise ModelError(msg) from exc
    for key, value in model.state_dict().items():
        if value.is_floating_point() and not value.isfinite().all():
            msg = (
                f'the tensor {key!r} of the model {name!r} holds values that '
                'are not finite. Use other weights.'
            )
            raise ModelError(msg)
    return model.eval()


def choose_device(device=None):
    """The device that was asked for, or CUDA where there is one."""
    import torch

    device = conf.device if device is None else device
    if device == 'auto':
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError) as exc:
        msg = (
            f'the device {device!r} cannot be used ({_one_line(exc)}). '
            'Choose "auto", "cpu" or "cuda".'
        )
        raise ModelError(msg) from exc
    return chosen


def choose_precision(precision, device):
    """The precision that was asked for, or what suits the device."""
    precision = conf.precision if precision is None else precision
    if precision == 'auto':
        precision = 'bf16' if device.type == 'cuda' else 'fp32'
    if precision not in ('fp32', 'bf16', 'fp16'):
        msg = (
            f'precision {precision!r} is unknown. Choose "auto", "fp32", '
            '"bf16" or "fp16".'
        )
        raise ModelError(msg)
    return precision


def torch_model(source, *, device):
    """The model of a `Bundle` or `OpenClipModel`, in evaluation mode."""
    if isinstance(source, Bundle):
        model = _create_model(source.name, source.open_clip_kwargs())
    else:
        model = source.model
    return model.to(device).eval()


def load_open_clip(name=None, *, device=None, cache_dir=None):
    """
    Load a model for training.

    Parameters
    ----------
    name : str or path-like, optional
        See `Embedder.from_pretrained`.
    device : str, optional
        The default is ``conf.device``.
    cache_dir : path-like, optional
        Where downloads are kept.

    Returns
    -------
    model : `torch.nn.Module`
        Model of open_clip in float32 with its weights, in evaluation mode.
    tokenizer : `Tokenizer`
        ``tokenizer(texts)`` gives (n, limit) token ids as a tensor.
    rendering : `Rendering`
        How pictures are made for this model.

    Raises
    ------
    ModelError
        If there is no such model, or its weights are missing or damaged.
    """
    source = find_model(name, cache_dir=cache_dir)
    model = torch_model(source, device=choose_device(device))
    return model, source.tokenizer(), source.rendering


class TorchBackend:
    """
    Run the towers of a model in torch.

    Parameters
    ----------
    source : `Bundle` or `OpenClipModel`
        The model.
    device, precision : str, optional
        See `Embedder.from_pretrained`.
    """

    name = 'torch'

    def __init__(self, source, *, device=None, precision=None):
        import torch

        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self.model = torch_model(source, device=self.device)
        mean, std = preprocessing(source.preprocess_cfg)
        shape = (1, 3, 1, 1)
        self._mean = torch.tensor(mean, device=self.device).view(shape) * 255
        self._std = torch.tensor(std, device=self.device).view(shape) * 255

    def _context(self):
        import torch

        if self.precision == 'fp32':
            return nullcontext()
        dtype = {'bf16': torch.bfloat16, 'fp16': torch.float16}
        return torch.autocast(self.device.type, dtype[self.precision])

    def encode_image(self, pixels):
        """(n, S, S, 3) uint8 pixels to (n, d) float32 features."""
        import torch

        with torch.inference_mode(), self._context():
            x = torch.from_numpy(np.ascontiguousarray(pixels))
            x = x.to(self.device).permute(0, 3, 1, 2).float()
            features = self.model.encode_image((x - self._mean) / self._std)
        return features.float().cpu().numpy()

    def encode_text(self, ids):
        """(n, length) int64 token ids to (n, d) float32 features."""
        import torch

        with torch.inference_mode(), self._context():
            features = self.model.encode_text(
                torch.from_numpy(ids).to(self.device)
            )
        return features.float().cpu().numpy()
