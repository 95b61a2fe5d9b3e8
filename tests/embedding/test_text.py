# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
import numpy as np
import pytest

from astroclip_search.embedding._text import Tokenizer, clean_text

TEXTS = [
    'spiral galaxy',
    'M 31 &amp; M33 &lt;b&gt; x &amp;amp; y &#8211; z',
    '  a\t b \n\n c\r\nd\x0be ',
    "Hβ λ5007 “quoted” It's don\u2019t I'LL we've they'd 'Sx",
    'émission Å NGC1234/5 [O III] \u2012 10⁻¹² erg s$^{-1}$',
    '日本語 銀河 галактика ΣΑΣ İstanbul',
    '😀 galaxy!!! ... ??? #1_2-3',
    '<start_of_text> hi <END_OF_TEXT> <|endoftext|>',
    'ﬁne ﬂux ① ½ \uff21',
    'schÃ¶n â€œmojibakeâ€\x9d ï¿½',
    'a\u200bb \u00a0 c\x1f d\u3000e\ufeff',
    'soft\u00adhyphen e\u0301 \u2028 line',
    '\x1b[31mred\x1b[0m',
    'x' * 300 + ' y',
    'word ' * 200,
    '.',
]


@pytest.fixture(scope='module')
def clip(bundle):
    return Tokenizer.from_file(
        bundle / 'tokenizer.json',
        limit=77,
        clean='lower',
        pad_id=0,
        fixed_length=True,
    )


@pytest.mark.parametrize('text', TEXTS)
def test_ids_equal_those_of_open_clip(clip, text):
    from astroclip_search.embedding._torchvision import import_open_clip

    expected = import_open_clip().get_tokenizer('ViT-B-16')([text])
    assert np.array_equal(clip(text).numpy(), expected.numpy())


def test_ids_of_random_texts_equal_those_of_open_clip(clip):
    from astroclip_search.embedding._torchvision import import_open_clip

    rng = np.random.default_rng(5)
    signs = np.array(
        list("abcXYZ019 .,;'&-_<>/()\t\u00e9\u03b1\u4e2d\U0001f52d")
    )
    texts = [''.join(rng.choice(signs, 40)) for _ in range(300)]
    expected = import_open_clip().get_tokenizer('ViT-B-16')(texts)
    assert np.array_equal(clip(texts).numpy(), expected.numpy())


def test_ids_of_hf_texts_equal_those_of_open_clip(hf_bundle):
    from astroclip_search.embedding._torchvision import import_open_clip
    from astroclip_search.embedding.bundles import read_bundle

    ours = read_bundle(hf_bundle).tokenizer()
    theirs = import_open_clip().get_tokenizer(f'local-dir:{hf_bundle}')
    texts = ['A  spiral GALAXY &amp; dust, with a comet.', *TEXTS]
    assert np.array_equal(ours(texts).numpy(), theirs(texts).numpy())


@pytest.mark.parametrize('how', ['lower', 'whitespace', 'canonicalize'])
@pytest.mark.parametrize('text', TEXTS)
def test_clean_text_equals_open_clip(how, text):
    from astroclip_search.embedding._torchvision import import_open_clip

    clean = import_open_clip().tokenizer.get_clean_fn(how)
    assert clean_text(text, how) == clean(text)


def test_short_text_is_one_piece(clip):
    pieces, weights = clip.split('spiral galaxy')
    assert pieces == [[49406, *clip.encode('spiral galaxy')[1:-1], 49407]]
    assert weights == [2]


def test_long_text_is_divided_at_sentences(clip):
    first = 'one two three four five six seven eight nine ten. '
    pieces, weights = clip.split(first * 12)
    # A sentence has 11 tokens with its full stop; six fit into 75.
    assert weights == [66, 66]
    assert pieces[0] == clip.encode((first * 6).strip())


def test_long_sentence_is_divided_at_words(clip):
    pieces, weights = clip.split('star ' * 160)
    assert weights == [75, 75, 10]
    assert all(len(piece) <= 77 for piece in pieces)


def test_long_word_is_divided_between_letters(clip):
    word = ''.join('qxzjkv'[i % 6] for i in range(500))
    pieces, _ = clip.split(word)
    assert len(pieces) > 1
    assert all(0 < len(piece) <= 77 for piece in pieces)


def test_no_token_is_lost_in_pieces(clip):
    text = ('Dust, gas and stars; ' * 5 + 'hot. ') * 9 + 'word ' * 100
    pieces, weights = clip.split(text)
    inner = [i for piece in pieces for i in piece[1:-1]]
    assert inner == clip.encode(text)[1:-1]
    assert sum(weights) == len(inner)


def test_pad_fills_up_to_limit_or_to_longest(clip):
    assert clip.pad([[1, 2], [3]]).shape == (2, 77)
    assert clip.pad([[1, 2], [3]], length=3).tolist() == [[1, 2, 0], [3, 0, 0]]
