# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Writing of a trained model as a bundle."""

from dataclasses import asdict

from astroclip_search.embedding._bundle import (
    CONFIG,
    GRAPHS,
    INFO,
    TOKENIZER,
    WEIGHTS,
    Bundle,
)
from astroclip_search.embedding._heads import HEADS
from astroclip_search.embedding._text import clip_tokenizer_json
from astroclip_search.embedding.bundles import write_bundle

__all__ = ['save_model']


def _tokenizer_files(source):
    """Files of tokenizer and text tower of what the run started from."""
    if not isinstance(source, Bundle):
        return dict(source.tokenizer_files)
    ours = {CONFIG, INFO, WEIGHTS, HEADS, *GRAPHS}
    files = {
        path.name: path
        for path in source.path.iterdir()
        if path.is_file() and path.name not in ours and path.suffix != '.md'
    }
    if TOKENIZER not in files:
        files[TOKENIZER] = clip_tokenizer_json()
    return files


def save_model(learner, path, *, pairs, progress):
    """
    Write the trained model as a bundle.

    Parameters
    ----------
    learner : `Learner`
        The model, with the weights that are to be saved.
    path : `~pathlib.Path`
        Directory to write.
    pairs : `Pairs`
        What it was trained on.
    progress : `Progress`
        How far the run came.

    Returns
    -------
    bundle : `~astroclip_search.embedding.bundles.Bundle`
        The bundle.
    """
    from safetensors.torch import save as to_bytes

    source, config = learner.source, learner.config
    model = learner.module['model']
    if config.method == 'lora':
        model = model.merge_and_unload()
    files = _tokenizer_files(source)
    heads = {
        f'{name}.{key}': value.detach().cpu().contiguous()
        for name in ('image_head', 'text_head')
        if name in learner.module
        for key, value in learner.module[name].state_dict().items()
    }
    if heads:
        files[HEADS] = to_bytes(heads)
    parent = {'name': source.name}
    if config.method != 'scratch':
        parent['fingerprint'] = source.fingerprint
    return write_bundle(
        path,
        model_cfg=source.model_cfg,
        preprocess_cfg=source.preprocess_cfg,
        state_dict=model.state_dict(),
        tokenizer_files=files,
        info={
            'name': path.parent.name,
            'version': '1',
            'rendering': source.rendering.to_dict(),
            'parent': parent,
            'logit_scale': learner.logit_scale,
            'training': {
                'config': asdict(config),
                'pairs': {
                    key: pairs.info[key]
                    for key in ('n', 'n_captions', 'n_groups', 'parts')
                },
                'step': progress.best_step,
                'validation': progress.metrics,
            },
        },
    )
