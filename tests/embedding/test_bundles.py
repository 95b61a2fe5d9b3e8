# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys

import numpy as np
import pytest
from _tiny import TINY_CFG

from astroclip_search.embedding import Embedder
from astroclip_search.embedding._verify import read_header, verified_sha256
from astroclip_search.embedding.bundles import read_bundle, write_bundle
from astroclip_search.exceptions import AstroClipWarning, ModelError

WEIGHTS = 'open_clip_model.safetensors'


def both(path):
    """Load with each backend; nothing may come of a damaged model."""
    for backend in ('onnx', 'torch'):
        yield lambda b=backend: Embedder.from_pretrained(path, backend=b)


def assert_refused(path, message):
    for load in both(path):
        with pytest.raises(ModelError, match=message):
            load()


def flip(path, place, *, times=None):
    """Change one byte; with times, pretend that nothing happened."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    if times is not None:
        os.utime(path, ns=times)


def rewrite_info(path, **changes):
    info = json.loads((path / 'astroclip.json').read_text())
    info.update(changes)
    (path / 'astroclip.json').write_text(json.dumps(info))


def test_missing_weights(copy):
    (copy / WEIGHTS).unlink()
    assert_refused(copy, 'weights file .* is missing')


def test_altered_weights(copy):
    Embedder.from_pretrained(copy, backend='onnx')
    flip(copy / WEIGHTS, -1)
    assert_refused(copy, f'{WEIGHTS} of the model .* was altered')


def test_altered_weights_of_the_same_time(copy):
    Embedder.from_pretrained(copy, backend='onnx')
    s = (copy / WEIGHTS).stat()
    flip(copy / WEIGHTS, -1, times=(s.st_atime_ns, s.st_mtime_ns))
    assert_refused(copy, 'was altered')


def test_swapped_weights(copy, bundle, tmp_path):
    """Another file, of the same size and time, moved into place."""
    Embedder.from_pretrained(copy, backend='onnx')
    s = (copy / WEIGHTS).stat()
    other = tmp_path / 'other'
    shutil.copy(copy / WEIGHTS, other)
    flip(other, -1, times=(s.st_atime_ns, s.st_mtime_ns))
    other.replace(copy / WEIGHTS)
    assert_refused(copy, 'was altered')


def test_cut_off_weights(copy):
    data = (copy / WEIGHTS).read_bytes()
    (copy / WEIGHTS).write_bytes(data[:-10])
    assert_refused(copy, f'holds {len(data) - 10} bytes')


@pytest.mark.parametrize('content', [b'', b'\x01', b'x' * 200])
def test_weights_that_are_none(copy, content):
    (copy / WEIGHTS).write_bytes(content)
    assert_refused(copy, 'no safetensors file')


def test_nan_weights(copy):
    header, start = read_header(copy / WEIGHTS)
    place = start + header['visual.proj']['data_offsets'][0]
    data = bytearray((copy / WEIGHTS).read_bytes())
    data[place : place + 2] = np.array([np.nan], '<f2').tobytes()
    (copy / WEIGHTS).write_bytes(data)
    rewrite_info(copy, files={})
    assert_refused(copy, "'visual.proj' of .* not finite")


@pytest.mark.parametrize(
    'name', ['open_clip_config.json', 'tokenizer.json', 'image.onnx']
)
def test_altered_files(copy, name):
    path = copy / name
    path.write_bytes(path.read_bytes() + b' ')
    assert_refused(copy, f'the file {name} of the model .* was altered')
    path.unlink()
    with pytest.raises(ModelError, match=name.replace('.', r'\.')):
        read_bundle(copy)


def test_weights_replaced_while_in_use(copy, pixels):
    """The image tower is read late, and must be of the same model."""
    found = Embedder.from_pretrained(copy, backend='onnx')
    found.embed_text('comet')
    flip(copy / WEIGHTS, -1)
    with pytest.raises(ModelError, match='replaced while it was in use'):
        found.embed_pixels(pixels)


def test_verification_is_remembered(copy, monkeypatch):
    from astroclip_search.embedding import _verify

    weights = copy / WEIGHTS
    expected = hashlib.sha256(weights.read_bytes()).hexdigest()
    read = []
    monkeypatch.setattr(
        _verify, 'sha256_of', lambda p: read.append(p) or expected
    )
    assert verified_sha256(weights) == expected
    assert verified_sha256(weights) == expected
    assert len(read) == 1
    os.utime(weights)
    assert verified_sha256(weights) == expected
    assert len(read) == 2


def test_no_cache_is_no_hindrance(copy, monkeypatch):
    import astropy.config

    def fail(*args, **kwargs):
        raise OSError

    monkeypatch.setattr(astropy.config, 'get_cache_dir_path', fail)
    assert Embedder.from_pretrained(copy, backend='onnx').name == 'tiny'


def test_directory_that_is_no_model(tmp_path):
    assert_refused(tmp_path, 'holds no open_clip_config.json')
    (tmp_path / 'open_clip_config.json').write_text('[1')
    assert_refused(tmp_path, 'cannot be read as JSON')
    (tmp_path / 'open_clip_config.json').write_text('{}')
    assert_refused(tmp_path, 'describes no model')


def test_plain_open_clip_directory(copy, torch_embedder, pixels):
    for name in (
        'astroclip.json',
        'image.onnx',
        'text.onnx',
        'tokenizer.json',
    ):
        (copy / name).unlink()
    found = Embedder.from_pretrained(copy, device='cpu')
    assert found.backend == 'torch'
    assert found.name == 'copy'
    assert np.allclose(
        found.embed_pixels(pixels), torch_embedder.embed_pixels(pixels)
    )
    assert np.allclose(
        found.embed_text('comet'), torch_embedder.embed_text('comet')
    )
    with pytest.raises(ModelError, match='no graphs'):
        Embedder.from_pretrained(copy, backend='onnx')


def test_weights_that_do_not_fit(copy, tmp_path):
    cfg = json.loads((copy / 'open_clip_config.json').read_text())
    cfg['model_cfg']['embed_dim'] = 48
    (copy / 'open_clip_config.json').write_text(json.dumps(cfg))
    rewrite_info(copy, files={})
    with pytest.raises(ModelError, match='open_clip cannot load'):
        Embedder.from_pretrained(copy, backend='torch')


def test_fingerprint_is_of_the_model_and_not_of_the_place(bundle, copy):
    here, there = read_bundle(bundle), read_bundle(copy)
    assert here.fingerprint == there.fingerprint
    config = json.loads((copy / 'open_clip_config.json').read_text())
    for section, changed in (
        ('model_cfg', {'quick_gelu': False}),
        ('preprocess_cfg', {'mean': [0.5, 0.5, 0.5]}),
    ):
        other = json.loads(json.dumps(config))
        other[section].update(changed)
        (copy / 'open_clip_config.json').write_text(json.dumps(other))
        rewrite_info(copy, files={})
        assert read_bundle(copy).fingerprint != here.fingerprint


def test_saved_model_is_the_same(torch_embedder, tmp_path, pixels):
    torch_embedder.save(tmp_path / 'saved')
    for backend in ('onnx', 'torch'):
        found = Embedder.from_pretrained(tmp_path / 'saved', backend=backend)
        assert found.fingerprint == torch_embedder.fingerprint
        assert found.name == 'tiny'
        assert np.allclose(
            found.embed_pixels(pixels),
            torch_embedder.embed_pixels(pixels),
            atol=1e-5,
        )
    # Saving over a model is allowed, over something else it is not.
    torch_embedder.save(tmp_path / 'saved')
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'thesis.tex').touch()
    with pytest.raises(ModelError, match='holds something that is no model'):
        torch_embedder.save(tmp_path / 'other')
    assert sorted(p.name for p in tmp_path.iterdir()) == ['other', 'saved']


def test_saved_hugging_face_towers(hf_bundle, tmp_path):
    Embedder.from_pretrained(hf_bundle).save(tmp_path / 'saved')
    assert (
        read_bundle(tmp_path / 'saved').fingerprint
        == read_bundle(hf_bundle).fingerprint
    )


def test_saved_heads(copy, tmp_path, pixels):
    """Heads on the towers are saved with them, and change the vectors."""
    import torch
    from safetensors.torch import save_file

    from astroclip_search.embedding._heads import HEADS, make_head

    plain = Embedder.from_pretrained(copy, backend='torch')
    heads = {
        f'{name}.{key}': value
        for name in ('image_head', 'text_head')
        for key, value in make_head(32, 8).state_dict().items()
    }
    save_file(heads, copy / HEADS)
    for name in ('image.onnx', 'text.onnx'):
        (copy / name).unlink()
    rewrite_info(copy, files={})
    headed = Embedder.from_pretrained(copy, device='cpu')
    assert headed.fingerprint != plain.fingerprint
    with torch.no_grad():
        features = plain._backend.encode_text(plain._tokenizer.pad([[1, 2]]))
        hidden = torch.nn.functional.gelu(
            torch.from_numpy(features) @ heads['text_head.0.weight'].T
            + heads['text_head.0.bias']
        )
        expected = (
            hidden @ heads['text_head.2.weight'].T + heads['text_head.2.bias']
        )
    found = headed._backend.encode_text(plain._tokenizer.pad([[1, 2]]))
    assert np.allclose(found, expected, atol=1e-5)
    headed.save(tmp_path / 'saved')
    saved = Embedder.from_pretrained(tmp_path / 'saved', device='cpu')
    assert saved.fingerprint == headed.fingerprint
    assert np.allclose(
        saved.embed_pixels(pixels), headed.embed_pixels(pixels), atol=1e-6
    )
    with pytest.raises(ModelError, match='open_clip does not know'):
        saved.open_clip_kwargs()


def write(path, state_dict, **changes):
    settings = {
        'model_cfg': TINY_CFG,
        'preprocess_cfg': {},
        'tokenizer_files': None,
        'info': {},
        **changes,
    }
    return write_bundle(path, state_dict=state_dict, **settings)


@pytest.mark.parametrize('value', [np.nan, np.inf, 1e5])
def test_weights_that_cannot_be_kept(torch_embedder, tmp_path, value):
    weights = torch_embedder._backend.model.state_dict()
    weights['logit_scale'] = weights['logit_scale'] * 0 + value
    with pytest.raises(ModelError, match=r"'logit_scale' holds .* 65504"):
        write(tmp_path / 'new', weights)
    assert not list(tmp_path.iterdir())


def test_missing_tensor_leaves_nothing_behind(torch_embedder, tmp_path):
    weights = torch_embedder._backend.model.state_dict()
    del weights['visual.proj']
    with pytest.raises(ModelError, match='open_clip cannot load'):
        write(tmp_path / 'new', weights)
    assert not list(tmp_path.iterdir())


def test_tokenizer_files_must_hold_a_tokenizer(torch_embedder, tmp_path):
    weights = torch_embedder._backend.model.state_dict()
    with pytest.raises(ModelError, match=r'hold no tokenizer\.json'):
        write(tmp_path / 'new', weights, tokenizer_files={'vocab.txt': 'a'})


def test_model_that_cannot_be_exported_keeps_torch(
    torch_embedder, tmp_path, monkeypatch, pixels
):
    import torch

    def fail(*args, **kwargs):
        msg = 'operator\nunknown'
        raise RuntimeError(msg)

    monkeypatch.setattr(torch.onnx, 'export', fail)
    with pytest.warns(AstroClipWarning, match='without graphs.*operator unk'):
        torch_embedder.save(tmp_path / 'saved')
    found = Embedder.from_pretrained(tmp_path / 'saved', device='cpu')
    assert found.backend == 'torch'
    assert found.embed_pixels(pixels).shape == (5, 32)


def test_model_saved_without_onnx_keeps_torch(
    torch_embedder, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, 'onnx', None)
    with pytest.warns(AstroClipWarning, match=r'pip install .*\[training\]'):
        torch_embedder.save(tmp_path / 'saved')
    assert not read_bundle(tmp_path / 'saved').has_graphs


def test_graph_that_differs_is_not_kept(torch_embedder, tmp_path, monkeypatch):
    from astroclip_search.embedding import _onnx

    load = _onnx.OnnxBackend.session

    class Wrong:
        def __init__(self, backend, graph, optimize):
            self.session = load(backend, graph, optimize=optimize)
            self.shift = optimize * np.arange(32, dtype=np.float32)

        def run(self, names, feed):
            return [self.session.run(names, feed)[0] + self.shift]

    monkeypatch.setattr(
        _onnx.OnnxBackend,
        'session',
        lambda self, graph, *, optimize: Wrong(self, graph, optimize),
    )
    with pytest.warns(AstroClipWarning, match=r'image\.onnx and torch agree'):
        torch_embedder.save(tmp_path / 'saved')
    assert not (tmp_path / 'saved' / 'text.onnx').exists()


def test_graphs_hold_no_weights(bundle, hf_bundle):
    import onnx

    for path in (bundle, hf_bundle):
        header, start = read_header(path / WEIGHTS)
        places = {
            (start + v['data_offsets'][0], tuple(v['shape']))
            for v in header.values()
        }
        for name in ('image.onnx', 'text.onnx'):
            assert (path / name).stat().st_size < 400_000
            graph = onnx.load(path / name, load_external_data=False).graph
            n_shared = 0
            for tensor in graph.initializer:
                outside = {e.key: e.value for e in tensor.external_data}
                if outside:
                    n_shared += 1
                    assert outside['location'] == WEIGHTS
                    place = (int(outside['offset']), tuple(tensor.dims))
                    assert place in places
                else:
                    assert np.prod(tensor.dims) < 10_000
            assert n_shared > 10


def test_files_can_be_read_by_everyone(bundle):
    for path in bundle.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444


def test_onnx_needs_no_torch(bundle):
    code = (
        'import sys, numpy as np\n'
        'from astroclip_search import Embedder\n'
        f'e = Embedder.from_pretrained({str(bundle)!r}, device="cpu")\n'
        'e.embed_text("comet"), e.rendering, e.fingerprint\n'
        'e.embed_pixels(np.ones((1, 64, 64, 3), np.uint8))\n'
        'bad = {"torch", "open_clip", "transformers", "onnx"}\n'
        'sys.exit(str(bad & set(sys.modules)) if bad & set(sys.modules) '
        'else 0)'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
