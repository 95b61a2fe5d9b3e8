# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
import warnings

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from astroclip_search import conf
from astroclip_search.embedding import Embedder
from astroclip_search.exceptions import (
    AstroClipWarning,
    ImageError,
    ModelError,
    QueryError,
)

TEXTS = [
    'a spiral galaxy with two bright arms and a ring of dust',
    'comet',
    'star cluster',
    'a faint nebula, with dust and a bright star in the ring',
]


def cosine(a, b):
    return np.sum(a * b, axis=-1)


def assert_unit(vectors, n, dim=32):
    assert vectors.shape == (n, dim)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_vectors_are_unit_float32(embedder, pixels):
    assert_unit(embedder.embed_text(TEXTS), 4)
    assert_unit(embedder.embed_pixels(pixels), 5)
    assert_unit(embedder.embed_text('comet'), 1)
    assert_unit(embedder.embed_text([]), 0)
    assert_unit(embedder.embed_pixels(pixels[:0]), 0)


def test_vectors_equal_plain_open_clip(embedder, bundle, pixels):
    import torch

    from astroclip_search.embedding._torchvision import import_open_clip

    open_clip = import_open_clip()
    model = open_clip.create_model(f'local-dir:{bundle}').eval()
    tokens = open_clip.get_tokenizer(f'local-dir:{bundle}')(TEXTS)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])
    x = (torch.from_numpy(pixels) / 255 - mean) / std
    with torch.no_grad():
        text = model.encode_text(tokens, normalize=True).numpy()
        image = model.encode_image(x.permute(0, 3, 1, 2), normalize=True)
    assert cosine(embedder.embed_text(TEXTS), text).min() > 0.99999
    assert cosine(embedder.embed_pixels(pixels), image.numpy()).min() > 0.99999


def test_backends_agree(torch_embedder, onnx_embedder, pixels):
    a, b = torch_embedder, onnx_embedder
    assert (a.backend, b.backend) == ('torch', 'onnx')
    assert cosine(a.embed_text(TEXTS), b.embed_text(TEXTS)).min() > 0.99999
    assert (
        cosine(a.embed_pixels(pixels), b.embed_pixels(pixels)).min() > 0.99999
    )
    assert a.fingerprint == b.fingerprint
    assert a.rendering == b.rendering


@pytest.mark.parametrize('backend', ['torch', 'onnx'])
def test_timm_and_hugging_face_towers(hf_bundle, pixels, backend):
    import torch

    from astroclip_search.embedding._torchvision import import_open_clip

    embedder = Embedder.from_pretrained(
        hf_bundle, backend=backend, device='cpu'
    )
    open_clip = import_open_clip()
    model = open_clip.create_model(**embedder.open_clip_kwargs()).eval()
    tokens = open_clip.get_tokenizer(f'local-dir:{hf_bundle}')(TEXTS)
    x = torch.from_numpy(pixels) / 255 - torch.tensor([0.5, 0.4, 0.3])
    x = (x / torch.tensor([0.2, 0.25, 0.3])).permute(0, 3, 1, 2)
    with torch.no_grad():
        text = model.encode_text(tokens, normalize=True).numpy()
        image = model.encode_image(x, normalize=True).numpy()
    assert cosine(embedder.embed_text(TEXTS), text).min() > 0.99999
    assert cosine(embedder.embed_pixels(pixels), image).min() > 0.99999
    # The vectors are not all the same, so that the above means something.
    assert (text @ text.T).min() < 0.95
    assert (image @ image.T).min() < 0.95


def test_batch_does_not_matter(embedder, pixels):
    texts = TEXTS * 5
    for embed, items in (
        (embedder.embed_text, texts),
        (embedder.embed_pixels, pixels),
    ):
        whole = embed(items, batch_size=64)
        alone = np.concatenate([embed(items[i : i + 1]) for i in range(3)])
        assert cosine(whole[:3], alone).min() > 1 - 1e-6
        assert np.allclose(whole, embed(items, batch_size=2), atol=1e-5)


