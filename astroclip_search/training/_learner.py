# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""A model made ready for training by one of the methods."""

import contextlib
import math

from astroclip_search._optional import require
from astroclip_search.embedding._bundle import (
    TOKENIZER,
    preprocessing,
    text_settings,
)
from astroclip_search.embedding._models import OpenClipModel, find_model
from astroclip_search.embedding._text import clip_tokenizer_json
from astroclip_search.embedding._torchvision import import_open_clip
from astroclip_search.embedding.backends import torch_model
from astroclip_search.embedding.bundles import find_bundle
from astroclip_search.exceptions import TrainingError

__all__ = ['Learner']

_NEW = ('image_head.', 'text_head.', 'logit_scale', 'logit_bias')
LOGIT_BIAS = -10.0  # start of the sigmoid loss, Zhai et al. 2023


class Learner:
    """
    A model, what of it is trained, and how it turns batches into vectors.

    Parameters
    ----------
    config : `TrainingConfig`
        The settings.
    device : str
        Where to train.

    Attributes
    ----------
    source : `Bundle` or `OpenClipModel`
        What it started from.
    module : `torch.nn.ModuleDict`
        ``model`` and, for the method ``head``, ``image_head`` and
        ``text_head``; for the sigmoid loss also the parameter ``logit_bias``.
    trained : dict of str to `torch.nn.Parameter`
        What is trained, by name.
    """

    def __init__(self, config, device):
        import torch

        self.config = config
        self.device = torch.device(device)
        # New weights do not depend on what ran before.
        torch.manual_seed(config.seed)
        if config.method == 'scratch':
            self.source, model = _untrained(config.model)
        else:
            self.source = find_model(config.model)
            model = torch_model(self.source, device='cpu')
        if not hasattr(model, 'visual'):
            msg = (
                f'{config.model!r} has heads on frozen towers; start from the '
                'model that they were trained on.'
            )
            raise TrainingError(msg)
        self.module = torch.nn.ModuleDict({'model': model})
        if config.method == 'head':
            self._add_heads()
        elif config.method == 'lora':
            self._add_adapters()
        if config.loss == 'sigmoid' and self._logit_bias is None:
            self.module.logit_bias = torch.nn.Parameter(
                torch.tensor(LOGIT_BIAS)
            )
        self.module.to(self.device)
        self._choose_parameters()
        self._mean, self._std = (
            255 * torch.tensor(values, device=self.device).view(1, 3, 1, 1)
            for values in preprocessing(self.source.preprocess_cfg)
        )
        self.precision = config.precision
        if self.precision == 'auto':
            on_gpu = self.device.type == 'cuda'
            self.precision = 'bf16' if on_gpu else 'fp32'

    @property
    def model(self):
        """The model of open_clip."""
        model = self.module['model']
        return (
            model.base_model.model if hasattr(model, 'peft_config') else model
        )

    @property
    def model_dim(self):
        """Length of the vectors."""
        return int(self.source.model_cfg['embed_dim'])

    @property
    def logit_scale(self):
        """Factor of the cosines (float)."""
        return float(self.model.logit_scale.detach().exp())

    @property
    def _logit_bias(self):
        own = getattr(self.module, 'logit_bias', None)
        return getattr(self.model, 'logit_bias', None) if own is None else own

    def _add_heads(self):
        from astroclip_search.embedding._heads import make_head

        for name in ('image_head', 'text_head'):
            self.module[name] = make_head(
                self.model_dim, self.config.head_width
            )

    def _add_adapters(self):
        import torch

        peft = require('peft', extra='training', purpose='train adapters')
        model = self.module['model']
        kinds = (torch.nn.Linear, torch.nn.MultiheadAttention)
        attention = [
            name
            for name, part in model.named_modules()
            if isinstance(part, torch.nn.MultiheadAttention)
        ]
        targets = [
            name
            for name, part in model.named_modules()
            if isinstance(part, kinds)
            and not any(name.startswith(f'{outer}.') for outer in attention)
        ]
        settings = peft.LoraConfig(
            r=self.config.lora_rank,
            lora_alpha=self.config.lora_alpha,
            target_modules=targets,
        )
        self.module['model'] = peft.get_peft_model(model, settings)

    def _choose_parameters(self):
        method = self.config.method
        factors = dict(self.config.rate_factors)
        found = set()
        self.trained, self.factors = {}, {}
        for full, parameter in self.module.named_parameters():
            name = _plain(full)
            prefixes = [p for p in factors if name.startswith(p)]
            found.update(prefixes)
            factor = factors[max(prefixes, key=len)] if prefixes else 1.0
            # Towers of timm have a part of their own called "head".
            new = 'lora_' in name or name.startswith(_NEW)
            wanted = new or method in ('full', 'scratch')
            parameter.requires_grad_(wanted and factor > 0)
            if parameter.requires_grad:
                self.trained[full] = parameter
                self.factors[full] = factor
        if set(factors) - found:
            msg = (
                f'rate_factors name {sorted(set(factors) - found)}, but no '
                f'parameter of {self.config.model!r} starts like that.'
            )
            raise TrainingError(msg)

    def frozen(self, tower):
        """
        Whether a whole tower is frozen, so that its features may be kept.

        Parameters
        ----------
        tower : {'image', 'text'}
            The tower, without its head.

        Returns
        -------
        frozen : bool
            True if nothing that the tower computes can change.
        """
        image = ('visual.',)
        names = [_plain(name) for name in self.trained]
        if tower == 'image':
            changing = [n for n in names if n.startswith(image)]
        else:
            changing = [n for n in names if not n.startswith(image + _NEW)]
        return not changing and self.config.batch_norm == 'frozen'

    def training_mode(self):
        """Prepare for a step: dropout on, statistics frozen if so set."""
        import torch

        self.module.train()
        frozen = [t for t in ('image', 'text') if self.frozen(t)]
        if len(frozen) == 2:
            self.model.eval()
        elif frozen == ['image']:
            self.model.visual.eval()
        elif frozen == ['text'] and hasattr(self.model, 'text'):
            self.model.text.eval()
        if self.config.batch_norm == 'frozen':
            for part in self.module.modules():
                if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
                    part.eval()

    def _context(self):
        import torch

        if self.precision == 'fp32':
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def image_features(self, pixels):
        """Features of the image tower, (n, d), of pixels (n, S, S, 3)."""
        with self._context():
            x = pixels.to(self.device).permute(0, 3, 1, 2).float()
            return self.model.encode_image((x - self._mean) / self._std)

    def text_features(self, words):
        """Features of the text tower, (n, d), of token ids (n, length)."""
        with self._context():
            return self.model.encode_text(words.to(self.device))

    def vectors(self, batch):
        """
        Turn a batch into unit vectors.

        Parameters
        ----------
        batch : dict
            As of ``PairDataset.collate``: ``image`` and ``words`` hold pixels
            and token ids, or features that were kept.

        Returns
        -------
        images, texts : (n, d) `torch.Tensor` of float32
            Unit vectors.
        """
        return (
            self.image_vectors(batch['image']),
            self.text_vectors(batch['words']),
        )

    def image_vectors(self, image):
        """Unit vectors, (n, d) float32, of pixels or of kept features."""
        if image.ndim == 4:
            image = self.image_features(image)
        return self._finish(image, 'image')

    def text_vectors(self, words):
        """Unit vectors, (n, d) float32, of token ids or kept features."""
        if not words.dtype.is_floating_point:
            words = self.text_features(words)
        return self._finish(words, 'text')

    def _finish(self, features, tower):
        """Apply the head of a tower, if any; bring to unit length."""
        from torch.nn.functional import normalize

        features = features.to(self.device)
        if f'{tower}_head' in self.module:
            with self._context():
                features = self.module[f'{tower}_head'](features)
        return normalize(features.float(), dim=-1)

    def loss(self, images, texts, keys):
        """Loss of the vectors of a whole batch; keys mark positives."""
        from astroclip_search.training import losses

        scale = self.model.logit_scale.exp()
        if self.config.loss == 'infonce':
            return losses.info_nce_loss(images, texts, scale, keys)
        return losses.sigmoid_loss(
            images, texts, scale, self._logit_bias, keys
        )

    def clamp(self):
        """Keep the factor of the cosines in its bounds."""
        import torch

        with torch.no_grad():
            self.model.logit_scale.clamp_(
                0, math.log(self.config.max_logit_scale)
            )


def _untrained(name):
    """Source and model of an architecture, with random weights."""
    open_clip = import_open_clip()
    architecture = name.partition('/')[0]
    if find_bundle(name) is None and architecture in open_clip.list_models():
        cfg = open_clip.get_model_config(architecture)
        if 'hf_tokenizer_name' in cfg['text_cfg']:
            msg = (
                f'The tokenizer of {architecture!r} comes with its weights; '
                'save a model of it and name that directory.'
            )
            raise TrainingError(msg)
        kwargs = {'model_name': architecture}
        model = open_clip.create_model(**kwargs, load_weights=False)
        source = OpenClipModel(
            name=architecture,
            model_cfg=cfg,
            preprocess_cfg={},
            model=model,
            text=text_settings(cfg),
            tokenizer_files={TOKENIZER: clip_tokenizer_json().encode()},
            kwargs=kwargs,
        )
        return source, model
    source = find_model(name)
    kwargs = source.open_clip_kwargs()
    return source, open_clip.create_model(**kwargs, load_weights=False)


def _plain(name):
    """Name of a parameter as in the model that was loaded."""
    name = name.removeprefix('model.').removeprefix('base_model.model.')
    return name.replace('.base_layer.', '.')
