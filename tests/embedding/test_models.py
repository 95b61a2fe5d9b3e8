# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
import json

import numpy as np
import pytest

from astroclip_search.embedding import Embedder
from astroclip_search.embedding.backends import load_open_clip
from astroclip_search.exceptions import ModelError


def load(name, **kwargs):
    return Embedder.from_pretrained(name, device='cpu', **kwargs)


def test_quickgelu_trap(registry):
    """Same weights, another activation: silently wrong, so refused."""
    with pytest.raises(ModelError, match='Name "Tiny-quickgelu/openai"'):
        load('Tiny/openai')
    with pytest.raises(ModelError, match='Name "Tiny/other"'):
        load('Tiny-quickgelu/other')


def test_openai_name_of_the_paper():
    with pytest.raises(ModelError, match='"ViT-B-16-quickgelu/openai"'):
        load('ViT-B-16/openai')


def test_the_trap_would_be_silent(registry, bundle, pixels, torch_embedder):
    """The two activations load the same weights and differ."""
    right = load('Tiny-quickgelu/openai').embed_pixels(pixels)
    wrong = load('Tiny/other').embed_pixels(pixels)
    expected = torch_embedder.embed_pixels(pixels)
    assert np.allclose(right, expected, atol=1e-5)
    assert np.abs(wrong - expected).max() > 1e-3


def test_model_of_open_clip(registry, torch_embedder, pixels, tmp_path):
    found = load('Tiny-quickgelu/openai')
    assert found.name == 'Tiny-quickgelu/openai'
    assert found.backend == 'torch'
    assert found.rendering.fit == 'crop'
    assert load('Tiny/other').rendering.fit == 'squash'
    text = found.embed_text(['comet', 'ring'])
    assert np.allclose(text, torch_embedder.embed_text(['comet', 'ring']))
    assert found.fingerprint == load('Tiny-quickgelu/openai').fingerprint
    assert found.fingerprint != load('Tiny/other').fingerprint
    found.save(tmp_path / 'saved')
    saved = load(tmp_path / 'saved')
    assert saved.backend == 'onnx'
    assert saved.name == 'Tiny-quickgelu/openai'
    assert saved.rendering == found.rendering
    assert np.allclose(saved.embed_text(['comet', 'ring']), text, atol=1e-5)
    config = json.loads((tmp_path / 'saved/open_clip_config.json').read_text())
    assert config['model_cfg']['quick_gelu'] is True


@pytest.mark.parametrize('name', ['Tiny', 'Tiny/', 'Tiny/nothing'])
def test_random_weights_are_refused(registry, name):
    with pytest.raises(ModelError, match=r'answers at random\. Name one of'):
        load(name)


def test_weights_that_cannot_be_fetched(registry):
    with pytest.raises(ModelError, match=r'cannot load .*no network'):
        load('Tiny/gone')


def test_nan_weights_of_open_clip(registry, monkeypatch, tmp_path):
    import torch

    state = registry.create_model('Tiny').state_dict()
    state['visual.proj'][0, 0] = torch.nan
    torch.save(state, tmp_path / 'nan.pt')
    monkeypatch.setattr(
        registry.factory,
        'download_pretrained',
        lambda *args, **kwargs: str(tmp_path / 'nan.pt'),
    )
    with pytest.raises(ModelError, match=r"'visual\.proj' .* not finite"):
        load('Tiny/other')


def test_pickled_code_is_not_run(registry, monkeypatch, tmp_path):
    import torch

    class Evil:
        def __reduce__(self):
            return (print, ('run',))

    torch.save({'x': Evil()}, tmp_path / 'evil.pt')
    monkeypatch.setattr(
        registry.factory,
        'download_pretrained',
        lambda *args, **kwargs: str(tmp_path / 'evil.pt'),
    )
    with pytest.raises(ModelError, match='open_clip cannot load'):
        load('Tiny/other')


