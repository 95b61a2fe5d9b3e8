# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Write the background texts of descriptions.

They are titles of observing programmes, which are facts of the archives::

    python recipes/starter/background.py --abstracts DIR

where DIR holds ``hst_proposal_titles.jsonl`` and
``jwst_proposal_titles.jsonl``. Titles that differ in case or punctuation only
are taken once.
"""

import argparse
import json
import re
from pathlib import Path

__all__ = ['main']

OUTPUT = (
    Path(__file__).parents[2]
    / 'astroclip_search'
    / 'data'
    / 'backgrounds'
    / 'texts.txt'
)
HEADER = """\
# Titles of observing programmes of the Hubble and James Webb space telescopes,
# as MAST (STScI) and the European HST archive (ESA) give them: a background
# of texts against which the classes of a description are calibrated.
"""


def main(argv=None):
    """
    Write the file.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; the default is those of the process.
    """
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--abstracts', type=Path, required=True)
    parser.add_argument('--output', type=Path, default=OUTPUT)
    args = parser.parse_args(argv)
    titles = {}
    for telescope in ('hst', 'jwst'):
        path = args.abstracts / f'{telescope}_proposal_titles.jsonl'
        for line in path.read_text(encoding='utf-8').splitlines():
            title = ' '.join(json.loads(line)['title'].split())
            titles.setdefault(re.sub(r'\W', '', title.casefold()), title)
    lines = sorted(titles.values(), key=str.casefold)
    args.output.write_text(HEADER + '\n'.join(lines) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
