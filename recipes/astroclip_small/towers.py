# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
The towers cut in two: what stays as the parents made it, and what is tuned.

What the frozen lower parts make of a picture or a text is computed once. In
the upper part of the image tower the batch normalisation, whose statistics
stay frozen, is folded into the convolutions.
"""

import copy

import numpy as np

__all__ = ['lower_images', 'lower_texts', 'make_image_top', 'make_text_top']

IMAGE_BLOCKS = 4  # stages of EfficientNet-Lite that stay frozen
TEXT_LAYERS = 3  # layers of MiniLM that stay frozen


def _pairs_of(block):
    """Names of the convolutions of a block and of what normalises them."""
    names = [
        n for n in ('conv_pw', 'conv_dw', 'conv_pwl') if hasattr(block, n)
    ]
    if not hasattr(block, 'conv_pwl'):
        names = ['conv_dw', 'conv_pw']
    return [(name, f'bn{i}') for i, name in enumerate(names, start=1)]


def _fold(parent, conv, norm):
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    bn = getattr(parent, norm)
    setattr(parent, conv, fuse_conv_bn_eval(getattr(parent, conv), bn))
    setattr(parent, norm, bn.act)


def _image_top_class():
    from torch import nn

    class Top(nn.Module):
        def __init__(self, model, blocks, dropout):
            super().__init__()
            visual = copy.deepcopy(model.visual).eval()
            trunk = visual.trunk
            self.blocks = trunk.blocks[blocks:]
            for stage in self.blocks:
                for block in stage:
                    for conv, norm in _pairs_of(block):
                        _fold(block, conv, norm)
            self.head = nn.Module()
            self.head.conv_head, self.head.bn2 = trunk.conv_head, trunk.bn2
            _fold(self.head, 'conv_head', 'bn2')
            self.dropout = nn.Dropout(dropout)
            self.proj = visual.head.proj
            self.first = blocks

        def features(self, x):
            for stage in self.blocks:
                x = stage(x)
            return self.head.bn2(self.head.conv_head(x)).mean((2, 3))

        def forward(self, x):
            x = self.proj(self.dropout(self.features(x)))
            return nn.functional.normalize(x, dim=-1)

        def write_into(self, model):
            """Copy the weights into a model of the usual form."""
            trunk = model.visual.trunk
            for i, stage in enumerate(self.blocks):
                for j, block in enumerate(stage):
                    theirs = trunk.blocks[self.first + i][j]
                    for conv, norm in _pairs_of(theirs):
                        _unfold(block, theirs, conv, norm)
            _unfold(self.head, trunk, 'conv_head', 'bn2')
            model.visual.head.proj.load_state_dict(self.proj.state_dict())

    return Top


def _unfold(folded, parent, conv, norm):
    """Put a folded convolution beside a normalisation that does nothing."""
    import torch

    ours, bn = getattr(folded, conv), getattr(parent, norm)
    with torch.no_grad():
        getattr(parent, conv).weight.copy_(ours.weight)
        bn.running_mean.zero_()
        bn.running_var.fill_(1)
        bn.weight.fill_((1 + bn.eps) ** 0.5)
        bn.bias.copy_(ours.bias)


def make_image_top(model, *, blocks=IMAGE_BLOCKS, dropout=0.3):
    """Upper part of the image tower, with a projection to unit vectors."""
    return _image_top_class()(model, blocks, dropout)


def make_text_top(model, *, layers=TEXT_LAYERS):
    """Upper part of the text tower, from lists of hidden states."""
    import torch
    from torch import nn

    class Top(nn.Module):
        def __init__(self):
            super().__init__()
            text = copy.deepcopy(model.text)
            self.layers = text.transformer.encoder.layer[layers:]
            self.proj = text.proj

        def forward(self, hidden):
            x = nn.utils.rnn.pad_sequence(
                [torch.as_tensor(h).float() for h in hidden], batch_first=True
            )
            length = torch.tensor([len(h) for h in hidden])
            mask = torch.arange(x.shape[1]) < length[:, None]
            extended = torch.where(mask, 0.0, -1e9)[:, None, None]
            for layer in self.layers:
                x = layer(x, extended)
                x = x[0] if isinstance(x, tuple) else x
            x = (x * mask[..., None]).sum(1) / length[:, None]
            return nn.functional.normalize(self.proj(x), dim=-1)

        def write_into(self, target):
            """Copy the weights into a model of the usual form."""
            encoder = target.text.transformer.encoder
            encoder.layer[layers:].load_state_dict(self.layers.state_dict())
            target.text.proj.load_state_dict(self.proj.state_dict())

    return Top()


def lower_texts(model, texts, tokenizer, *, layers=TEXT_LAYERS, batch=64):
    """
    Hidden states of the frozen lower layers.

    Parameters
    ----------
    model : `open_clip.model.CustomTextCLIP`
        The assembled parents.
    texts : list of str
        The texts.
    tokenizer : `tokenizers.Tokenizer`
        Cuts at the limit of the model; without padding.

    Returns
    -------
    hidden : list of (length, width) `~numpy.ndarray` of float16
        One per text.
    """
    import torch

    ids = [e.ids for e in tokenizer.encode_batch(list(texts))]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    hidden = [None] * len(ids)
    bert = model.text.transformer
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            size = max(len(ids[i]) for i in rows)
            tokens = torch.zeros(len(rows), size, dtype=torch.long)
            for k, i in enumerate(rows):
                tokens[k, : len(ids[i])] = torch.tensor(ids[i])
            mask = (tokens != 0).long()
            states = bert(
                tokens, attention_mask=mask, output_hidden_states=True
            ).hidden_states[layers]
            for k, i in enumerate(rows):
                hidden[i] = states[k, : len(ids[i])].half().numpy()
    return hidden


def lower_images(model, path, *, blocks=IMAGE_BLOCKS, threads=2):
    """
    Make a function that runs the frozen lower stages of the image tower.

    Parameters
    ----------
    model : `open_clip.model.CustomTextCLIP`
        The assembled parents.
    path : path-like
        Where the graph is written; ONNX Runtime runs it three times as fast
        as PyTorch does on a CPU.

    Returns
    -------
    run : callable
        From (n, S, S, 3) uint8 to float16 features.
    """
    import onnxruntime
    import torch

    class Lower(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = model.visual.trunk

        def forward(self, pixels):
            x = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
            x = self.trunk.bn1(self.trunk.conv_stem(x))
            for stage in self.trunk.blocks[:blocks]:
                x = stage(x)
            return x

    example = torch.zeros(2, 224, 224, 3, dtype=torch.uint8)
    torch.onnx.export(
        Lower().eval(), (example,), str(path), dynamo=False,
        input_names=['pixels'], dynamic_axes={'pixels': {0: 'n'}},
    )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        str(path), options, providers=['CPUExecutionProvider']
    )

    def run(pixels):
        out = session.run(None, {'pixels': np.ascontiguousarray(pixels)})
        return out[0].astype(np.float16)

    return run
