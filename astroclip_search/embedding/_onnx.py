# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Models in ONNX Runtime, on a CPU and without torch.

A tower is loaded when it is first used: a search by text never reads the
image tower.
"""

import numpy as np

from astroclip_search.embedding._bundle import GRAPHS, WEIGHTS
from astroclip_search.embedding._verify import verified_sha256
from astroclip_search.exceptions import ModelError

__all__ = ['OnnxBackend']

# Rows that a tower embeds before its graph is optimised. For one text, the
# optimisation takes ten times as long as running the graph as it is.
FEW = 8


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
        self._sessions = {}
        self._seen = dict.fromkeys(GRAPHS, 0)

    def session(self, graph, *, optimize):
        """
        Load a tower.

        Parameters
        ----------
        graph : str
            File of the graph.
        optimize : bool
            Whether to optimise it, and with it its copy of the weights.

        Returns
        -------
        session : `onnxruntime.InferenceSession`
            The tower.
        """
        import onnxruntime

        source = self._source
        if verified_sha256(source.path / WEIGHTS) != source.weights_sha256:
            msg = (
                f'the weights of the model {source.name!r} in {source.path} '
                'were replaced while it was in use. Load it again.'
            )
            raise ModelError(msg)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = (
            levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
        )
        # Threads that spin between two calls starve those that read images.
        options.add_session_config_entry(
            'session.intra_op.allow_spinning', '0'
        )
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

    def _run(self, graph, **feed):
        """Run a tower, optimised as soon as that is worth its time."""
        (rows,) = feed.values()
        self._seen[graph] += len(rows)
        optimize = self._seen[graph] > FEW
        if self._sessions.get(graph, (None, not optimize))[1] != optimize:
            session = self.session(graph, optimize=optimize)
            self._sessions[graph] = (session, optimize)
        return self._sessions[graph][0].run(None, feed)[0]

    def encode_image(self, pixels):
        """(n, S, S, 3) uint8 pixels to (n, d) float32 features."""
        return self._run(GRAPHS[0], pixels=np.ascontiguousarray(pixels))

    def encode_text(self, ids):
        """(n, length) int64 token ids to (n, d) float32 features."""
        return self._run(GRAPHS[1], ids=ids)
