# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Two-layer heads on frozen towers, the paper's second way of training."""

from astroclip_search.exceptions import ModelError

__all__ = ['HEADS', 'add_heads', 'make_head']

HEADS = 'heads.safetensors'


def make_head(dim, width):
    """
    Make a head: two linear layers with GELU between.

    Parameters
    ----------
    dim : int
        Length of the vectors that it takes and gives.
    width : int
        Units of the hidden layer; 1,024 in the paper (section 3.3).

    Returns
    -------
    head : `torch.nn.Sequential`
        The head, with random weights.
    """
    from torch import nn

    return nn.Sequential(
        nn.Linear(dim, width), nn.GELU(), nn.Linear(width, dim)
    )


def add_heads(model, path):
    """
    Put the heads of a bundle on its model.

    Parameters
    ----------
    model : `torch.nn.Module`
        Model of open_clip.
    path : `~pathlib.Path`
        File of the weights, ``image_head.*`` and ``text_head.*``.

    Returns
    -------
    model : `torch.nn.Module`
        With ``encode_image`` and ``encode_text`` of the same form.

    Raises
    ------
    ModelError
        If the file holds no heads.
    """
    from safetensors.torch import load_file
    from torch import nn

    class HeadedModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def encode_image(self, image):
            return self.image_head(self.model.encode_image(image))

        def encode_text(self, text):
            return self.text_head(self.model.encode_text(text))

    headed = HeadedModel()
    try:
        weights = load_file(path)
        for name in ('image_head', 'text_head'):
            part = {
                key.removeprefix(f'{name}.'): value.float()
                for key, value in weights.items()
                if key.startswith(f'{name}.')
            }
            width, dim = part['0.weight'].shape
            head = make_head(dim, width)
            head.load_state_dict(part)
            headed.add_module(name, head)
    except Exception as exc:  # safetensors has an error of its own
        msg = (
            f'{path} holds no heads of a model ({exc}). Save the model again.'
        )
        raise ModelError(msg) from exc
    return headed
