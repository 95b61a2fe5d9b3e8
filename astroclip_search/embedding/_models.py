# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
From the name of a model to its verified files.

Bundles are found without torch. Models that open_clip fetches by name are
loaded on the way, since open_clip alone knows where their weights lie.
"""

import hashlib
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from astroclip_search.config import conf
from astroclip_search.embedding._bundle import (
    CONFIG,
    INFO,
    TOKENIZER,
    Model,
    fingerprint,
    read_json,
    text_settings,
)
from astroclip_search.embedding._text import Tokenizer, clip_tokenizer_json
from astroclip_search.embedding._torchvision import import_open_clip
from astroclip_search.embedding.bundles import (
    find_bundle,
    list_bundles,
    read_bundle,
)
from astroclip_search.exceptions import ModelError

__all__ = ['OpenClipModel', 'find_model']


@dataclass(frozen=True)
class OpenClipModel(Model):
    """
    A model that open_clip fetched by name; stands in for a `Bundle`.

    Parameters
    ----------
    name : str
        The name.
    model_cfg, preprocess_cfg : dict
        Configurations of open_clip.
    model : `torch.nn.Module`
        The model with its weights.
    text : dict
        Settings of the tokenizer.
    tokenizer_files : dict
        Contents of its files by name, bytes.
    kwargs : dict
        Keyword arguments of ``open_clip.create_model``.
    """

    name: str
    model_cfg: dict
    preprocess_cfg: dict
    model: object
    text: dict
    tokenizer_files: dict
    kwargs: dict
    info: dict = field(default_factory=dict)
    has_graphs = False

    @property
    def fingerprint(self):
        """Identity of the vector space; see `_bundle.fingerprint`."""
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

    def tokenizer(self):
        """Make the tokenizer of the model."""
        import tokenizers

        tokenizer = tokenizers.Tokenizer.from_buffer(
            self.tokenizer_files[TOKENIZER]
        )
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
    if name and Path(name).expanduser().is_dir():
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
    kwargs = {'model_name': architecture, 'pretrained': weights}
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
            f'{name!r} cannot be fetched ({one_line(exc)}). Check the name '
            'and the network, or use the shipped model.'
        )
        raise ModelError(msg) from exc
    config = read_json(path)
    kwargs = {'model_name': name}
    return _create(
        name,
        config['model_cfg'],
        config.get('preprocess_cfg') or {},
        kwargs,
        cache_dir,
    )


def one_line(exc):
    """Message of another library's error, in one line."""
    return ' '.join(str(exc).split()) or type(exc).__name__


def _create(name, model_cfg, preprocess_cfg, kwargs, cache_dir):
    """Create a model of open_clip with its weights, or raise."""
    model = create_model(name, kwargs, cache_dir=cache_dir)
    for key, value in model.state_dict().items():
        if value.is_floating_point() and not value.isfinite().all():
            msg = (
                f'the tensor {key!r} of the model {name!r} holds values that '
                'are not finite. Use other weights.'
            )
            raise ModelError(msg)
    pad_id, files = 0, {}
    if model_cfg['text_cfg'].get('hf_tokenizer_name'):
        tokenizer = import_open_clip().get_tokenizer(
            kwargs['model_name'], cache_dir=cache_dir
        )
        pad_id = tokenizer.tokenizer.pad_token_id
        with tempfile.TemporaryDirectory() as folder:
            tokenizer.save_pretrained(folder)
            files = {p.name: p.read_bytes() for p in Path(folder).iterdir()}
        if TOKENIZER not in files:
            msg = (
                f'the tokenizer of {name!r} has no {TOKENIZER}, the form in '
                'which tokenizers are kept. Use another model.'
            )
            raise ModelError(msg)
        config = getattr(getattr(model, 'text', None), 'config', None)
        if config is not None:
            files['config.json'] = config.to_json_string().encode()
    else:
        files[TOKENIZER] = clip_tokenizer_json().encode()
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
        tokenizer_files=files,
        kwargs=kwargs,
    )


def create_model(name, kwargs, **more):
    """
    Call ``open_clip.create_model``; its failures become ours.

    Parameters
    ----------
    name : str
        What messages call the model.
    kwargs : dict
        Keyword arguments that say which model.
    **more
        Further ones.

    Returns
    -------
    model : `torch.nn.Module`
        The model with its weights, in evaluation mode.
    """
    open_clip = import_open_clip()
    try:
        with warnings.catch_warnings():
            # Other people's deprecations; ours are raised elsewhere.
            warnings.simplefilter('ignore')
            model = open_clip.create_model(
                **kwargs, **more, require_pretrained=True
            )
    except Exception as exc:
        msg = (
            f'open_clip cannot load the model {name!r} ({one_line(exc)}). '
            'Check the name, the network and the configuration.'
        )
        raise ModelError(msg) from exc
    return model.eval()