def test_optimised_graphs_agree(bundle, pixels):
    """The first few rows are embedded before the graphs are optimised."""
    e = Embedder.from_pretrained(bundle, backend='onnx')
    first = e.embed_pixels(pixels), e.embed_text(TEXTS)
    before = dict(e._backend._sessions)
    for _ in range(2):
        again = e.embed_pixels(pixels), e.embed_text(TEXTS)
    assert all(before[k] != e._backend._sessions[k] for k in before)
    for a, b in zip(first, again, strict=True):
        assert cosine(a, b).min() > 1 - 1e-6


def test_order_is_kept(embedder):
    forth = embedder.embed_text(TEXTS, batch_size=2)
    back = embedder.embed_text(TEXTS[::-1], batch_size=2)
    assert np.allclose(forth, back[::-1], atol=1e-6)


def test_long_text_is_pooled_by_length(embedder):
    first, second = 'dust ' * 60 + '.', 'bright star ' * 20 + '.'
    with pytest.warns(
        AstroClipWarning, match=r"text 0 \('dust dust.*2 pieces"
    ):
        found = embedder.embed_text([f'{first} {second}'])
    a, b = embedder.embed_text([first, second])
    expected = 61 * a + 41 * b
    expected /= np.linalg.norm(expected)
    assert np.allclose(found[0], expected, atol=1e-6)


def test_text_at_the_limit_does_not_warn(embedder):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        embedder.embed_text('star ' * 75)
    with pytest.warns(AstroClipWarning, match='77 tokens'):
        embedder.embed_text('star ' * 76)


@pytest.mark.parametrize(
    ('texts', 'message'),
    [
        (['comet', ''], 'text 1 is empty'),
        (['comet', ' \n'], 'text 1 is empty'),
        (['comet', 3], r'text 1 is 3 \(int\)'),
        ([None], 'text 0 is None'),
        (7, 'text 0 is 7'),
        (['\x1b[0m'], 'text 0 .* holds no word'),
    ],
)
def test_bad_text_is_named(embedder, texts, message):
    with pytest.raises(QueryError, match=message):
        embedder.embed_text(texts)


def test_pixels_of_wrong_form_are_refused(embedder, pixels):
    with pytest.raises(ImageError, match=r'uint8 of shape \(n, 64, 64, 3\)'):
        embedder.embed_pixels(pixels[:, :32])
    with pytest.raises(ImageError, match='float64'):
        embedder.embed_pixels(pixels / 255)


def test_batch_size_must_be_positive(embedder):
    with pytest.raises(QueryError, match='batch_size is 0'):
        embedder.embed_text('comet', batch_size=0)


def test_no_vector_is_an_error_that_names_the_item(
    bundle, pixels, monkeypatch
):
    embedder = Embedder.from_pretrained(bundle, backend='onnx')
    for bad in (np.nan, np.inf, 0):
        features = np.ones((5, 32), np.float32)
        features[3] = bad
        monkeypatch.setattr(
            embedder._backend, 'encode_image', lambda x, f=features: f
        )
        with pytest.raises(ModelError, match='no vector for picture 3'):
            embedder.embed_pixels(pixels)
        monkeypatch.setattr(
            embedder._backend, 'encode_text', lambda x, f=features[3:4]: f
        )
        with pytest.raises(ModelError, match=r"text 0 \('comet'\)"):
            embedder.embed_text('comet')


@pytest.fixture
def files(tmp_path, pixels):
    """Pictures in files, and one that is none."""
    paths = []
    for i, picture in enumerate(pixels[:3]):
        paths.append(tmp_path / f'{i}.png')
        Image.fromarray(picture).save(paths[-1])
    (tmp_path / 'bad.png').write_text('no picture')
    return [*paths[:2], tmp_path / 'bad.png', paths[2]]


def test_images_of_any_kind(embedder, files, pixels):
    expected = embedder.embed_pixels(pixels[:2])
    data = np.random.default_rng(1).normal(10, 3, (80, 90)).astype('f4')
    found = embedder.embed_images(
        [files[0], Image.fromarray(pixels[1]), fits.ImageHDU(data), data]
    )
    assert cosine(found[:2], expected).min() > 1 - 1e-6
    # The array and the HDU are the same picture but for the row order rule.
    assert_unit(found, 4)


def test_one_image_gives_one_vector(embedder, files, pixels):
    expected = embedder.embed_pixels(pixels[:1])
    for one in (files[0], str(files[0]), Image.open(files[0]), pixels[0]):
        assert cosine(embedder.embed_images(one), expected) > 1 - 1e-6