@pytest.mark.parametrize('name', ['nothing', 'No-Such/openai', ''])
def test_unknown_name(name):
    with pytest.raises(ModelError, match=r'there is no model .* Models are'):
        load(name)


def hub(monkeypatch, folder):
    """Answer requests to the hub with the files of a folder."""
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError

    def download(repo, filename, **kwargs):
        assert repo == 'org/model'
        if not (folder / filename).exists():
            raise EntryNotFoundError(filename)
        return str(folder / filename)

    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', download)
    monkeypatch.setattr(
        huggingface_hub, 'snapshot_download', lambda *a, **k: str(folder)
    )
    return download


def test_hub_model_with_our_settings(monkeypatch, bundle):
    hub(monkeypatch, bundle)
    found = load('hf-hub:org/model')
    assert found.backend == 'onnx'
    assert found.name == 'tiny'
    assert found.rendering.fit == 'pad'


def test_plain_hub_model(monkeypatch, copy, torch_embedder):
    from astroclip_search.embedding._torchvision import import_open_clip

    (copy / 'astroclip.json').unlink()
    download = hub(monkeypatch, copy)
    monkeypatch.setattr(
        import_open_clip().factory,
        'download_pretrained_from_hf',
        lambda repo, filename=None, **kwargs: download(
            repo, filename or 'open_clip_model.safetensors'
        ),
    )
    found = load('hf-hub:org/model')
    assert found.backend == 'torch'
    assert found.name == 'hf-hub:org/model'
    assert np.allclose(
        found.embed_text('comet'), torch_embedder.embed_text('comet')
    )


def test_hub_that_cannot_be_reached(monkeypatch):
    import huggingface_hub

    def fail(*args, **kwargs):
        msg = 'offline\nnow'
        raise OSError(msg)

    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', fail)
    with pytest.raises(ModelError, match=r'cannot be fetched \(offline now\)'):
        load('hf-hub:org/model')


@pytest.mark.parametrize(
    'changes',
    [{'tokenizer_mode': 'clips'}, {'tokenizer_kwargs': {'language': 'x'}}],
)
def test_tokenizer_that_is_not_supported(copy, changes):
    path = copy / 'open_clip_config.json'
    config = json.loads(path.read_text())
    config['model_cfg']['text_cfg'].update(changes)
    path.write_text(json.dumps(config))
    (copy / 'astroclip.json').unlink()
    with pytest.raises(ModelError, match='tokenizer has the settings'):
        load(copy).embed_text('comet')


def test_model_for_training(bundle, torch_embedder):
    import torch

    model, tokenizer, rendering = load_open_clip(bundle, device='cpu')
    assert all(p.requires_grad for p in model.parameters())
    assert all(p.dtype == torch.float32 for p in model.parameters())
    ids = tokenizer(['comet', 'star ' * 200])
    assert ids.shape == (2, 77)
    assert ids.dtype == torch.int64
    assert ids[1, -1] == 49407
    vectors = model.encode_text(ids, normalize=True)
    vectors.sum().backward()
    assert np.allclose(
        vectors[:1].detach(), torch_embedder.embed_text('comet'), atol=1e-6
    )
    assert rendering == torch_embedder.rendering


def test_torchvision_without_operators():
    """A torchvision that lacks its operators can be imported all the same."""
    from astroclip_search.embedding import _torchvision

    _torchvision.import_torchvision()
    import torchvision

    assert torchvision.transforms.Resize
    if _torchvision._declared is None:
        import torch

        assert torch.ops.torchvision.nms


def test_other_failures_of_torchvision_pass_through(monkeypatch):
    import builtins

    from astroclip_search.embedding import _torchvision

    real = builtins.__import__

    def fail(name, *args, **kwargs):
        if name == 'torchvision':
            msg = 'libcudart is damaged'
            raise RuntimeError(msg)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', fail)
    with pytest.raises(RuntimeError, match='libcudart'):
        _torchvision.import_torchvision()
