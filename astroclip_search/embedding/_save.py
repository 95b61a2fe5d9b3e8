# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Saving of loaded models as bundles."""

from astroclip_search.embedding._bundle import (
    CONFIG,
    GRAPHS,
    INFO,
    TOKENIZER,
    WEIGHTS,
    Bundle,
)
from astroclip_search.embedding._models import create_model
from astroclip_search.embedding.bundles import write_bundle

__all__ = ['save']


def save(source, path):
    """
    Write a loaded model as a bundle.

    Parameters
    ----------
    source : `Bundle` or `OpenClipModel`
        The model.
    path : path-like
        Directory to write.
    """
    if isinstance(source, Bundle):
        # Without heads: they are a file of their own.
        model = create_model(source.name, source.open_clip_kwargs())
        ours = {CONFIG, INFO, WEIGHTS, *GRAPHS}
        files = [
            p
            for p in source.path.iterdir()
            if p.is_file() and p.name not in ours
        ]
        files = files if (source.path / TOKENIZER).is_file() else None
    else:
        model = source.model
        files = source.tokenizer_files
    info = {
        'name': source.name,
        **source.info,
        'rendering': source.rendering.to_dict(),
    }
    write_bundle(
        path,
        model_cfg=source.model_cfg,
        preprocess_cfg=source.preprocess_cfg,
        state_dict=model.state_dict(),
        tokenizer_files=files,
        info=info,
    )
