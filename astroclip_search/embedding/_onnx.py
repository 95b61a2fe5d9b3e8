# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Models in ONNX Runtime, on a CPU and without torch.

The session of a tower is made when it is first used: a search by text never
reads the image tower.
"""

from functools import cached_property

import numpy as np

from astroclip_search.embedding._bundle import GRAPHS, WEIGHTS
from astroclip_search.embedding._verify import verified_sha256
from astroclip_search.exceptions import ModelError

__all__ = ['OnnxBackend']


class OnnxBackend:
    """
    Run the towers of a bundle in ONNX Runtime.

    Parameters
    ----------
    source : `Bundle`
        The model.
    device, precision : str, optional
        Only ``'auto'`` and ``'cpu'``, ``'auto'`` and ``'fp32'``.

    Raises
    ------
    ModelError
        If the bundle has no graphs, or for another device or precision.
    """

    name = 'onnx'
    device = 'cpu'
    precision = 'fp32'

    def __init__(self, source, *, device='auto', precision='auto'):
        if not source.has_graphs:
            msg = (
                f'the model {source.name!r} has no graphs for ONNX Runtime. '
                'Choose backend="torch".'
            )
            raise ModelError(msg)
        if str(device) not in ('auto', 'cpu') or precision not in (
            'auto',
            'fp32',
        ):
            msg = (
                f'the onnx backend runs on the CPU in fp32, not on {device!r} '
                f'in {precision!r}. Choose backend="torch".'
            )
            raise ModelError(msg)
        self._source = source

    def _session(self, graph):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Threads that spin between two calls starve those that read images.
        options.add_session_config_entry(
            'session.intra_op.allow_spinning', '0'
        )
        source = self._source
        if verified_sha256(source.path / WEIGHTS) != source.weights_sha256:
            msg = (
                f'the weights of the model {source.name!r} in {source.path} '
                'were replaced while it was in use. Load it again.'
            )
            raise ModelError(msg)
        path = source.path / graph
        try:
            return onnxruntime.InferenceSession(
                str(path), options, providers=['CPUExecutionProvider']
            )
        except Exception as exc:  # the library has no base class of its own
            reason = ' '.join(str(exc).split())
            msg = (
                f'ONNX Runtime cannot load {path} of the model '
                f'{source.name!r} ({reason}). Install the model again, or '
                'choose backend="torch".'
            )
            raise ModelError(msg) from exc

    @cached_property
    def _image(self):
        return self._session(GRAPHS[0])

    @cached_property
    def _text(self):
        return self._session(GRAPHS[1])

    def encode_image(self, pixels):
        """(n, S, S, 3) uint8 pixels to (n, d) float32 features."""
        pixels = np.ascontiguousarray(pixels)
        return self._image.run(None, {'pixels': pixels})[0]

    def encode_text(self, ids):
        """(n, length) int64 token ids to (n, d) float32 features."""
        return self._text.run(None, {'ids': ids})[0]
