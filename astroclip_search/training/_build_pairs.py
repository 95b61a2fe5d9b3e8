# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Making a set of pairs of tables, pictures and abstracts."""

import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from astroclip_search._progress import progress_bar
from astroclip_search.config import conf
from astroclip_search.exceptions import (
    AstroClipError,
    AstroClipWarning,
    TrainingError,
)
from astroclip_search.training._files import read_rows, write_text
from astroclip_search.training.config import TrainingConfig
from astroclip_search.training.pairs import (
    INDEX,
    INDEX_DTYPE,
    INFO,
    MANIFEST,
    Pairs,
)
from astroclip_search.training.splits import PARTS, find_groups, split_groups

__all__ = ['build_pairs']

SKIPPED = 'skipped.jsonl'
KINDS = ('abstract', 'summary', 'concept', 'title', 'caption', 'description')
# Columns that are kept, by the names under which they may come.
_KEPT = {
    'proposal_id': ('proposal_id',),
    's_ra': ('s_ra', 'ra'),
    's_dec': ('s_dec', 'dec'),
    'facility_name': ('facility_name', 'telescope'),
    'instrument_name': ('instrument_name', 'instrument'),
    'target_name': ('target_name', 'object'),
    'target_class': ('target_class', 'type'),
    'category': ('category',),
    'source': ('source',),
    'licence': ('licence',),
    'credit': ('credit',),
}
_IMAGE = ('image', 'path', 'file')


def build_pairs(
    rows,
    output,
    *,
    abstracts=None,
    captions=KINDS,
    root=None,
    together=('split_group',),
    config=None,
    overwrite=False,
    progress=None,
):
    """
    Make a set of pairs on disk.

    Every picture is read once; one that cannot be read, and a row without a
    caption, is left out and reported in ``skipped.jsonl``.

    Parameters
    ----------
    rows : `~astropy.table.Table`, iterable of dict, or path-like
        A row for each image: its path (``image``, ``path`` or ``file``),
        perhaps ``id``, ``proposal_id``, ``s_ra`` and ``s_dec`` in degrees,
        ``instrument_name``..., and columns of captions. A file may be JSONL,
        CSV or ECSV.
    output : path-like
        Directory to write.
    abstracts : `~astropy.table.Table` or iterable of dict, optional
        Rows with ``proposal_id`` and columns of captions, as `read_abstracts`
        and `summarize` give them; joined by proposal. The caption of kind
        ``abstract`` starts with ``Category: <CATEGORY>.`` (section 3.1 of the
        paper).
    captions : sequence of str or dict of str to str, optional
        Kinds of captions, or the column of each kind. A column may hold a
        text or a list of texts.
    root : path-like, optional
        Directory from which relative paths of images start. The default is
        that of the file of rows, or the working directory.
    together : sequence of str, optional
        More columns whose equal values keep rows in one part of the split;
        columns that are not there are ignored.
    config : `TrainingConfig`, optional
        Settings of split, padding and seed. A column ``part`` overrides the
        split.
    overwrite : bool, optional
        Whether a set of pairs that is there is replaced.
    progress : bool, optional
        Whether to show a progress bar. The default is ``conf.progress``.

    Returns
    -------
    pairs : `Pairs`
        The set; ``pairs.info['skipped']`` counts what was left out.

    Raises
    ------
    TrainingError
        If nothing is left, an identifier occurs twice, a part of the split
        stays empty, or the disk is full.

    Warns
    -----
    AstroClipWarning
        If rows were left out.
    """
    config = TrainingConfig() if config is None else config
    output = Path(output)
    if (output / INFO).exists() and not overwrite:
        msg = (
            f'{output} holds a set of pairs already; give overwrite=True or '
            'another directory.'
        )
        raise TrainingError(msg)
    if root is None:
        file = isinstance(rows, str | os.PathLike)
        root = Path(rows).parent if file else Path()
    columns = dict(captions) if isinstance(captions, dict) else None
    columns = columns or {kind: kind for kind in captions}
    by_proposal = {
        str(row['proposal_id']): row
        for row in read_rows([] if abstracts is None else abstracts)
        if row.get('proposal_id') is not None
    }
    pairs, labels, skipped, seen = [], [], [], set()
    for number, row in enumerate(read_rows(rows)):
        pair = {'id': str(row.get('id', f'{number:06d}'))}
        if pair['id'] in seen:
            msg = f'The id {pair["id"]!r} occurs twice; ids must be unique.'
            raise TrainingError(msg)
        seen.add(pair['id'])
        for name, others in _KEPT.items():
            value = next((row[k] for k in others if k in row), None)
            if value is not None:
                pair[name] = value
        if 'proposal_id' in pair:
            pair['proposal_id'] = str(pair['proposal_id'])
        joined = {**by_proposal.get(pair.get('proposal_id'), {}), **row}
        pair['captions'] = _captions(joined, columns)
        image = next((row[k] for k in _IMAGE if row.get(k)), None)
        if image is None or not pair['captions']:
            reason = 'no image' if image is None else 'no caption'
            skipped.append({'id': pair['id'], 'reason': reason})
            continue
        pair['image'] = str(Path(root) / image)
        pair['caption_id'] = str(row.get('caption_id', _caption_id(pair)))
        pair['part'] = row.get('part')
        pairs.append(pair)
        labels.append([row.get(name) for name in together])
    output.mkdir(parents=True, exist_ok=True)
    (output / INFO).unlink(missing_ok=True)
    kept = _prepare(pairs, output, config, skipped, progress)
    pairs = [pairs[i] for i in kept]
    labels = [labels[i] for i in kept]
    if not pairs:
        msg = (
            f'No pair is left of {len(skipped)} rows; the first was left out '
            f'for: {skipped[0]["reason"] if skipped else "there are none"}.'
        )
        raise TrainingError(msg)
    groups = _split(pairs, list(zip(*labels, strict=True)), config)
    _write(output, pairs, groups, skipped, config)
    if skipped:
        warnings.warn(
            f'{len(skipped)} rows were left out of {output}; '
            f'{SKIPPED} there says why.',
            AstroClipWarning,
        )
    return Pairs(output)


