# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""What a HATS catalogue tells of the collection that it was."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from astroclip_search._optional import require
from astroclip_search.exceptions import CollectionError, QueryError

__all__ = []

VECTOR = 'vector'
INDEX = '_healpix_29'
ORDER = 29

# Vectors, or codes of a sample, whose similarities tell what chance does.
BACKGROUND = 'astroclip_background.npz'

_PREFIX = 'astroclip_'
_JSON = ('dim', 'rendering', 'meta', 'columns')
_NAMES = ('fingerprint', 'model', 'home', *_JSON)


@dataclass
class CatalogFacts:
    """
    Model, rendering and columns of a catalogue.

    Attributes
    ----------
    dim : int
        Dimension of the vectors.
    fingerprint, model : str or None
        The model that made them.
    rendering_facts : dict or None
        How images were rendered.
    meta : dict
        What was kept with the collection.
    columns : dict
        Kind, unit, description and UCD of each column.
    home : str
        Directory of the catalogue.
    rows : int or None
        Number of rows, where it is known.
    """

    dim: int
    fingerprint: str | None = None
    model: str | None = None
    rendering_facts: dict | None = None
    meta: dict = field(default_factory=dict)
    columns: dict = field(default_factory=dict)
    home: str = ''
    rows: int | None = None

    # The queries of `astroclip_search.search` are made into vectors for
    # anything that has these, a Collection or this.
    _embedder = None

    @property
    def name(self):
        """Name of the directory."""
        return Path(self.home).name

    @property
    def rendering(self):
        """`~astroclip_search.images.Rendering` of the images, or None."""
        from astroclip_search.images import Rendering

        known = self.rendering_facts
        return None if known is None else Rendering.from_dict(known)

    def info(self):
        """Tell the model, as `Collection.info` does."""
        return {'model': self.model, 'fingerprint': self.fingerprint}

    def vectors(self, ids):
        """Refuse rows as examples: finding them would read everything."""
        msg = (
            f'row {ids[0]!r} cannot be an example for a HATS catalogue; give '
            'its vector'
        )
        raise QueryError(msg)

    def properties(self):
        """
        Write everything as properties of a HATS catalogue.

        Returns
        -------
        properties : dict of str to str
            Names and values; nothing of it takes more than a line.
        """
        known = {
            'fingerprint': self.fingerprint,
            'model': self.model,
            'dim': self.dim,
            'rendering': self.rendering_facts,
            'meta': self.meta,
            'columns': self.columns,
        }
        return {
            f'{_PREFIX}{key}': _escape(
                json.dumps(value) if key in _JSON else value
            )
            for key, value in known.items()
            if value is not None
        }

    @classmethod
    def of(cls, structure):
        """
        Read what `properties` wrote.

        Parameters
        ----------
        structure : `hats.catalog.Catalog`
            The catalogue as the package hats sees it.

        Returns
        -------
        facts : CatalogFacts
            What it tells.

        Raises
        ------
        CollectionError
            If it tells nothing.
        """
        info = structure.catalog_info
        extra = info.extra_dict()
        known = {name: extra.get(_PREFIX + name) for name in _NAMES}
        known = {name: v and unquote(v) for name, v in known.items()}
        home = known['home'] or structure.catalog_path
        try:
            values = {
                name: known[name] and json.loads(known[name]) for name in _JSON
            }
            dim, columns = int(values['dim']), dict(values['columns'])
        except (TypeError, ValueError) as exc:
            msg = (
                f'HATS catalogue {str(home or info.catalog_name)!r} does not '
                'say which model made its vectors; write it with '
                'Collection.to_hats, and join it with scale.crossmatch'
            )
            raise CollectionError(msg) from exc
        return cls(
            dim,
            known['fingerprint'],
            known['model'],
            values['rendering'],
            values['meta'] or {},
            columns,
            str(home),
            info.total_rows,
        )

    def pass_on(self, structure):
        """
        Give a catalogue that was made of another what that one told.

        Parameters
        ----------
        structure : `hats.catalog.Catalog`
            The new catalogue, changed in place.
        """
        home = {f'{_PREFIX}home': _escape(self.home)}
        known = {**self.properties(), **home}
        for name, value in known.items():
            setattr(structure.catalog_info, name, value)


def _escape(text):
    """Hide what has a meaning in a file of properties."""
    return quote(text, safe='{}[]()<>:;,."\'/ +-*|_@')


def require_hats(purpose):
    """
    Import the package hats.

    Parameters
    ----------
    purpose : str
        What it is needed for.

    Returns
    -------
    hats : module
        The package.
    """
    return require('hats', extra='scale', purpose=purpose)


def open_structure(path):
    """
    Open a catalogue without its rows.

    Parameters
    ----------
    path : path-like
        Its directory.

    Returns
    -------
    structure : `hats.catalog.Catalog`
        The catalogue.

    Raises
    ------
    CollectionError
        If there is none.
    """
    hats = require_hats('read HATS catalogues')
    try:
        structure = hats.read_hats(path)
    except (OSError, ValueError, TypeError, KeyError) as exc:
        msg = f'{str(path)!r} is no HATS catalogue that can be read ({exc})'
        raise CollectionError(msg) from exc
    return getattr(structure, 'main_catalog', structure)
