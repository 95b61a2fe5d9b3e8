# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""A small model of random weights, for tests of everything but quality."""

from pathlib import Path

__all__ = ['TINY_CFG', 'tiny_bundle']

TINY_CFG = {
    'embed_dim': 32,
    'quick_gelu': True,
    'vision_cfg': {
        'image_size': 64,
        'layers': 2,
        'width': 64,
        'head_width': 32,
        'patch_size': 16,
    },
    'text_cfg': {
        'context_length': 77,
        'vocab_size': 49408,
        'width': 32,
        'heads': 2,
        'layers': 2,
    },
}


def tiny_bundle(path, *, seed=0, dim=32):
    """Write a bundle of random weights that both backends run."""
    import torch

    from astroclip_search.embedding._torchvision import import_open_clip
    from astroclip_search.embedding.bundles import write_bundle

    open_clip = import_open_clip()
    cfg = {**TINY_CFG, 'embed_dim': dim}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = open_clip.model.CLIP(**cfg)
        with torch.no_grad():
            # The usual start gives every input nearly the same vector.
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter *= 4
    write_bundle(
        path,
        model_cfg=cfg,
        preprocess_cfg={'resize_mode': 'longest'},
        state_dict=model.state_dict(),
        tokenizer_files=None,
        info={
            'name': 'tiny',
            'version': '1',
            'licence': 'BSD-3-Clause',
        },
    )
    return Path(path)
