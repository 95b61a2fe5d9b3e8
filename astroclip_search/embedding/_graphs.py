# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Writing of ONNX graphs that share the weights file of a bundle.

torch exports each tower with its parameters under their own names. They are
then taken out of the graph: what stays are references to the float16 tensors
inside the safetensors file, by offset, each followed by a cast to float32.
"""

import warnings
from contextlib import contextmanager

import numpy as np

from astroclip_search._optional import require
from astroclip_search.embedding._bundle import (
    GRAPHS,
    WEIGHTS,
    preprocessing,
)
from astroclip_search.embedding._verify import read_header
from astroclip_search.exceptions import (
    AstroClipWarning,
    MissingDependencyError,
)

__all__ = ['write_graphs']

OPSET = 17  # the first with LayerNormalization
MAX_SIZE = 1_000_000
MIN_COSINE = 0.9999


def write_graphs(bundle, model):
    """
    Write ``image.onnx`` and ``text.onnx``, if the architecture allows it.

    A bundle without graphs is whole: torch runs it. A warning says why there
    are none.

    Parameters
    ----------
    bundle : `Bundle`
        The bundle to which they are added.
    model : `torch.nn.Module`
        Its model in float32.
    """
    try:
        require('onnx', extra='training', purpose='write graphs')
        _export(bundle, model)
        reason = _difference(bundle, model)
    except MissingDependencyError as exc:
        reason = str(exc)
    except Exception as exc:
        # Exporters fail in as many ways as there are architectures.
        text = ' '.join(str(exc).split())[:200]
        reason = f'torch cannot export it ({type(exc).__name__}: {text})'
    if reason is not None:
        for name in GRAPHS:
            (bundle.path / name).unlink(missing_ok=True)
        msg = (
            f'the model {bundle.name!r} is saved without graphs for ONNX '
            f'Runtime and needs the torch backend: {reason}'
        )
        warnings.warn(msg, AstroClipWarning, stacklevel=3)


def _towers(bundle, model):
    """The two towers, as modules of plain inputs, with examples."""
    import torch

    class Image(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model
            self.mean, self.std = (
                255 * torch.tensor(values).view(1, 3, 1, 1)
                for values in preprocessing(bundle.preprocess_cfg)
            )

        def forward(self, pixels):
            x = pixels.permute(0, 3, 1, 2).float()
            return self.model.encode_image((x - self.mean) / self.std)

    class Text(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids):
            return self.model.encode_text(ids)

    size = bundle.image_size
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, size, size, 3)).astype(np.uint8)
    tokenizer = bundle.tokenizer()
    texts = ('galaxy', 'a star cluster', 'dust and gas')
    ids = tokenizer.pad([tokenizer.encode(text) for text in texts])
    return (
        (GRAPHS[0], Image(), 'pixels', torch.from_numpy(pixels)),
        (GRAPHS[1], Text(), 'ids', torch.from_numpy(ids)),
    )


@contextmanager
def _plain_attention(model):
    """Attention in operations that an exporter knows."""
    import torch

    config = getattr(getattr(model, 'text', None), 'config', None)
    before = getattr(config, '_attn_implementation', None)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    if before is not None:
        config._attn_implementation = 'eager'
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        if before is not None:
            config._attn_implementation = before


def _export(bundle, model):
    """Export both towers and take their weights out."""
    import onnx
    import torch

    for name, tower, given, example in _towers(bundle, model):
        path = bundle.path / name
        axes = {given: {0: 'n'}, 'features': {0: 'n'}}
        if given == 'ids' and not bundle.text['fixed_length']:
            axes[given][1] = 'length'
        with (
            warnings.catch_warnings(),
            _plain_attention(model),
            torch.no_grad(),
        ):
            # The exporter on which torch 2 grew up keeps parameter names and
            # needs no further package; it says that it is the older one, and
            # where it traces a shape.
            warnings.simplefilter('ignore')
            torch.onnx.export(
                tower.eval(),
                (example,),
                str(path),
                dynamo=False,
                input_names=[given],
                output_names=['features'],
                dynamic_axes=axes,
                opset_version=OPSET,
                do_constant_folding=False,
                # Batch norm is not folded into other weights.
                training=torch.onnx.TrainingMode.PRESERVE,
            )
        graph = onnx.load(str(path))
        _share_weights(graph, bundle.path / WEIGHTS)
        path.write_bytes(graph.SerializeToString())
        onnx.checker.check_model(str(path))
        if path.stat().st_size > MAX_SIZE:
            msg = f'{name} has {path.stat().st_size} bytes'
            raise ValueError(msg)


def _share_weights(model, weights):
    """Replace initializers by references into the weights file."""
    from onnx import TensorProto, helper

    header, start = read_header(weights)
    graph = model.graph
    kept, casts = [], []
    for tensor in graph.initializer:
        key = tensor.name.removeprefix('model.')
        entry = header.get(key)
        if entry is None or entry['dtype'] != 'F16':
            kept.append(TensorProto.FromString(tensor.SerializeToString()))
            continue
        if tuple(entry['shape']) != tuple(tensor.dims):
            msg = f'{key} is {tensor.dims} in the graph'
            raise ValueError(msg)
        first, last = entry['data_offsets']
        stored = TensorProto(
            name=f'{tensor.name}.float16',
            data_type=TensorProto.FLOAT16,
            dims=tensor.dims,
            data_location=TensorProto.EXTERNAL,
        )
        for field, value in {
            'location': weights.name,
            'offset': start + first,
            'length': last - first,
        }.items():
            stored.external_data.add(key=field, value=str(value))
        kept.append(stored)
        if not _look_up(graph, tensor.name, stored.name):
            casts.append(
                helper.make_node(
                    'Cast',
                    [stored.name],
                    [tensor.name],
                    to=TensorProto.FLOAT,
                )
            )
    del graph.initializer[:]
    graph.initializer.extend(kept)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _look_up(graph, name, stored):
    """Cast what is looked up in a table, not the table; say if that does."""
    from onnx import TensorProto, helper

    users = [n for n in graph.node if name in n.input]
    if any(n.op_type != 'Gather' or n.input[0] != name for n in users):
        return False
    for node in users:
        node.input[0] = stored
        wanted = node.output[0]
        node.output[0] = f'{wanted}.float16'
        cast = helper.make_node(
            'Cast', [node.output[0]], [wanted], to=TensorProto.FLOAT
        )
        graph.node.insert(list(graph.node).index(node) + 1, cast)
    return True


def _difference(bundle, model):
    """Why the graphs may not stand for the model; None if they may."""
    import torch

    from astroclip_search.embedding._onnx import OnnxBackend

    for name, tower, given, example in _towers(bundle, model):
        with torch.no_grad():
            expected = tower(example).numpy()
        for optimize, n in ((False, 1), (True, 1), (True, len(example))):
            session = OnnxBackend(bundle).session(name, optimize=optimize)
            got = session.run(None, {given: example.numpy()[:n]})[0]
            cosine = np.sum(got * expected[:n], -1) / (
                np.linalg.norm(got, axis=-1)
                * np.linalg.norm(expected[:n], axis=-1)
            )
            if not cosine.min() >= MIN_COSINE:
                return f'{name} and torch agree to {cosine.min():.5f} only'
    return None
