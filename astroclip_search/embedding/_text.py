# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Texts to token ids, the same for training, indexing and searching.

The ids equal those of open_clip's own tokenizers, but are made without torch
and transformers. `Tokenizer.split` divides texts that open_clip would cut off.
"""

import html
import re
import string

import numpy as np

from astroclip_search.exceptions import ModelError

__all__ = ['Tokenizer', 'clean_text', 'clip_tokenizer_json']

_PUNCTUATION = str.maketrans('', '', string.punctuation)
_SENTENCE_END = re.compile(r'(?<=[.!?;])\s+')


def clean_text(text, how):
    """
    Clean a text as open_clip does before it makes tokens.

    Parameters
    ----------
    text : str
        Any text.
    how : {'lower', 'whitespace', 'canonicalize'}
        The ``clean`` setting of the tokenizer in open_clip.

    Returns
    -------
    text : str
        The text with repaired encoding, HTML entities and white space, and
        with ``'lower'`` in lower case, with ``'canonicalize'`` also without
        punctuation.
    """
    if not text.isascii() or '&' in text or not text.isprintable():
        # Printable ASCII without entities is what ftfy leaves untouched, and
        # its import takes as long as a text tower.
        import ftfy

        text = html.unescape(html.unescape(ftfy.fix_text(text)))
    if how == 'canonicalize':
        text = text.replace('_', ' ').translate(_PUNCTUATION)
    text = ' '.join(text.split())
    return text if how == 'whitespace' else text.lower()


def clip_tokenizer_json():
    """
    Write the byte-pair tokenizer of CLIP in the form of ``tokenizers``.

    Returns
    -------
    json : str
        Contents of a ``tokenizer.json`` that gives the ids of
        ``open_clip.tokenizer.SimpleTokenizer`` for texts that were cleaned.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, models, processors
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    from astroclip_search.embedding._torchvision import import_open_clip

    simple = import_open_clip().tokenizer.SimpleTokenizer()
    tokenizer = Tokenizer(
        models.BPE(
            vocab=simple.encoder,
            merges=sorted(simple.bpe_ranks, key=simple.bpe_ranks.get),
            end_of_word_suffix='</w>',
        )
    )
    words = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
    tokenizer.pre_tokenizer = Sequence(
        [
            Split(Regex(words), behavior='removed', invert=True),
            ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    start, end = marks = '<start_of_text>', '<end_of_text>'
    tokenizer.add_special_tokens(
        [AddedToken(mark, normalized=False) for mark in marks]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f'{start} $A {end}',
        special_tokens=[(mark, simple.encoder[mark]) for mark in marks],
    )
    return tokenizer.to_str()


class Tokenizer:
    """
    Tokenizer of a model.

    Parameters
    ----------
    tokenizer : `tokenizers.Tokenizer`
        What makes tokens of a cleaned text.
    limit : int
        Tokens that the text tower takes, with the marks of start and end.
    clean : {'lower', 'whitespace', 'canonicalize'}
        See `clean_text`.
    pad_id : int
        Id that fills up short texts.
    fixed_length : bool
        Whether the tower wants every text filled up to the limit. Towers
        that mask the filling work on the longest text of a batch.
    """

    def __init__(self, tokenizer, *, limit, clean, pad_id, fixed_length):
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.limit = limit
        self.clean = clean
        self.pad_id = pad_id
        self.fixed_length = fixed_length
        self._n_special = len(tokenizer.encode('').ids)

    @classmethod
    def from_file(cls, path, **settings):
        """Read a ``tokenizer.json``."""
        import tokenizers

        try:
            tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as exc:  # the library raises bare Exception
            msg = (
                f'{path} is no tokenizer that can be read ({exc}). Install '
                'the model again.'
            )
            raise ModelError(msg) from exc
        return cls(tokenizer, **settings)

    def encode(self, text):
        """
        Token ids of a text, however long.

        Parameters
        ----------
        text : str
            Any text.

        Returns
        -------
        ids : list of int
            With the marks of start and end.
        """
        return self._tokenizer.encode(clean_text(text, self.clean)).ids

    def pad(self, rows, *, length=None):
        """
        Token ids as a matrix.

        Parameters
        ----------
        rows : list of list of int
            Token ids, each at most `limit` long.
        length : int, optional
            Number of columns. The default is the limit for towers that want
            it, and the longest row for others.

        Returns
        -------
        ids : (n, length) `~numpy.ndarray`, int64
            Token ids, filled up with `pad_id`.
        """
        if length is None:
            length = self.limit if self.fixed_length else max(map(len, rows))
        ids = np.full((len(rows), length), self.pad_id, np.int64)
        for out, row in zip(ids, rows, strict=True):
            out[: len(row)] = row
        return ids

    def __call__(self, texts):
        """
        Token ids as open_clip gives them: filled up to and cut at the limit.

        Parameters
        ----------
        texts : str or list of str
            Texts.

        Returns
        -------
        ids : (n, limit) `torch.Tensor`, int64
            Token ids.
        """
        import torch

        texts = [texts] if isinstance(texts, str) else texts
        rows = [self.encode(text) for text in texts]
        rows = [
            r if len(r) <= self.limit else [*r[: self.limit - 1], r[-1]]
            for r in rows
        ]
        return torch.from_numpy(self.pad(rows, length=self.limit))

    def split(self, text):
        """
        Divide a text into pieces that the text tower takes whole.

        Pieces end where sentences end. A sentence that is too long is
        divided between words, a word that is too long between letters.

        Parameters
        ----------
        text : str
            Any text.

        Returns
        -------
        pieces : list of list of int
            Token ids of each piece.
        weights : list of int
            Tokens of each piece without the marks of start and end.
        """
        ids = self.encode(text)
        if len(ids) > self.limit:
            pieces = self._pack(_SENTENCE_END.split(text.strip()), ' ')
        else:
            pieces = [ids]
        return pieces, [len(p) - self._n_special for p in pieces]

    def _pack(self, parts, glue):
        """Join parts while they fit; divide those that do not."""
        pieces, text, ids = [], '', None
        for part in parts:
            longer = f'{text}{glue}{part}' if text else part
            longer_ids = self.encode(longer)
            if len(longer_ids) <= self.limit:
                text, ids = longer, longer_ids
                continue
            if ids is not None:
                pieces.append(ids)
            text, ids = part, self.encode(part)
            if len(ids) > self.limit:
                words = part.split()
                if len(words) > 1:
                    pieces += self._pack(words, ' ')
                else:
                    half = len(part) // 2
                    pieces += self._pack([part[:half], part[half:]], '')
                text, ids = '', None
        if ids is not None:
            pieces.append(ids)
        return pieces
