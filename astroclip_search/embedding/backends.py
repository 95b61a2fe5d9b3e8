# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Models of open_clip in torch.

They serve CUDA devices, training, and architectures without ONNX graphs.
"""

from contextlib import nullcontext

import numpy as np

from astroclip_search.config import conf
from astroclip_search.embedding._bundle import Bundle, preprocessing
from astroclip_search.embedding._heads import HEADS, add_heads
from astroclip_search.embedding._models import (
    create_model,
    find_model,
    one_line,
)
from astroclip_search.exceptions import ModelError

__all__ = ['TorchBackend', 'load_open_clip']


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
            f'the device {device!r} cannot be used ({one_line(exc)}). '
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
        model = create_model(source.name, source.open_clip_kwargs())
        if source.has_heads:
            model = add_heads(model, source.path / HEADS)
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
