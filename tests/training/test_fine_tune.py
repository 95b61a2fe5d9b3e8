# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Whole runs: they learn, survive, share their work, and fail clearly."""

import csv
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from _sets import small_config, small_set
from safetensors.torch import load_file

from astroclip_search import Embedder
from astroclip_search.exceptions import ModelError, TrainingError
from astroclip_search.training import _checkpoint, fine_tune

RUN = Path(__file__).with_name('_run.py')


def _log(run):
    with (run / 'log.csv').open(newline='') as file:
        return list(csv.DictReader(file))


def _losses(run):
    return {int(r['step']): float(r['loss']) for r in _log(run) if r['loss']}


def _checkpoint_of(run, step):
    return load_file(run / 'checkpoints' / f'step-{step:07d}.safetensors')


def _same(one, two):
    assert set(one) == set(two)
    for name, value in one.items():
        assert torch.equal(value, two[name]), name


def test_a_run_learns_and_leaves_a_bundle(tiny, pairs, tmp_path):
    config = small_config(tiny, steps=30, evaluate_every=15, warmup=5)
    result = fine_tune(pairs, output=tmp_path / 'r', config=config)
    losses = list(_losses(tmp_path / 'r').values())
    assert len(losses) == 30
    assert np.mean(losses[-8:]) < np.mean(losses[:8]) - 0.15
    info = json.loads((result.path / 'astroclip.json').read_text())
    assert info['training']['config']['steps'] == 30
    assert info['parent']['name'] == 'tiny'
    embedder = Embedder.from_pretrained(result.path, device='cpu')
    vectors = embedder.embed_text(['a red disc', 'a blue ring'])
    assert np.isfinite(vectors).all()
    parent = Embedder.from_pretrained(tiny, device='cpu')
    assert parent.fingerprint != embedder.fingerprint
    rows = [r for r in _log(tmp_path / 'r') if r['validation_loss']]
    assert [int(r['step']) for r in rows] == [0, 15, 30]
    best = min(rows, key=lambda r: float(r['validation_loss']))
    assert result.step == int(best['step'])
    assert any((tmp_path / 'r' / 'tensorboard').iterdir())


@pytest.mark.parametrize('method', ['head', 'lora', 'scratch'])
def test_other_methods(tiny, pairs, tmp_path, method):
    views = 2 if method == 'head' else None
    config = small_config(
        tiny, method=method, steps=12, evaluate_every=6, views=views,
        average=None,
    )  # fmt: skip
    result = fine_tune(pairs, output=tmp_path / 'r', config=config)
    # The bundle gives what was validated.
    embedder = Embedder.from_pretrained(
        result.path, device='cpu', backend='torch'
    )
    from astroclip_search.training._learner import Learner

    learner = Learner(config, 'cpu')
    _checkpoint.read(
        tmp_path / 'r' / 'checkpoints', result.step, learner=learner
    )
    learner.module.eval()
    text = 'a red disc'
    with torch.no_grad():
        words = torch.from_numpy(
            learner.source.tokenizer().pad(
                [learner.source.tokenizer().encode(text)]
            )
        )
        ours = learner.text_vectors(words).numpy()
    # float16 in the bundle
    assert np.vdot(ours, embedder.embed_text(text)) > 0.9999


def test_kept_features_give_the_same_run(tiny, pairs, tmp_path, monkeypatch):
    from astroclip_search.training._learner import Learner

    config = small_config(tiny, method='head', views=2, steps=6)
    fine_tune(pairs, output=tmp_path / 'a', config=config)
    assert (tmp_path / 'a' / 'features' / 'train-image.npy').exists()
    # The same views, computed anew in every step.
    monkeypatch.setattr(Learner, 'frozen', lambda self, tower: False)
    fine_tune(pairs, output=tmp_path / 'b', config=config)
    assert not (tmp_path / 'b' / 'features').exists()
    assert list(_losses(tmp_path / 'a').values()) == pytest.approx(
        list(_losses(tmp_path / 'b').values()), abs=1e-4
    )


def test_accumulation_gives_the_same_run(tiny, pairs, tmp_path):
    for name, accumulate in (('a', 1), ('b', 4)):
        config = small_config(tiny, accumulate=accumulate)
        fine_tune(pairs, output=tmp_path / name, config=config)
    assert list(_losses(tmp_path / 'a').values()) == pytest.approx(
        list(_losses(tmp_path / 'b').values()), abs=1e-5
    )


