# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Build the collection that comes with the package.

Facts of observations of JWST and of pictures of ESA/Hubble and ESA/Webb are
taken over, and the pictures are embedded by the shipped model; the pictures
themselves are not::

    python recipes/starter/build.py --pairs DIR

where DIR holds ``pairs.jsonl`` and the pictures it names. The vectors of the
background texts of descriptions are computed for the same model.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from astropy.table import MaskedColumn, QTable

sys.path.insert(0, str(Path(__file__).parent))
from facts import COLUMNS, collect

from astroclip_search import Collection, Embedder
from astroclip_search._background import background_texts, text_store
from astroclip_search.obscore import annotate

__all__ = ['main']

DATA = Path(__file__).parents[2] / 'astroclip_search' / 'data'
META = {
    'title': 'JWST observations and pictures of ESA/Hubble and ESA/Webb',
    'description': 'Facts from MAST (STScI), ESA/Hubble and ESA/Webb. The '
    'vectors of JWST rows were made of colour previews of the products, not '
    'of the single preview that access_url names.',
}


def main(argv=None):
    """
    Build the collection and the background.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; the default is those of the process.
    """
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--pairs', type=Path, required=True)
    parser.add_argument('--model', help='the default is the shipped model')
    parser.add_argument(
        '--output', type=Path, default=DATA / 'collections' / 'starter'
    )
    parser.add_argument(
        '--backgrounds', type=Path, default=DATA / 'backgrounds'
    )
    args = parser.parse_args(argv)
    facts, files = collect(args.pairs)
    embedder = Embedder.from_pretrained(args.model)
    vectors = embedder.embed_images(files)
    write_collection(args.output, embedder, table_of(facts), vectors)
    for old in args.backgrounds.glob('*.npy'):
        old.unlink()
    text_store(embedder, background_texts(), folder=args.backgrounds)
    sys.stdout.write(
        f'{len(facts)} rows of {embedder.name} ({embedder.fingerprint}) in '
        f'{args.output}\n'
    )


def table_of(facts):
    """
    Make a table of facts.

    Parameters
    ----------
    facts : list of dict
        As `facts.collect` returns them.

    Returns
    -------
    table : `~astropy.table.QTable`
        Unknown values are masked.
    """
    table = QTable()
    for name in COLUMNS:
        values = [row[name] for row in facts]
        mask = [value is None for value in values]
        blank = 0.0 if name in ('s_ra', 's_dec') else ''
        filled = [blank if v is None else v for v in values]
        table[name] = MaskedColumn(filled, mask=mask, name=name)
    return annotate(table)


def write_collection(path, embedder, table, vectors):
    """
    Write the collection beside the old one, then put it in its place.

    Parameters
    ----------
    path : `~pathlib.Path`
        Directory of the collection.
    embedder : `~astroclip_search.Embedder`
        The model.
    table : `~astropy.table.QTable`
        The rows.
    vectors : (n, d) `~numpy.ndarray`
        Their vectors.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        new = Path(folder) / path.name
        collection = Collection.create(new, embedder=embedder, meta=META)
        report = collection.add(table, vectors=vectors)
        if report.added != len(table):
            msg = f'{report.added} of {len(table)} rows were added'
            raise RuntimeError(msg)
        np.testing.assert_allclose(
            collection.vectors(list(table['id'])), vectors, atol=2e-3
        )
        del collection
        for name in ('lock', 'manifest.previous.json'):
            (new / name).unlink(missing_ok=True)
        if path.exists():
            shutil.rmtree(path)
        new.replace(path)


if __name__ == '__main__':
    main()