def test_bad_image_is_named(embedder, files):
    with pytest.raises(ImageError, match=r'image 2 cannot.*bad\.png'):
        embedder.embed_images(files)


def test_bad_image_does_not_stop_the_others(embedder, files, pixels):
    items = list(embedder.iter_images(files, batch_size=2, thumbnail=16))
    assert [item.index for item in items] == [0, 1, 2, 3]
    assert [item.error is None for item in items] == [True, True, False, True]
    assert items[2].vector is None
    assert items[2].source == files[2]
    assert items[0].thumbnail[:2] == b'\xff\xd8'
    vectors = np.stack([items[i].vector for i in (0, 1, 3)])
    assert cosine(vectors, embedder.embed_pixels(pixels[:3])).min() > 1 - 1e-6


def test_masked_image_is_an_error(embedder):
    with pytest.raises(ImageError, match='image 0 cannot be embedded'):
        embedder.embed_images([np.full((70, 70), np.nan, np.float32)])


def test_images_may_come_from_a_generator(embedder, pixels):
    found = list(embedder.iter_images(p for p in pixels))
    assert len(found) == 5
    assert embedder.embed_images(p for p in pixels).shape == (5, 32)


def test_what_an_embedder_says_of_itself(onnx_embedder, torch_embedder):
    e = onnx_embedder
    assert (e.name, e.dim, e.image_size, e.text_limit) == ('tiny', 32, 64, 77)
    assert e.device == 'cpu'
    assert e.info['licence'] == 'BSD-3-Clause'
    assert e.fingerprint.startswith('sha256:')
    assert len(e.fingerprint) == 71
    assert repr(e) == (
        f"<Embedder 'tiny': 32 dimensions, onnx on cpu, {e.fingerprint[:15]}>"
    )
    assert '\n' not in e._repr_html_()
    assert '&lt;Embedder' in e._repr_html_()
    assert 'torch on cpu' in repr(torch_embedder)


def test_configuration_chooses_the_backend(bundle):
    with conf.set_temp('model', str(bundle)), conf.set_temp('device', 'cpu'):
        assert Embedder.from_pretrained().backend == 'onnx'
        with conf.set_temp('backend', 'torch'):
            assert Embedder.from_pretrained().backend == 'torch'
        with conf.set_temp('precision', 'bf16'):
            assert Embedder.from_pretrained().backend == 'torch'


def test_low_precision_stays_close(bundle, torch_embedder, pixels):
    low = Embedder.from_pretrained(bundle, device='cpu', precision='bf16')
    found = low.embed_pixels(pixels)
    assert_unit(found, 5)
    exact = torch_embedder.embed_pixels(pixels)
    assert 0.999 < cosine(found, exact).min() < 1 - 1e-7


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'backend': 'tpu'}, "backend 'tpu' is unknown"),
        (
            {'backend': 'onnx', 'device': 'cuda'},
            'onnx backend runs on the CPU',
        ),
        ({'backend': 'onnx', 'precision': 'bf16'}, 'Choose backend="torch"'),
        ({'backend': 'torch', 'precision': 'int4'}, "precision 'int4'"),
        ({'backend': 'torch', 'device': 'nonsense'}, "device 'nonsense'"),
    ],
)
def test_bad_settings(bundle, settings, message):
    with pytest.raises(ModelError, match=message):
        Embedder.from_pretrained(bundle, **settings)


@pytest.mark.gpu
def test_cuda_agrees_with_cpu(bundle, torch_embedder, pixels):
    import torch

    if not torch.cuda.is_available():
        pytest.skip('no CUDA device')
    for precision, least in (('fp32', 0.9999), ('bf16', 0.999)):
        found = Embedder.from_pretrained(
            bundle, device='cuda', precision=precision
        )
        assert found.backend == 'torch'
        a, b = found.embed_pixels(pixels), torch_embedder.embed_pixels(pixels)
        assert a.dtype == np.float32
        assert cosine(a, b).min() > least
        alone = found.embed_pixels(pixels, batch_size=1)
        assert cosine(a, alone).min() > 1 - 1e-4
