# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The commands of training, from abstracts to a measured model."""

import argparse
import json

import pytest
from _sets import write_rows

from astroclip_search.exceptions import AstroClipWarning, TrainingError
from astroclip_search.training import _cli


def _run(*words):
    parser = argparse.ArgumentParser()
    _cli.register(parser.add_subparsers())
    args = parser.parse_args([str(word) for word in words])
    return args.run(args)


def test_from_abstracts_to_a_measured_model(tiny, tmp_path, capsys):
    rows = write_rows(tmp_path / 'images', per_caption=2)
    images = tmp_path / 'images' / 'images.jsonl'
    images.write_text(''.join(json.dumps(row) + '\n' for row in rows))
    proposals = sorted({row['proposal_id'] for row in rows})
    source = tmp_path / 'source.jsonl'
    source.write_text(
        ''.join(
            json.dumps(
                {
                    'proposal_id': p,
                    'category': 'STARS',
                    'abstract': f'We study spiral galaxies number {p}.',
                }
            )
            + '\n'
            for p in proposals
        )
    )
    abstracts, summaries = tmp_path / 'a.csv', tmp_path / 's.jsonl'
    assert _run('abstracts', source, abstracts) == 0
    with pytest.warns(AstroClipWarning, match='extractive'):
        assert _run('summaries', abstracts, summaries) == 0
    assert (
        _run(
            'pairs', images, tmp_path / 'p', '--abstracts', summaries,
            '--captions', 'summary', 'abstract', '--set', 'validation=0.2',
            'test=0.2',
        )
        == 0
    )  # fmt: skip
    settings = (
        '--set', f'model={tiny}', 'steps=2', 'batch_size=4', 'warmup=1',
        'evaluate_every=2',
    )  # fmt: skip
    assert _run('train', tmp_path / 'p', tmp_path / 'r', *settings) == 0
    assert (
        _run(
            'evaluate', tmp_path / 'r' / 'model', tmp_path / 'p', '--part',
            'all', '--base', tiny, '--output', tmp_path / 'e',
        )
        == 0
    )  # fmt: skip
    said = capsys.readouterr().out
    assert f'{len(proposals)} abstracts' in said
    assert '24 images' in said
    assert 'step' in said
    assert 'top 10 % of base' in said
    assert (tmp_path / 'e' / 'report.html').exists()


def test_settings(tmp_path):
    file = tmp_path / 'config.json'
    file.write_text('{"batch_size": 7, "steps": 9}')
    args = argparse.Namespace(
        preset='paperclip', config=file, settings=['steps=11', 'loss=sigmoid']
    )
    config = _cli._config(args)
    assert (config.batch_size, config.steps, config.loss) == (7, 11, 'sigmoid')
    assert config.padded == 512
    args.settings = ['nonsense=1']
    with pytest.raises(TrainingError, match='nonsense'):
        _cli._config(args)
