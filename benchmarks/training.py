# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Speed, memory and exactness of training.

    python benchmarks/training.py speed     # against open_clip_train
    python benchmarks/training.py memory    # a set 10 times larger
    python benchmarks/training.py schema    # 100 abstracts, random weights
    python benchmarks/training.py kill      # 5 kills at random moments

Run with one thread (OMP_NUM_THREADS=1). Times are of the CPU, which other
work on the machine hardly changes; on a GPU use wall time.
"""

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import types
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'tests'), str(ROOT / 'tests' / 'training')]

from _sets import small_config, small_set, write_rows  # noqa: E402
from _tiny import tiny_bundle  # noqa: E402

# A ViT of the paper's shape, smaller so that two cores do.
CFG = {
    'embed_dim': 256,
    'quick_gelu': True,
    'vision_cfg': {
        'image_size': 224, 'layers': 4, 'width': 256, 'head_width': 64,
        'patch_size': 16,
    },
    'text_cfg': {
        'context_length': 77, 'vocab_size': 49408, 'width': 256, 'heads': 4,
        'layers': 4,
    },
}  # fmt: skip


def _bundle(path, cfg):
    from astroclip_search.embedding._torchvision import import_open_clip
    from astroclip_search.embedding.bundles import write_bundle

    model = import_open_clip().model.CLIP(**cfg)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        write_bundle(
            path, model_cfg=cfg, preprocess_cfg={'resize_mode': 'longest'},
            state_dict=model.state_dict(), tokenizer_files=None,
            info={'name': 'vit'},
        )  # fmt: skip
    return path


def _theirs(model, pairs, size, batch, steps):
    """A function that does steps with open_clip_train's own loop."""
    import torch
    from open_clip import image_transform
    from open_clip.loss import ClipLoss
    from open_clip_train.train import train_one_epoch
    from PIL import Image

    from astroclip_search.embedding._text import clip_tokenizer_json  # noqa: F401
    from astroclip_search.embedding._torchvision import import_open_clip

    tokenizer = import_open_clip().get_tokenizer('ViT-B-16')
    transform = image_transform(size, is_train=False, resize_mode='longest')
    rows = pairs.part('train')

    class Data(torch.utils.data.Dataset):
        def __len__(self):
            return batch * steps

        def __getitem__(self, i):
            pair = pairs[rows[i % len(rows)]]
            with Image.open(pairs.image(pair)) as image:
                pixels = transform(image)
            return pixels, tokenizer([pair['captions'][0]['text']])[0]

    loader = torch.utils.data.DataLoader(Data(), batch_size=batch)
    loader.num_batches, loader.num_samples = steps, batch * steps
    info = types.SimpleNamespace(dataloader=loader, set_epoch=lambda e: None)
    args = types.SimpleNamespace(
        device='cpu', precision='fp32', distill=False, accum_freq=1,
        skip_scheduler=True, horovod=False, grad_clip_norm=1.0, rank=0,
        log_every_n_steps=100, world_size=1, batch_size=batch, wandb=False,
        local_rank=0, log_local=False,
    )  # fmt: skip
    model.output_dict = True
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    return lambda: train_one_epoch(
        model, {'train': info}, ClipLoss(), 0, optimizer, None, None, None,
        args,
    )  # fmt: skip


def speed(folder, batch=16, steps=3, repeats=7):
    import torch

    from astroclip_search.embedding.backends import load_open_clip
    from astroclip_search.training import _fine_tune
    from astroclip_search.training._data import loader
    from astroclip_search.training._distributed import World

    torch.set_num_threads(1)
    pairs = small_set(folder, per_caption=6)
    path = _bundle(folder / 'vit', CFG)
    config = small_config(
        path, batch_size=batch, steps=steps, average=None, augmentation='none'
    )
    world = World(0, 1, 'cpu', False)
    run = _fine_tune._Run(pairs, folder / 'r', config, world, 0, False)

    def ours():
        batches = loader(run.dataset, run._items(0))
        for step, made in enumerate(batches):
            run._step(made, step)

    model, _, rendering = load_open_clip(path, device='cpu')
    theirs = _theirs(model, pairs, rendering.size, batch, steps)
    ratios, rates = [], []
    for repeat in range(repeats + 1):
        spent = {}
        order = [('ours', ours), ('theirs', theirs)]
        for name, function in order[:: 1 if repeat % 2 else -1]:
            start = time.process_time()
            function()
            spent[name] = time.process_time() - start
        if repeat:  # the first is to warm up
            ratios.append(spent['theirs'] / spent['ours'])
            rates.append(batch * steps / spent['ours'])
    return {
        'ratio_median': statistics.median(ratios),
        'ratios': [round(r, 3) for r in ratios],
        'images_per_cpu_second': statistics.median(rates),
    }


