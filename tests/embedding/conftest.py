# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Small models that the tests of this folder share."""

import json
import shutil

import numpy as np
import pytest
from _tiny import TINY_CFG, tiny_bundle

from astroclip_search.embedding import Embedder

SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
WORDS = [
    *SPECIAL,
    *('.', ',', 'a', 'the', 'of', 'galaxy', 'spiral', 'star', 'cluster'),
    *('dust', 'nebula', 'bright', 'faint', 'comet', 'ring', 'and', 'with'),
    *('two', 'arms', 'in'),
]


@pytest.fixture(scope='session', autouse=True)
def _own_cache(tmp_path_factory):
    """Keep records of verification out of the user's cache."""
    from astropy.config import set_temp_cache

    with set_temp_cache(tmp_path_factory.mktemp('cache')):
        yield


@pytest.fixture(scope='session')
def bundle(tmp_path_factory):
    """Path of a bundle with towers of open_clip's own."""
    return tiny_bundle(tmp_path_factory.mktemp('models') / 'tiny')


@pytest.fixture
def copy(bundle, tmp_path):
    """Path of a copy that a test may damage."""
    return shutil.copytree(bundle, tmp_path / 'copy')


@pytest.fixture(scope='session')
def torch_embedder(bundle):
    return Embedder.from_pretrained(bundle, backend='torch', device='cpu')


@pytest.fixture(scope='session')
def onnx_embedder(bundle):
    return Embedder.from_pretrained(bundle, backend='onnx')


@pytest.fixture(params=['torch', 'onnx'])
def embedder(request):
    return request.getfixturevalue(f'{request.param}_embedder')


@pytest.fixture(scope='session')
def hf_bundle(tmp_path_factory):
    """Path of a bundle with a timm and a Hugging Face tower."""
    import tokenizers
    import torch
    from tokenizers import models, normalizers, pre_tokenizers, processors

    from astroclip_search.embedding._torchvision import import_open_clip
    from astroclip_search.embedding.bundles import write_bundle

    bert = {
        'model_type': 'bert',
        'architectures': ['BertModel'],
        'hidden_size': 32,
        'intermediate_size': 64,
        'num_attention_heads': 2,
        'num_hidden_layers': 2,
        'max_position_embeddings': 64,
        'vocab_size': len(WORDS),
        'pad_token_id': 0,
    }
    words = tokenizers.Tokenizer(
        models.WordPiece(
            {w: i for i, w in enumerate(WORDS)}, unk_token='[UNK]'
        )
    )
    words.normalizer = normalizers.BertNormalizer(lowercase=True)
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words.add_special_tokens(SPECIAL)
    words.post_processor = processors.TemplateProcessing(
        single='[CLS] $A [SEP]', special_tokens=[('[CLS]', 2), ('[SEP]', 3)]
    )
    files = {
        'config.json': json.dumps(bert),
        'tokenizer.json': words.to_str(),
        'tokenizer_config.json': json.dumps(
            {
                'tokenizer_class': 'BertTokenizer',
                'pad_token': '[PAD]',
                'unk_token': '[UNK]',
                'cls_token': '[CLS]',
                'sep_token': '[SEP]',
                'mask_token': '[MASK]',
            }
        ),
        'vocab.txt': '\n'.join(WORDS) + '\n',
    }
    cfg = {
        'embed_dim': 16,
        'custom_text': True,
        'vision_cfg': {
            'timm_model_name': 'test_efficientnet',
            'timm_model_pretrained': False,
            'timm_pool': 'avg',
            'timm_proj': 'linear',
            'image_size': 64,
        },
        'text_cfg': {
            'hf_model_name': 'nobody/nothing',
            'hf_tokenizer_name': 'nobody/nothing',
            'hf_model_pretrained': False,
            'hf_proj_type': 'linear',
            'hf_pooler_type': 'mean_pooler',
            'context_length': 24,
        },
    }
    folder = tmp_path_factory.mktemp('hf')
    source = folder / 'source'
    source.mkdir()
    (source / 'config.json').write_text(files['config.json'])
    local = {k: v for k, v in cfg.items() if k != 'custom_text'}
    local['text_cfg'] = {**cfg['text_cfg'], 'hf_model_name': str(source)}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = import_open_clip().model.CustomTextCLIP(**local)
        with torch.no_grad():
            for name, value in model.named_buffers():
                # Batch norm that does something, so that folding it shows.
                if name.endswith('running_mean'):
                    value.normal_(0, 0.2)
                elif name.endswith('running_var'):
                    value.uniform_(0.5, 2)
            for name, value in model.named_parameters():
                # The usual start gives every input nearly the same vector.
                if value.ndim > 1:
                    value *= 8 if name.startswith('text.') else 3
    write_bundle(
        folder / 'hf',
        model_cfg=cfg,
        preprocess_cfg={
            'mean': [0.5, 0.4, 0.3],
            'std': [0.2, 0.25, 0.3],
            'resize_mode': 'longest',
        },
        state_dict=model.state_dict(),
        tokenizer_files=files,
        info={'name': 'tiny-hf', 'version': '1'},
    )
    return folder / 'hf'


@pytest.fixture(scope='session')
def pixels():
    """Five pictures that differ."""
    rng = np.random.default_rng(3)
    out = rng.integers(0, 256, (5, 64, 64, 3)).astype(np.uint8)
    out[1] //= 4
    out[2, :32] = 0
    out[3, :, 20:40] = 255
    out[4] = 7
    return out


@pytest.fixture
def registry(monkeypatch, bundle):
    """A tiny model in the registry of open_clip, with weights of two tags."""
    from astroclip_search.embedding._torchvision import import_open_clip

    open_clip = import_open_clip()
    factory = open_clip.factory
    plain = {k: v for k, v in TINY_CFG.items() if k != 'quick_gelu'}
    monkeypatch.setitem(factory._MODEL_CONFIGS, 'Tiny', plain)
    monkeypatch.setitem(factory._MODEL_CONFIGS, 'Tiny-quickgelu', TINY_CFG)
    tags = {
        'openai': {'url': 'x', 'quick_gelu': True},
        'other': {'url': 'x', 'resize_mode': 'squash'},
        'gone': {'url': 'x'},
    }
    registered = open_clip.pretrained._PRETRAINED
    for name in ('Tiny', 'Tiny-quickgelu'):
        monkeypatch.setitem(registered, name, tags)

    def download(cfg, **kwargs):
        if cfg is tags['gone']:
            msg = 'no network'
            raise OSError(msg)
        return str(bundle / 'open_clip_model.safetensors')

    monkeypatch.setattr(factory, 'download_pretrained', download)
    return open_clip