def _captions(row, columns):
    captions = []
    for kind, column in columns.items():
        texts = row.get(column)
        texts = [texts] if isinstance(texts, str) else texts or []
        for text in texts:
            text = ' '.join(str(text).split())
            if kind == 'abstract' and text and row.get('category'):
                text = f'Category: {row["category"]}. {text}'
            if text:
                captions.append({'kind': kind, 'text': text})
    return captions


def _caption_id(pair):
    """All images of an abstract share a caption; others by their text."""
    kinds = {caption['kind'] for caption in pair['captions']}
    if 'proposal_id' in pair and kinds & {'abstract', 'summary', 'concept'}:
        return f'proposal {pair["proposal_id"]}'
    return pair['captions'][0]['text'].casefold()


def _prepare(pairs, output, config, skipped, progress):
    """Read every image, pad it if wanted; numbers of the good ones."""
    from astroclip_search.images import render

    if config.padded:
        (output / 'images').mkdir(exist_ok=True)

    def prepare(pair):
        try:
            if not config.padded:
                # Reads every pixel, at a reduced scale.
                render(pair['image'], size=32)
                path = Path(pair['image'])
            else:
                path = output / 'images' / f'{_safe(pair["id"])}.jpg'
                _pad(pair['image'], path, config.padded)
        except AstroClipError as exc:
            return str(exc)
        try:
            relative = os.path.relpath(path, output)
        except ValueError:  # another drive
            relative = path.resolve()
        pair['image'] = Path(relative).as_posix()
        return None

    kept = []
    with (
        ThreadPoolExecutor(conf.workers or os.cpu_count()) as pool,
        progress_bar(
            total=len(pairs), show=progress, desc='pairs', unit='image'
        ) as bar,
    ):
        for i, error in enumerate(pool.map(prepare, pairs)):
            if error is None:
                kept.append(i)
            else:
                skipped.append({'id': pairs[i]['id'], 'reason': error})
            bar.update()
    return kept


def _safe(name):
    return ''.join(c if c.isalnum() or c in '-_.' else '_' for c in name)


def _pad(source, path, side):
    """Bring the longest side to ``side`` with Lanczos, centre on black."""
    from PIL import Image, ImageOps

    from astroclip_search.images import read_image, render

    image = read_image(source)
    if image.is_rgb:
        data = image.data[::-1] if image.origin == 'lower' else image.data
        picture = ImageOps.pad(
            Image.fromarray(np.ascontiguousarray(data)),
            (side, side),
            method=Image.Resampling.LANCZOS,
        )
    else:
        picture = Image.fromarray(render(image, size=side, fit='pad'))
    try:
        picture.save(path, quality=95, subsampling=0)
    except OSError as exc:
        path.unlink(missing_ok=True)
        msg = f'{path} cannot be written ({exc}); make room and start again.'
        raise TrainingError(msg) from exc


def _split(pairs, together, config):
    """Give each pair its part; return the group of each."""
    position = np.array(
        [[p.get('s_ra', np.nan), p.get('s_dec', np.nan)] for p in pairs],
        dtype=float,
    )
    sky = None
    if config.split_radius is not None and np.isfinite(position).any():
        # Declinations out of range are no positions.
        position[~(np.abs(position[:, 1]) <= 90)] = np.nan
        sky = SkyCoord(*position.T, unit=u.deg)
    groups = find_groups(
        [pair.get('proposal_id') for pair in pairs],
        coordinates=sky,
        radius=(config.split_radius or 0) * u.arcmin,
        also=together,
    )
    if all(pair['part'] in PARTS for pair in pairs):
        return groups
    parts = split_groups(
        groups,
        keys=[pair['id'] for pair in pairs],
        validation=config.validation,
        test=config.test,
        seed=config.seed,
    )
    for pair, part in zip(pairs, parts, strict=True):
        pair['part'] = str(part)
    return groups


def _write(output, pairs, groups, skipped, config):
    index = np.zeros(len(pairs), dtype=INDEX_DTYPE)
    captions = {}
    lines = []
    offset = 0
    for i, pair in enumerate(pairs):
        line = json.dumps(pair, ensure_ascii=False) + '\n'
        caption = captions.setdefault(pair['caption_id'], len(captions))
        part = PARTS.index(pair['part'])
        index[i] = (offset, caption, groups[i], part)
        offset += len(line.encode())
        lines.append(line)
    write_text(output / MANIFEST, ''.join(lines))
    write_text(
        output / SKIPPED,
        ''.join(json.dumps(row, ensure_ascii=False) + '\n' for row in skipped),
    )
    np.save(output / INDEX, index)
    info = {
        'version': 1,
        'n': len(pairs),
        'bytes': offset,
        'n_captions': len(captions),
        'n_groups': int(groups.max()) + 1,
        'parts': {
            name: int((index['part'] == i).sum())
            for i, name in enumerate(PARTS)
        },
        'kinds': sorted({c['kind'] for p in pairs for c in p['captions']}),
        'skipped': len(skipped),
        'config': {
            name: asdict(config)[name]
            for name in ('padded', 'validation', 'test', 'split_radius',
                         'seed')
        },
    }  # fmt: skip
    # Written last: only with it the set is complete.
    write_text(output / INFO, json.dumps(info, indent=1))
