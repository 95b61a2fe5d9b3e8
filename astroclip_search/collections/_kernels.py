# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Products of 8-bit matrices with a vector, by whatever is at hand."""

import base64
from functools import lru_cache

__all__ = []

# y = MatMulInteger(a, b), int8 to int32, opset 13, made with onnx.helper.
_GRAPH = base64.b64decode(
    'CAgSADpiChgKAWEKAWISAXkiDU1hdE11bEludGVnZXISAWdaFQoBYRIQCg4IAxIK'
    'CgMSAW4KAxIBZFoVCgFiEhAKDggDEgoKAxIBZAoDEgFxYhUKAXkSEAoOCAYSCgoD'
    'EgFuCgMSAXFCBAoAEA0='
)


def product(codes, query):
    """
    Multiply codes with the code of a query.

    Parameters
    ----------
    codes : (n, d) `~numpy.ndarray`, int8
        Codes of rows.
    query : (d, 1) `~numpy.ndarray`, int8
        Code of a query.

    Returns
    -------
    product : (n,) `~numpy.ndarray`, int32
        Exact scalar products.
    """
    return _onnx_product(codes, query)


@lru_cache(maxsize=1)
def _session():
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        _GRAPH, options, providers=['CPUExecutionProvider']
    )


def _onnx_product(codes, query):
    return _session().run(None, {'a': codes, 'b': query})[0][:, 0]