def _peak(folder, name, copies):
    """Peak memory (MB) of a process that trains on so many copies."""
    from astroclip_search.training import TrainingConfig, build_pairs

    rows = write_rows(folder / 'images')
    rows = [
        {**row, 'id': f'{row["id"]}-{i}', 'proposal_id': f'{i}-{j}',
         's_ra': None}
        for i in range(copies)
        for j, row in enumerate(rows)
    ]  # fmt: skip
    from unittest import mock

    with mock.patch('astroclip_search.images.render'):  # read once is enough
        build_pairs(
            rows, folder / name, root=folder / 'images',
            config=TrainingConfig(validation=20 / len(rows), test=0.0),
        )  # fmt: skip
    config = small_config(
        folder / 'tiny', steps=20, evaluate_every=20, batch_size=16
    )
    (folder / 'c.json').write_text(config.to_json())
    script = (
        'import sys, resource\n'
        'from pathlib import Path\n'
        'from astroclip_search.training import *\n'
        'fine_tune(sys.argv[1], output=sys.argv[2], device="cpu", config='
        'TrainingConfig.from_json(Path(sys.argv[3]).read_text()))\n'
        'print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', script, str(folder / name),
         str(folder / f'{name}-run'), str(folder / 'c.json')],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return len(rows), float(done.stdout.split()[-1])


def memory(folder):
    tiny_bundle(folder / 'tiny')
    small = _peak(folder, 'small', 66)
    large = _peak(folder, 'large', 660)
    return {
        'images': [small[0], large[0]],
        'peak_MB': [round(small[1]), round(large[1])],
        'growth_percent': round(100 * (large[1] / small[1] - 1), 2),
    }


def schema(folder, n=100):
    import outlines
    from test_summaries import check_schema, random_language_model

    from astroclip_search.training.language import OutlinesModel
    from astroclip_search.training.summaries import PROMPT, SCHEMA

    path = ROOT.parent / 'shared/data/abstracts/hst_abstracts.jsonl'
    texts = [json.loads(x)['abstract'] for x in path.read_text().splitlines()]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        model = OutlinesModel(
            outlines.from_transformers(*random_language_model(texts)),
            name='random',
        )
        start, cpu = time.perf_counter(), time.process_time()
        for text in texts[:n]:
            check_schema(model.generate(PROMPT.format(abstract=text), SCHEMA))
    return {
        'abstracts': len(texts[:n]),
        'valid': len(texts[:n]),
        'seconds': round(time.perf_counter() - start, 1),
        'cpu_seconds': round(time.process_time() - cpu, 1),
    }


def kill(folder, kills=5, steps=40):
    import torch
    from test_fine_tune import _checkpoint_of, _kill_and_resume

    from astroclip_search.training import fine_tune

    torch.set_num_threads(1)
    pairs = small_set(folder, per_caption=6)
    config = small_config(
        tiny_bundle(folder / 'tiny'), steps=steps, evaluate_every=7, keep=2
    )
    fine_tune(pairs, output=folder / 'whole', config=config, device='cpu')
    expected = _checkpoint_of(folder / 'whole', steps)
    rng = random.Random()
    moments = []
    for i in range(kills):
        moments.append(rng.randrange(2, steps - 5))
        _kill_and_resume(pairs, folder / f'run{i}', config, moments[-1])
        found = _checkpoint_of(folder / f'run{i}', steps)
        equal = all(torch.equal(v, found[k]) for k, v in expected.items())
        if not equal:
            return {'killed_after_rows': moments, 'equal': False}
    return {'killed_after_rows': moments, 'equal': True}


def main():
    names = {f.__name__: f for f in (speed, memory, schema, kill)}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('what', nargs='+', choices=names)
    for what in parser.parse_args().what:
        with tempfile.TemporaryDirectory() as folder:
            result = names[what](Path(folder))
        print(json.dumps({what: result}))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({'peak_MB': round(peak)}))


if __name__ == '__main__':
    main()
