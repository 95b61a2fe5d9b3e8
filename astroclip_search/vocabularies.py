# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Vocabularies: the classes among which `~astroclip_search.describe` chooses.

A class is a short noun phrase. It is put into each of several templates, and
the vectors of the resulting texts are averaged, which makes the answer depend
less on how a class happens to be worded (Radford et al. 2021,
arXiv:2103.00020, section 3.1.4).
"""

import json
from dataclasses import dataclass
from pathlib import Path

from astroclip_search.exceptions import QueryError

__all__ = [
    'TEMPLATES',
    'Vocabulary',
    'get_vocabulary',
    'list_vocabularies',
]

_FOLDER = Path(__file__).parent / 'data' / 'vocabularies'

TEMPLATES = ('{}', 'an image of {}', 'an astronomical observation of {}')
"""Templates that are used where a vocabulary has none of its own."""


@dataclass(frozen=True)
class Vocabulary:
    """
    A list of classes, and the sentences they are put into.

    Parameters
    ----------
    labels : sequence of str
        The classes, each once.
    templates : sequence of str, optional
        Sentences in which ``{}`` stands for the class.
    name : str, optional
        Name of the vocabulary.
    description : str, optional
        Where the classes come from.

    Raises
    ------
    QueryError
        If there is no class, a class is empty or there twice, or a template
        does not have ``{}`` once.
    """

    labels: tuple
    templates: tuple = TEMPLATES
    name: str = 'user'
    description: str = ''

    def __post_init__(self):
        labels = _strings(self.labels, 'labels')
        templates = _strings(self.templates, 'templates')
        seen = set()
        for label in labels:
            if label.casefold() in seen:
                msg = f'class {label!r} is in the vocabulary twice; keep one'
                raise QueryError(msg)
            seen.add(label.casefold())
        for template in templates:
            if template.count('{}') != 1:
                msg = (
                    f'template {template!r} does not have {{}} once, where '
                    'the class is put'
                )
                raise QueryError(msg)
        object.__setattr__(self, 'labels', labels)
        object.__setattr__(self, 'templates', templates)

    def __len__(self):
        return len(self.labels)

    def prompts(self, label):
        """
        Texts that stand for a class.

        Parameters
        ----------
        label : str
            The class.

        Returns
        -------
        texts : list of str
            One for each template.
        """
        return [template.replace('{}', label) for template in self.templates]

    @classmethod
    def read(cls, path):
        """
        Read a vocabulary from a file.

        Parameters
        ----------
        path : path-like
            A text file with a class on each line (``#`` begins a comment),
            or a JSON file: a list of classes, or an object with ``labels``
            and, if wanted, ``templates``, ``name`` and ``description``.

        Returns
        -------
        vocabulary : Vocabulary
            The vocabulary.

        Raises
        ------
        QueryError
            If the file cannot be read, or holds no vocabulary.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding='utf-8')
        except (OSError, UnicodeDecodeError) as exc:
            msg = f'vocabulary {str(path)!r} cannot be read: {exc}'
            raise QueryError(msg) from exc
        if path.suffix.lower() != '.json':
            lines = [
                line.partition('#')[0].strip() for line in text.split('\n')
            ]
            return cls([line for line in lines if line], name=path.stem)
        try:
            content = json.loads(text)
        except ValueError as exc:
            msg = f'vocabulary {str(path)!r} is not valid JSON: {exc}'
            raise QueryError(msg) from exc
        if isinstance(content, list):
            content = {'labels': content}
        known = {'labels', 'templates', 'name', 'description'}
        if not isinstance(content, dict) or 'labels' not in content:
            msg = (
                f'vocabulary {str(path)!r} holds no "labels"; it must be a '
                'list of classes or an object with "labels"'
            )
            raise QueryError(msg)
        return cls(
            **{'name': path.stem}
            | {key: value for key, value in content.items() if key in known}
        )


def list_vocabularies():
    """
    Names of the vocabularies that come with the package.

    Returns
    -------
    names : list of str
        Names that `~astroclip_search.describe` takes.

    Examples
    --------
    >>> from astroclip_search.vocabularies import list_vocabularies
    >>> list_vocabularies()
    ['morphology', 'paperclip']
    """
    return sorted(path.stem for path in _FOLDER.glob('*.json'))


def get_vocabulary(vocabulary=None, *, templates=None):
    """
    Make a vocabulary of what a user gives.

    Parameters
    ----------
    vocabulary : Vocabulary, str, path-like or sequence of str, optional
        A vocabulary, the name of a shipped one, a file, or classes. The
        default is ``'paperclip'``, the list curated for PAPERCLIP
        (Mishra-Sharma, Song & Thaler 2024).
    templates : str or sequence of str, optional
        Templates to use instead of those of the vocabulary.

    Returns
    -------
    vocabulary : Vocabulary
        The vocabulary.

    Raises
    ------
    QueryError
        If it is empty, or there is no such name or file.
    """
    if vocabulary is None:
        vocabulary = 'paperclip'
    if isinstance(vocabulary, str) and vocabulary in list_vocabularies():
        vocabulary = Vocabulary.read(_FOLDER / f'{vocabulary}.json')
    elif isinstance(vocabulary, str | Path):
        if not Path(vocabulary).is_file():
            msg = (
                f'no vocabulary or file {str(vocabulary)!r}; shipped are '
                f'{", ".join(list_vocabularies())}, and classes of your own '
                'are given as a list'
            )
            raise QueryError(msg)
        vocabulary = Vocabulary.read(vocabulary)
    elif not isinstance(vocabulary, Vocabulary):
        vocabulary = Vocabulary(vocabulary)
    if templates is None:
        return vocabulary
    if isinstance(templates, str):
        templates = [templates]
    return Vocabulary(
        vocabulary.labels, templates, vocabulary.name, vocabulary.description
    )


def _strings(values, what):
    """Check a sequence of texts and return it as a tuple."""
    if isinstance(values, str):
        msg = f'{what} is the text {values!r}; give a list of texts'
        raise QueryError(msg)
    try:
        values = tuple(values)
    except TypeError:
        msg = f'{what} is {values!r}; give a list of texts'
        raise QueryError(msg) from None
    if not values:
        msg = f'{what} is empty; give at least one text'
        raise QueryError(msg)
    for value in values:
        if not isinstance(value, str) or not value.strip():
            msg = f'{what} has {value!r}; every item is a text, not empty'
            raise QueryError(msg)
    return tuple(value.strip() for value in values)
