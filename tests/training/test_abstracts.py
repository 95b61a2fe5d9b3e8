# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The catalogue of abstracts with its oddities, and tables."""

import pytest
from _shared import shared_data
from astropy.table import Table

from astroclip_search.exceptions import AstroClipWarning, TrainingError
from astroclip_search.training.abstracts import read_abstracts

CATALOGUE = """
------------------------------------------------------------------
Prop. Type: GO
Category: HOT STARS
ID: 12345
Cycle: 20
Title: A title that is so long that it
       goes on
PI: Ada Lovelace
PI Institution: Nowhere

We propose: {to look} at 30 Doradus.
It is -- as ever -- bright.

----------------------------------------
     Prop. Type: SNAP   Category: AGN/QUASARS
     ID:  7  Cycle:
     Title: No cycle
     PI: B. C.

     Dropped.
------------------------------------------------------------------
Prop. Type: GO
Category: COOL STARS
ID: 88
Cycle: 3
Title: Andr\xe9's \x96 title
PI: Andr\xe9
Abstract of Andr\xe9. Category: this is no field.
------------------------------------------------------------------
Prop. Type: GO
Category: COOL STARS
ID: 89
Cycle: 3
Title: Without abstract
PI: D
------------------------------------------------------------------
"""


@pytest.mark.parametrize('newline', ['\n', '\r\n'])
@pytest.mark.parametrize('encoding', ['latin-1', 'utf-8'])
def test_catalogue(tmp_path, encoding, newline):
    path = tmp_path / 'abstracts.cat'
    text = CATALOGUE.replace('\n', newline)
    if encoding == 'utf-8':
        text = text.replace('\x96', '\u2013')
    path.write_bytes(text.encode(encoding))
    with pytest.warns(AstroClipWarning, match='1 no cycle, 1 no abstract'):
        table = read_abstracts(path)
    assert table['proposal_id'].tolist() == ['12345', '88']
    assert table['cycle'].tolist() == [20, 3]
    assert table['category'].tolist() == ['HOT STARS', 'COOL STARS']
    assert table['title'][0] == 'A title that is so long that it goes on'
    assert table['title'][1] == "Andr\xe9's \u2013 title"
    assert table['abstract'][0] == (
        'We propose: {to look} at 30 Doradus. It is -- as ever -- bright.'
    )
    assert table['abstract'][1].endswith('Category: this is no field.')
    assert table.meta['no_cycle'] == 1


def test_fields_that_share_a_line(tmp_path):
    path = tmp_path / 'abstracts.cat'
    path.write_text(CATALOGUE, encoding='utf-8')
    with pytest.warns(AstroClipWarning):
        table = read_abstracts(path, require_cycle=False)
    row = table[table['proposal_id'] == '7'][0]
    assert row['category'] == 'AGN/QUASARS'
    assert row['proposal_type'] == 'SNAP'
    assert table['cycle'].mask.tolist() == [False, True, False]


def test_real_abstracts():
    path = shared_data('abstracts', 'hst_abstracts.jsonl')
    with pytest.warns(AstroClipWarning, match='1 repeated'):
        table = read_abstracts(path)
    assert len(table) == 99
    assert table['abstract'][0].startswith('Outcomes of violent')
    assert table['category'][0] == 'UNRESOLVED STELLAR POPULATIONS'


@pytest.mark.parametrize('suffix', ['csv', 'ecsv'])
def test_tables(tmp_path, suffix):
    path = tmp_path / f'abstracts.{suffix}'
    table = Table({'ID': [5, 6], 'abstract': ['One.', 'Two, and "more".']})
    table.write(path, format=f'ascii.{suffix}')
    found = read_abstracts(path)
    assert found['proposal_id'].tolist() == ['5', '6']
    assert found['abstract'].tolist() == ['One.', 'Two, and "more".']


def test_nothing_to_read(tmp_path):
    path = tmp_path / 'empty.cat'
    path.write_text('hello\n')
    with pytest.raises(TrainingError, match='no records'):
        read_abstracts(path)
    with pytest.raises(TrainingError, match='cannot be read'):
        read_abstracts(tmp_path / 'missing.cat')
