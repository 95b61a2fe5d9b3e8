# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Products of 8-bit matrices with a vector, by whatever is loaded.

Where torch is loaded already its kernel for weights of 8 bits is used: it is
bound by memory alone, also without the newer instructions for 8-bit integers,
and takes the query in bfloat16. Otherwise it is MatMulInteger of ONNX
Runtime, with the query in 8 bits.
"""

import base64
import ctypes
import sys
from functools import lru_cache

import numpy as np

__all__ = []

_GRAPH = base64.b64decode(
    'CAgSADpiChgKAWEKAWISAXkiDU1hdE11bEludGVnZXISAWdaFQoBYRIQCg4IAxIK'
    'CgMSAW4KAxIBZFoVCgFiEhAKDggDEgoKAxIBZAoDEgFxYhUKAXkSEAoOCAYSCgoD'
    'EgFuCgMSAXFCBAoAEA0='
)

# Half a unit in the last place of bfloat16, relative.
_BFLOAT = 2.0**-8


class Query:
    """
    A query, rounded as the kernel takes it.

    Parameters
    ----------
    vector : (d,) `~numpy.ndarray`, float32
        Unit vector.

    Attributes
    ----------
    error : float
        Length of the difference between it and what stands for it.
    rounding : float
        Relative error of a product with it.
    """

    def __init__(self, vector):
        vector = np.ascontiguousarray(vector, np.float32)
        self._torch = _torch_kernel()
        if self._torch is not None:
            torch = self._torch
            self._rounded = torch.from_numpy(vector)[None].bfloat16()
            rounded = self._rounded.float().numpy()[0]
            self.rounding = _BFLOAT
        else:
            self._scale = np.float32(np.abs(vector).max() / 127)
            code = np.rint(vector / self._scale)
            self._rounded = code.astype(np.int8)[:, None]
            rounded = code * self._scale
            self.rounding = 0.0
        self.error = float(np.linalg.norm(vector - rounded))

    def products(self, codes, scales, out):
        """
        Multiply vectors of 8 bits with the query.

        Parameters
        ----------
        codes : (n, d) `~numpy.ndarray`, int8
            Codes of rows.
        scales : (n,) `~numpy.ndarray`, float32
            What a unit of each row stands for.
        out : (n,) `~numpy.ndarray`, float32
            Filled with the products.
        """
        if self._torch is not None:
            raw = _torch_products(self._torch, codes, self._rounded)
            np.multiply(raw, scales, out=out)
            return
        raw = _session().run(None, {'a': codes, 'b': self._rounded})[0][:, 0]
        np.multiply(raw, scales * self._scale, out=out)


@lru_cache(maxsize=1)
def _session():
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        _GRAPH, options, providers=['CPUExecutionProvider']
    )


def _torch_kernel():
    """torch, where it is loaded and its kernel is sound."""
    torch = sys.modules.get('torch')
    if torch is None or not hasattr(torch, 'bfloat16'):
        return None  # not there, or being imported just now
    return torch if _is_sound(torch) else None


@lru_cache(maxsize=1)
def _is_sound(torch):
    """Whether the kernel, which is not public, does what we think."""
    codes = np.arange(-127, 128, dtype=np.int8)[: 4 * 32].reshape(4, 32)
    query = torch.arange(32)[None].bfloat16() / 64
    expected = codes.astype(np.float32) @ query.float().numpy()[0]
    try:
        found = _torch_products(torch, codes, query)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False
    return bool(np.allclose(found, expected, rtol=_BFLOAT, atol=1e-3))


def _torch_products(torch, codes, query):
    with torch.inference_mode():
        weights = torch.from_numpy(_writable(codes))
        ones = torch.ones(len(codes), dtype=torch.bfloat16)
        raw = torch._weight_int8pack_mm(query, weights, ones)[0]
    # bfloat16 is the upper half of float32; NumPy does that in this thread,
    # and threads that wait for each other are slow where cores are busy.
    upper = raw.view(torch.int16).numpy().view(np.uint16).astype(np.uint32)
    return (upper << np.uint32(16)).view(np.float32)


def _writable(codes):
    """The same memory without the flag that torch warns about."""
    if codes.flags.writeable:
        return codes
    codes = np.ascontiguousarray(codes)
    pointer = ctypes.cast(codes.ctypes.data, ctypes.POINTER(ctypes.c_int8))
    return np.ctypeslib.as_array(pointer, codes.shape)


def to_float32(values):
    """
    Widen 16-bit floats.

    Parameters
    ----------
    values : `~numpy.ndarray`, float16
        Values, in memory of their own.

    Returns
    -------
    values : `~numpy.ndarray`, float32
        The same values.
    """
    torch = sys.modules.get('torch')
    if torch is None or not hasattr(torch, 'from_numpy'):
        return values.astype(np.float32)
    # Ten times faster than NumPy, which does it one by one.
    return torch.from_numpy(values).float().numpy()
