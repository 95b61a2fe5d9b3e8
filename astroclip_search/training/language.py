# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Language models whose answers follow a JSON schema.

Two kinds do: whatever `outlines` drives in this process (Willard & Louf 2023:
tokens that would break the schema are masked at each step), and servers that
speak OpenAI's protocol and guide generation themselves.
"""

import hashlib
import json
import os

from astroclip_search._optional import require
from astroclip_search.embedding._torchvision import import_torchvision
from astroclip_search.exceptions import ArchiveError, TrainingError

__all__ = ['OutlinesModel', 'ServerModel', 'as_language_model']

MAX_TOKENS = 800  # more than the schema of a summary has characters


class OutlinesModel:
    """
    A language model that outlines drives.

    Parameters
    ----------
    model : object
        Model of outlines, as of ``outlines.from_transformers``, or the name
        or directory of a causal language model of transformers.
    name : str, optional
        Name by which its answers are kept.
    max_tokens : int, optional
        Longest answer.
    """

    def __init__(self, model, *, name=None, max_tokens=MAX_TOKENS):
        # transformers loads torchvision with every model.
        import_torchvision()
        outlines = require(
            'outlines', extra='summaries', purpose='guide a language model'
        )
        if isinstance(model, str | os.PathLike):
            name = str(model) if name is None else name
            model = _load(outlines, str(model))
        self._model = model
        self._generators = {}
        self._max_tokens = max_tokens
        self.name = type(model).__name__ if name is None else name

    def generate(self, prompt, schema, *, seed=0):
        """
        Answer a prompt.

        Parameters
        ----------
        prompt : str
            The prompt.
        schema : dict
            JSON schema of the answer.
        seed : int, optional
            Seed of the draws, for local models.

        Returns
        -------
        text : str
            JSON text.
        """
        import outlines
        import torch

        key = json.dumps(schema, sort_keys=True)
        if key not in self._generators:
            # Compiling a schema takes far longer than using it.
            self._generators[key] = outlines.Generator(
                self._model, outlines.types.JsonSchema(schema)
            )
        # The mask of outlines is compiled at its first use, which takes a
        # minute and a C++ compiler; as it stands it is quick enough.
        eager = torch.compiler.set_stance('force_eager')
        with eager, torch.random.fork_rng():
            torch.manual_seed(seed)
            return self._generators[key](
                prompt, max_new_tokens=self._max_tokens, do_sample=True
            )


def _load(outlines, name):
    import transformers

    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            name, dtype='auto'
        )
    except Exception as exc:  # transformers raises many kinds
        text = ' '.join(str(exc).split())[:200]
        msg = f'The language model {name!r} cannot be loaded ({text}).'
        raise TrainingError(msg) from exc
    return outlines.from_transformers(model.eval(), tokenizer)


class ServerModel:
    """
    A language model behind an OpenAI-compatible server.

    Parameters
    ----------
    url : str
        Base address, as ``'http://localhost:8000/v1'``.
    name : str
        Name of the model there.
    key : str, optional
        Key of the server. The default is the environment variable
        ``OPENAI_API_KEY``, if there is one.
    max_tokens : int, optional
        Longest answer.
    """

    def __init__(self, url, name, *, key=None, max_tokens=MAX_TOKENS):
        self._url = url.rstrip('/') + '/chat/completions'
        self._key = os.environ.get('OPENAI_API_KEY') if key is None else key
        self._max_tokens = max_tokens
        self.name = name

    def generate(self, prompt, schema, *, seed=0):
        """
        Answer a prompt; see `OutlinesModel.generate`.

        Raises
        ------
        ArchiveError
            If the server cannot be reached or refuses.
        """
        import requests

        from astroclip_search.config import conf

        headers = {'Authorization': f'Bearer {self._key}'} if self._key else {}
        body = {
            'model': self.name,
            'messages': [{'role': 'user', 'content': prompt}],
            'max_tokens': self._max_tokens,
            'seed': seed,
            'response_format': {
                'type': 'json_schema',
                'json_schema': {
                    'name': 'answer', 'strict': True, 'schema': schema,
                },
            },
        }  # fmt: skip
        try:
            reply = requests.post(
                self._url, json=body, headers=headers, timeout=conf.timeout
            )
            reply.raise_for_status()
            return reply.json()['choices'][0]['message']['content']
        except (requests.RequestException, KeyError, IndexError) as exc:
            msg = (
                f'The language model {self.name!r} at {self._url} gives no '
                f'answer ({exc}).'
            )
            raise ArchiveError(msg) from exc


def as_language_model(model):
    """
    Make a language model of what a user gives.

    Parameters
    ----------
    model : object or str
        What has ``generate`` and ``name``; a model of outlines; the name of a
        transformers model; or ``'<address>#<model>'`` of a server.

    Returns
    -------
    model : object
        With ``name`` and ``generate(prompt, schema, seed=...)``.
    """
    if isinstance(model, str) and model.startswith(('http://', 'https://')):
        url, _, name = model.partition('#')
        if not name:
            msg = f'{model!r} names no model; write {url}#<model>.'
            raise TrainingError(msg)
        return ServerModel(url, name)
    if hasattr(model, 'generate') and hasattr(model, 'name'):
        return model
    return OutlinesModel(model)


def answer_key(model, prompt, schema):
    """Key under which an answer is kept: a hash of all that it depends on."""
    text = json.dumps([model.name, prompt, schema], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