def _start(pairs, output, config, *, launcher=()):
    file = output.parent / f'{output.name}.json'
    file.write_text(config.to_json())
    command = [
        sys.executable, *launcher, str(RUN), str(pairs.path), str(output),
        str(file),
    ]  # fmt: skip
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen(command, env=environment)


def _kill_and_resume(pairs, output, config, moment):
    """Kill a run when its log has so many rows; let it go on to the end."""
    process = _start(pairs, output, config)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        log = output / 'log.csv'
        if log.exists() and log.read_text().count('\n') > moment:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, 'it ended before it was killed'
    fine_tune(pairs, output=output, config=config, resume=True, device='cpu')


@pytest.mark.skipif(os.name == 'nt', reason='there is no SIGKILL')
@pytest.mark.parametrize('kills', [1, pytest.param(5, marks=pytest.mark.slow)])
def test_killed_run_goes_on_bit_for_bit(tiny, pairs, tmp_path, kills):
    steps = 24
    config = small_config(tiny, steps=steps, evaluate_every=7, keep=2)
    fine_tune(pairs, output=tmp_path / 'whole', config=config, device='cpu')
    rng = random.Random(kills)
    for kill in range(kills):
        run = tmp_path / f'killed-{kill}'
        _kill_and_resume(pairs, run, config, rng.randrange(2, steps - 5))
        _same(
            _checkpoint_of(tmp_path / 'whole', steps),
            _checkpoint_of(run, steps),
        )
        _same(
            load_file(
                tmp_path / 'whole' / 'model' / 'open_clip_model.safetensors'
            ),
            load_file(run / 'model' / 'open_clip_model.safetensors'),
        )
        # The log has every step once, as if nothing had happened.
        assert _losses(run) == _losses(tmp_path / 'whole')


def _free_port():
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return server.getsockname()[1]


def test_two_processes_equal_one(tiny, pairs, tmp_path):
    config = small_config(tiny, steps=5, evaluate_every=5)
    launcher = (
        '-m', 'torch.distributed.run', '--nproc-per-node=2',
        '--master-addr=127.0.0.1', f'--master-port={_free_port()}',
    )  # fmt: skip
    process = _start(pairs, tmp_path / 'two', config, launcher=launcher)
    fine_tune(pairs, output=tmp_path / 'one', config=config, device='cpu')
    assert process.wait(timeout=120) == 0
    one, two = _losses(tmp_path / 'one'), _losses(tmp_path / 'two')
    assert list(one.values()) == pytest.approx(list(two.values()), abs=1e-5)
    assert len(one) == 5
    for name, value in _checkpoint_of(tmp_path / 'one', 5).items():
        # The bias of attention keys has no gradient but rounding errors,
        # which Adam makes as large as any other.
        if name.startswith('trained/') and 'in_proj_bias' not in name:
            other = _checkpoint_of(tmp_path / 'two', 5)[name]
            assert torch.allclose(value, other, atol=1e-4), name


def test_early_stopping_keeps_the_best(tiny, pairs, tmp_path):
    config = small_config(
        tiny, steps=200, evaluate_every=2, patience=2, learning_rate=0.05,
        warmup=1, average=None, keep=1,
    )  # fmt: skip
    result = fine_tune(pairs, output=tmp_path / 'r', config=config)
    assert result.steps < 200
    assert result.steps == result.step + 2 * 2
    kept = sorted(p.name for p in (tmp_path / 'r' / 'checkpoints').iterdir())
    assert kept == sorted(
        {
            f'step-{result.step:07d}.safetensors',
            f'step-{result.steps:07d}.safetensors',
        }
    )


def test_frozen_statistics_do_not_move(tmp_path, pairs):
    from astroclip_search.training._learner import Learner

    model = tmp_path / 'resnet'
    _resnet_bundle(model)
    learner = Learner(small_config(model), 'cpu')
    before = {n: b.clone() for n, b in learner.module.named_buffers()}
    assert any('running_mean' in name for name in before)
    config = small_config(model, steps=2, evaluate_every=2)
    fine_tune(pairs, output=tmp_path / 'a', config=config)
    after = load_file(tmp_path / 'a' / 'model' / 'open_clip_model.safetensors')
    for name, value in before.items():
        name = name.removeprefix('model.')
        if 'running' in name:
            assert torch.equal(after[name], value.half()), name
    config = small_config(model, steps=2, evaluate_every=1, batch_norm='batch')
    fine_tune(pairs, output=tmp_path / 'b', config=config)
    moved = load_file(tmp_path / 'b' / 'model' / 'open_clip_model.safetensors')
    assert not all(
        torch.equal(moved[n.removeprefix('model.')], v.half())
        for n, v in before.items()
        if 'running' in n
    )


