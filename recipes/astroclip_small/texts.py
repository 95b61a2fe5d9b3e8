# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""All texts that are true of a picture, as far as its row tells."""

import re

from astroclip_search.training.captions import sentences

__all__ = ['CLASSES', 'caption_parts', 'classes_of', 'texts_of', 'true_texts']

# The classes of the zero-shot measure, and what names them in a type.
CLASSES = {
    'spiral galaxy': r'spiral',
    'elliptical galaxy': r'elliptical gal',
    'globular cluster': r'globular',
    'open cluster': r'open cluster',
    'planetary nebula': r'(?<!proto)planetary nebula(?!e nuclei)',
    'emission nebula': r'emission nebula|h ?ii region|hii region',
    'supernova remnant': r'supernova remnant',
}
_MORE = {
    'barred spiral galaxy': r'barred spiral',
    'lenticular galaxy': r'lenticular',
    'irregular galaxy': r'irregular',
    'reflection nebula': r'reflection nebul',
    'dark nebula': r'dark nebula|dark interstellar',
    'galaxy cluster': r'galaxy cluster|clusters? of galaxies',
    'interacting galaxies': r'interacting|galaxy pair|merg',
    'starburst galaxy': r'starburst',
    'active galaxy': r'active galac|seyfert|quasar',
    'dwarf galaxy': r'dwarf galax|dwarf irregular',
    'young star cluster': r'young star clusters|cluster with nebulosity',
    'protostar': r'protostar|young stellar|herbig-haro',
    'protoplanetary disk': r'protoplanetary disk',
    'molecular cloud': r'molecular cloud|dense interstellar',
    'supernova': r'supernovae(?! remnant)',
    'star': r'^star(;|$)',
    'galaxy': r'galax(y|ies)(?! group)',
    'nebula': r'nebula|^ism',
    'star cluster': r'(?<!\w)cluster(?! of gal)',
    'planet': r'; planet$',
    'moon': r'; moon$',
    'solar system object': r'solar system',
    'gravitational lens': r'gravitational lens|lensed',
    'image artefact': r'artefact',
}
_TEMPLATES = (
    '{}', '{}', 'a {}', 'an image of a {}', 'a picture of a {}',
    'a photo of a {}', 'a telescope image of a {}',
)  # fmt: skip
# These say less than the narrow classes do.
_BROAD = {'galaxy', 'nebula', 'star', 'star cluster'}
_HUBBLE = re.compile(r'(?:Hubble type|is an?) (c?[SEI][ABab0-9cdmrs()+-]*)')
_BOILERPLATE = re.compile(
    r"Tomorrow's picture|Authors & editors|Specific rights|A service of|"
    r'The image spans|Apparent magnitude|Angular size|Category:|'
    r'search class|Source image|The field also contains|Archive \|'
)

# What an answer of Galaxy Zoo says, and what it implies.
_ANSWERS = {
    ('bar', 'Bar'): ('barred galaxy', 'a barred spiral galaxy', 'bar'),
    ('bar', 'No bar'): ('unbarred galaxy', 'no bar'),
    ('spiral arm', 'Spiral'): ('spiral galaxy', 'spiral arms'),
    ('spiral arm', 'No spiral'): ('no spiral arms',),
    ('edge-on', 'Yes'): ('edge-on galaxy', 'an edge-on disk galaxy'),
    ('edge-on', 'No'): ('face-on galaxy', 'not edge-on'),
    ('arms are', ''): ('spiral galaxy', 'a face-on spiral galaxy'),
    ('tightly', ''): ('spiral galaxy', 'a face-on spiral galaxy'),
    ('prominent', ''): ('not edge-on',),
    ('If so, what shape', ''): ('edge-on galaxy', 'an edge-on disk galaxy'),
    ('prominent', 'No bulge'): ('no bulge', 'bulgeless galaxy'),
    ('prominent', 'Obvious'): ('obvious bulge',),
    ('prominent', 'Dominant'): ('dominant bulge', 'large bulge'),
    ('shape', 'Boxy'): ('boxy bulge',),
    ('shape', 'Rounded'): ('rounded bulge',),
    ('shape', 'No bulge'): ('bulgeless edge-on galaxy', 'thin disk'),
    ('rounded', 'Smooth'): ('smooth galaxy', 'elliptical galaxy'),
    ('How rounded', ''): ('smooth galaxy', 'elliptical galaxy'),
    ('How rounded', 'Completely'): ('round elliptical galaxy',),
    ('How rounded', 'Cigar'): ('cigar-shaped galaxy', 'elongated galaxy'),
    ('rounded', 'Star'): ('image artefact', 'star'),
    ('merging', 'Merging'): ('galaxy merger', 'interacting galaxies'),
    ('merging', 'Both'): ('galaxy merger', 'tidal tails'),
    ('merging', 'Tidal'): ('tidal debris', 'tidal tails'),
    ('odd', 'Merger'): ('galaxy merger', 'interacting galaxies'),
    ('odd', 'Dust'): ('dust lane', 'galaxy with dust'),
    ('odd', 'Lens'): ('gravitational lens', 'lensed arc'),
    ('odd', 'Ring'): ('ring galaxy', 'ring'),
    ('odd', 'Irregular'): ('irregular galaxy',),
    ('odd', 'Overlapping'): ('overlapping galaxies', 'two galaxies'),
    ('odd', 'Disturbed'): ('disturbed galaxy',),
}


