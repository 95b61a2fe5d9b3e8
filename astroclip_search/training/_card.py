# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The model card of a bundle."""

import json

from astroclip_search.training._files import write_text

__all__ = ['write_card']


def write_card(bundle, info, results):
    """
    Write ``README.md`` into a bundle: what the model is and how it does.

    Parameters
    ----------
    bundle : `~pathlib.Path`
        The bundle.
    info : dict
        Contents of its ``astroclip.json``.
    results : dict
        Results of `evaluate`, as plain JSON types.
    """
    lines = [
        '---',
        'library_name: open_clip',
        f'license: {str(info.get("licence", "other")).lower()}',
        'tags: [astronomy, clip, image-search]',
        '---',
        '',
        f'# {info.get("name", "model")}',
        '',
        'A model for astronomical images and text, made with',
        'astroclip_search.',
        '',
    ]
    if 'parent' in info:
        lines += [f'Trained from `{info["parent"]["name"]}`.', '']
    pairs = info.get('training', {}).get('pairs')
    if pairs:
        lines += [
            (
                f'Trained on {pairs["parts"]["train"]} images '
                f'({pairs["n_captions"]} captions in all, {pairs["n_groups"]} '
                'groups of proposals and patches of sky).'
            ),
            '',
        ]
    lines += [
        f'## Measured on the {results["part"]} part',
        '',
        (
            f'{results["n_images"]} images, {results["n_captions"]} distinct '
            f'captions ({results["kind"]}), {results["n_groups"]} groups; '
            'intervals of 95 % by group.'
        ),
        '',
        '| | image to text | text to image |',
        '|---|---|---|',
    ]
    for name, both in results['retrieval'].items():
        cells = [_cell(both[side]) for side in both]
        lines.append(f'| {name.replace("_", " ")} | {" | ".join(cells)} |')
    for name, both in results['lines'].items():
        cells = [_cell(both[side]) for side in both]
        lines.append(f'| top 10 percent, {name} | {" | ".join(cells)} |')
    lines += [
        '',
        '## Settings',
        '',
        '```json',
        json.dumps(info.get('training', {}).get('config', {}), indent=1),
        '```',
        '',
        '## Citation',
        '',
        (
            'Mishra-Sharma S., Song Y., Thaler J. 2024, PAPERCLIP, '
            'arXiv:2403.08851.'
        ),
        '',
    ]
    write_text(bundle / 'README.md', '\n'.join(lines))


def _cell(value):
    if isinstance(value, dict):
        low, high = value['low'], value['high']
        return f'{value["value"]:.3f} [{low:.3f}, {high:.3f}]'
    return f'{value:.3f}'