def _resnet_bundle(path):
    import warnings

    from _tiny import TINY_CFG

    from astroclip_search.embedding._torchvision import import_open_clip
    from astroclip_search.embedding.bundles import write_bundle

    cfg = {
        **TINY_CFG,
        'vision_cfg': {
            'image_size': 64, 'layers': [1, 1, 1, 1], 'width': 8,
            'patch_size': None, 'head_width': 32,
        },
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        write_bundle(
            path,
            model_cfg=cfg,
            preprocess_cfg={'resize_mode': 'longest'},
            state_dict=import_open_clip().model.CLIP(**cfg).state_dict(),
            tokenizer_files=None,
            info={'name': 'resnet'},
        )


def test_wrong_directories(tiny, pairs, tmp_path):
    config = small_config(tiny, steps=1, evaluate_every=1)
    with pytest.raises(TrainingError, match='holds no run'):
        fine_tune(pairs, output=tmp_path, config=config, resume=True)
    fine_tune(pairs, output=tmp_path / 'r', config=config)
    with pytest.raises(TrainingError, match='holds a run already'):
        fine_tune(pairs, output=tmp_path / 'r', config=config)
    other = config.replace(learning_rate=0.5)
    with pytest.raises(TrainingError, match=r'learning_rate \(was 0.001'):
        fine_tune(pairs, output=tmp_path / 'r', config=other, resume=True)
    small = small_set(tmp_path / 'small', per_caption=3)
    with pytest.raises(TrainingError, match=r'pairs differ in n \(was 48'):
        fine_tune(small, output=tmp_path / 'r', config=config, resume=True)


def test_unknown_model(pairs, tmp_path):
    with pytest.raises(ModelError, match='no model'):
        fine_tune(pairs, output=tmp_path / 'r', config=small_config('nothing'))


def test_not_finite_loss_stops_and_names_pairs(tiny, pairs, tmp_path):
    config = small_config(
        tiny, steps=50, learning_rate=1e30, warmup=1, evaluate_every=25
    )
    with pytest.raises(TrainingError, match='not finite'):
        fine_tune(pairs, output=tmp_path / 'r', config=config)
    first = _checkpoint_of(tmp_path / 'r', 0)
    assert all(v.isfinite().all() for v in first.values())


def test_full_disk_leaves_earlier_checkpoints(
    tiny, pairs, tmp_path, monkeypatch
):
    import safetensors.torch

    config = small_config(tiny, steps=6, evaluate_every=3)
    save = safetensors.torch.save_file

    def full(tensors, path, metadata=None):
        if 'step-0000003' in str(path):
            Path(path).write_bytes(b'half')
            raise OSError(28, 'No space left on device')
        save(tensors, path, metadata=metadata)

    monkeypatch.setattr(safetensors.torch, 'save_file', full)
    with pytest.raises(TrainingError, match='No space left'):
        fine_tune(pairs, output=tmp_path / 'r', config=config)
    files = [p.name for p in (tmp_path / 'r' / 'checkpoints').iterdir()]
    assert files == ['step-0000000.safetensors']
    monkeypatch.undo()
    result = fine_tune(
        pairs, output=tmp_path / 'r', config=config, resume=True
    )
    assert result.steps == 6


def test_damaged_checkpoint_is_named(tiny, pairs, tmp_path):
    config = small_config(tiny, steps=1, evaluate_every=1)
    fine_tune(pairs, output=tmp_path / 'r', config=config)
    path = tmp_path / 'r' / 'checkpoints' / 'step-0000001.safetensors'
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TrainingError, match=r'step-0000001.*cannot be read'):
        fine_tune(pairs, output=tmp_path / 'r', config=config, resume=True)


def test_processes_must_share_the_batch(tiny, pairs, tmp_path, monkeypatch):
    from astroclip_search.training import _fine_tune

    monkeypatch.setattr(
        _fine_tune.World,
        'join',
        lambda device: _fine_tune.World(0, 3, 'cpu', False),
    )
    with pytest.raises(TrainingError, match='batch_size=8 cannot be shared'):
        fine_tune(pairs, output=tmp_path / 'r', config=small_config(tiny))