def _hubble_classes(description):
    """Classes that a Hubble type in a description names."""
    found = set()
    for kind in _HUBBLE.findall(description):
        if kind.startswith('E'):
            found.add('elliptical galaxy')
        elif kind.startswith(('S0', 'SB0')):
            found.add('lenticular galaxy')
        elif re.match(r'S(A?B)?(a|b|c|d)', kind):
            found.add('spiral galaxy')
            if 'B' in kind:
                found.add('barred spiral galaxy')
        elif kind.startswith(('I', 'Im')):
            found.add('irregular galaxy')
    return found


def classes_of(row):
    """
    Plain names of what a picture shows.

    Parameters
    ----------
    row : dict
        Row of the pairs.

    Returns
    -------
    classes : set of str
        Names such as ``'spiral galaxy'``; empty where nothing is known.
    """
    kind = row.get('type', '').lower()
    found = {
        name
        for name, pattern in {**CLASSES, **_MORE}.items()
        if re.search(pattern, kind)
    }
    if 'galaxy' in found:
        found |= _hubble_classes(row['description'])
    if kind.startswith('part of the'):
        # The picture shows a nebula or a cluster within that galaxy.
        found -= {'galaxy', 'irregular galaxy', 'dwarf galaxy'}
    return found


def caption_parts(row):
    """
    Statements of a caption, each with a meaning of its own.

    Parameters
    ----------
    row : dict
        Row of the pairs.

    Returns
    -------
    parts : list of str
        Parts; only the caption itself where it is one statement.
    """
    caption = row['caption']
    if row['source'] == 'galaxyzoo':
        return [part[:1].upper() + part[1:] for part in caption.split('; ')]
    if row['source'] == 'zooniverse_guides':
        return caption.split(', ')
    if row['source'] == 'spacewarps_cfhtls':
        grade = caption.split(' CFHTLS')[0]
        field = re.search(r' in ([^,]+),', caption)
        return [grade, 'gravitational lens candidate'] + (
            [f'{grade} in {field[1]}'] if field else []
        )
    return [caption]


def _answers(row):
    """Phrases for the answers of Galaxy Zoo."""
    return [
        phrase
        for question, answer in row.get('qa', ())
        for (about, start), phrases in _ANSWERS.items()
        if about in question and answer.startswith(start)
        for phrase in phrases
    ]


def texts_of(row):
    """
    All texts that are true of a picture, besides its caption.

    Parameters
    ----------
    row : dict
        Row of the pairs.

    Returns
    -------
    texts : list of str
        Distinct texts; the caption itself only where there is no other.
    """
    texts = [] if row['source'] == 'galaxyzoo' else [row['title']]
    texts += caption_parts(row) + _answers(row)
    texts += [
        sentence
        for sentence in sentences(row['description'])[:6]
        if not _BOILERPLATE.search(sentence)
    ]
    names = classes_of(row)
    texts += _class_texts(names - _BROAD or names)
    texts = [t for t in dict.fromkeys(texts) if t and t != row['caption']]
    return texts or [row['caption']]


def true_texts(row):
    """
    Like `texts_of`, with the wider classes and the caption: what is no error.

    Parameters
    ----------
    row : dict
        Row of the pairs.

    Returns
    -------
    texts : set of str
        Texts that are true of the picture.
    """
    wide = _class_texts(classes_of(row))
    return {row['caption'], *texts_of(row), *wide}


def _class_texts(names):
    texts = [
        template.format(name)
        for name in sorted(names)
        for template in _TEMPLATES
    ]
    texts = [re.sub(r'\ba (?=[aeio])', 'an ', text) for text in texts]
    return [
        text.replace('a interacting', 'interacting').replace(
            'an interacting', 'interacting'
        )
        for text in texts
    ]
