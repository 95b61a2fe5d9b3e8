# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Facts of the pictures that the starter collection is made of.

Only facts are taken over: identifiers, names, positions, instruments,
filters, programmes, titles, dates, addresses. What is not known is None.
"""

import json
import re
from pathlib import Path

__all__ = ['COLUMNS', 'collect', 'row_facts']

COLUMNS = (
    'id', 'obs_id', 'obs_collection', 'obs_title', 'obs_creation_date',
    'dataproduct_type', 'target_name', 'target_class', 's_ra', 's_dec',
    'facility_name', 'instrument_name', 'filters', 'proposal_id',
    'proposal_pi', 'caption', 'credit', 'licence', 'access_url',
    'access_format',
)  # fmt: skip

# Download address of MAST, and the addresses of the public pictures of
# ESA/Hubble and ESA/Webb ("screen" is their 1280 pixel version).
MAST = 'https://mast.stsci.edu/api/v0.1/Download/file?uri=mast:JWST/product/'
SCREEN = 'https://cdn.{site}.org/archives/images/screen/{name}.jpg'
PAGE = 'https://{site}.org/images/{name}/'

_SITES = {
    'jwst_gallery': ('ESA/Webb', 'esawebb', 'JWST'),
    'esahubble': ('ESA/Hubble', 'esahubble', 'HST'),
    'esahubble_galaxy_nebula': ('ESA/Hubble', 'esahubble', 'HST'),
}
# Numbers that the two sites give to pictures; other names are not theirs.
_NUMBER = re.compile(r'(heic|opo|potw|weic|potm)\d+[a-z]+\Z')


def collect(folder):
    """
    Collect the facts of the pictures that belong in the collection.

    A press picture that two sources hold is one row: the whole frame is the
    picture, and each source adds what the other does not know.

    Parameters
    ----------
    folder : path-like
        A folder with ``pairs.jsonl``.

    Returns
    -------
    facts : list of dict
        The columns of the collection, a row each; ``id`` is unique.
    files : list of `~pathlib.Path`
        The picture of each row.
    """
    folder = Path(folder)
    with (folder / 'pairs.jsonl').open(encoding='utf-8') as file:
        pairs = [json.loads(line) for line in file]
    rows, files = {}, {}
    for pair in pairs:
        known = pair['source'] == 'yuval_jwst' or pair['source'] in _SITES
        if not known or pair.get('duplicate_of'):
            continue
        facts = row_facts(pair)
        row = rows.setdefault(facts['id'], facts)
        row.update({k: v for k, v in facts.items() if row[k] is None})
        if pair['source'] == 'esahubble':  # titles, but crops for screens
            row.update(obs_title=pair['title'], caption=pair['caption'])
            files.setdefault(facts['id'], folder / pair['file'])
        else:
            files[facts['id']] = folder / pair['file']
    order = sorted(rows)
    return [rows[key] for key in order], [files[key] for key in order]


def row_facts(row):
    """
    Collect what is known of a picture.

    Parameters
    ----------
    row : dict
        A line of ``pairs.jsonl``.

    Returns
    -------
    facts : dict
        The columns of the collection; None where unknown.
    """
    facts = dict.fromkeys(COLUMNS)
    facts.update(
        obs_title=row['title'],
        dataproduct_type='image',
        target_name=row.get('object'),
        target_class=_target_class(row.get('type')),
        s_ra=row.get('ra'),
        s_dec=row.get('dec'),
        proposal_id=row.get('proposal_id'),
        proposal_pi=row.get('pi'),
        filters=row.get('filters'),
        caption=row['caption'],
    )
    facts.update(_jwst(row) if row['source'] == 'yuval_jwst' else _press(row))
    return facts


def _target_class(text):
    """Target class, or None where the archive gives a dash."""
    return None if text is None or not text.strip('- ') else text


def _jwst(row):
    """Facts of an observation of JWST."""
    products = row.get('products', '').split()
    date = re.search(r'observed (\d{4}-\d\d-\d\d)', row['description'])
    instrument = row.get('instrument')
    facts = {
        'id': f'jwst/{Path(row["source_path"]).name}',
        'obs_collection': 'JWST',
        'obs_creation_date': date and date[1],
        'facility_name': 'JWST',
        'instrument_name': instrument if instrument != '11' else None,
        'credit': 'NASA, ESA, CSA, STScI',
        'licence': 'public domain',
    }
    if products:
        product = products[0].removesuffix('.fits')
        facts['obs_id'] = product.removesuffix('_i2d')
        facts['access_url'] = f'{MAST}{product}.jpg'
        facts['access_format'] = 'image/jpeg'
    return facts


def _press(row):
    """Facts of a picture of ESA/Hubble or ESA/Webb."""
    collection, site, facility = _SITES[row['source']]
    name = Path(row['source_path']).name.removesuffix('.jpg')
    name = name.removeprefix('galaxies_').removeprefix('nebulae_')
    credit = row['credit']
    facts = {
        'id': f'{site}/{name}',
        'obs_collection': collection,
        'facility_name': facility,
        'licence': 'CC BY 4.0',
    }
    if _NUMBER.match(name):
        facts['obs_id'] = name
        facts['access_url'] = SCREEN.format(site=site, name=name)
        facts['access_format'] = 'image/jpeg'
        if credit.endswith('…') or credit == 'ESA/Hubble':
            page = PAGE.format(site=site, name=name)
            credit = f'ESA/Hubble & NASA (full credit at {page})'
    facts['credit'] = credit
    return facts
