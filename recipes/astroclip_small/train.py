# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Second step: tune the upper parts of both towers on the pairs.

Run as ``python train.py PAIRS WORK [--steps N]`` after ``prepare.py``. Writes
``WORK/model.pt``: the state of the assembled model, and the log of the
validation measures.
"""

import argparse
import copy
import json
import math
import re
import sys
import time
from pathlib import Path

import numpy as np
from pairs import divide, read_pairs
from parents import assemble
from scores import chosen_by, class_queries, scores
from texts import texts_of, true_texts
from towers import make_image_top, make_text_top

__all__ = ['Pairs', 'main']

BATCH = 64
SCALE = 14.0  # factor of the cosines; kept, as larger ones overfit
# Share of the batches that are drawn from some sources alone, so that their
# texts compete with each other.
ALONE = {
    ('galaxyzoo',): 0.2,
    ('zooniverse_guides', 'spacewarps_cfhtls'): 0.2,
}
ALTERNATIVES = 0.5  # weight of texts that are not captions
TOGETHER = 0.6  # from here on the validation rows are trained on as well
RATES = {'image': 2e-4, 'image.proj': 5e-4, 'text': 5e-5, 'text.proj': 2e-4}


class Pairs:
    """Features, captions and truths of the pairs, drawn in batches."""

    def __init__(self, folder, work):
        work = Path(work)
        self.rows = read_pairs(folder)
        self.parts = divide(self.rows)
        stored = np.load(work / 'texts.npz')
        self.number = {t: i for i, t in enumerate(stored['texts'].tolist())}
        self.hidden = np.split(stored['hidden'], stored['ends'][:-1])
        self.views = np.load(work / 'views.npy', mmap_mode='r')
        self.clean = np.load(work / 'clean.npy', mmap_mode='r')
        index = np.array(json.loads((work / 'views.json').read_text()))
        self.views_of = [
            np.flatnonzero(index == i) for i in range(len(self.rows))
        ]
        self.caption = [self.number[row['caption']] for row in self.rows]
        self.others = [
            [self.number[t] for t in texts_of(r)] for r in self.rows
        ]
        self.truth = [
            {self.number[t] for t in true_texts(row)} for row in self.rows
        ]
        # The names of lens candidates say nothing: their grade and field do.
        keys = [re.sub(r'CFHTLS J\S+', '', r['caption']) for r in self.rows]
        self.key = np.unique(keys, return_inverse=True)[1]
        self.source = np.array([row['source'] for row in self.rows])
        # Galaxy Zoo asked a few questions of each picture: of the other
        # statements nothing is known.
        self.open_text = np.zeros(len(self.number), dtype=bool)
        for i in np.flatnonzero(self.source == 'galaxyzoo'):
            self.open_text[list(self.truth[i])] = True

    def chances(self, rows):
        """Chance of each row: rare captions and small sources gain."""

        def rarity(values, power):
            _, index, n = np.unique(
                values, return_inverse=True, return_counts=True
            )
            return n[index] ** -power

        chance = rarity(self.key[rows], 0.3) * rarity(self.source[rows], 0.25)
        return chance / chance.sum()

    def draw(self, rows, rng):
        """Draw a batch: rows, views, captions and other texts."""
        pool, draw = rows, rng.random()
        for sources, share in ALONE.items():
            if 0 <= draw < share:
                pool = rows[np.isin(self.source[rows], sources)]
            draw -= share
        batch = rng.choice(pool, BATCH, p=self.chances(pool))
        views = [rng.choice(self.views_of[i]) for i in batch]
        others = [rng.choice(self.others[i]) for i in batch]
        return batch, views, [self.caption[i] for i in batch], others


def _contrast(logits, positive, ignore=None):
    """Cross-entropy both ways, uniform over the positives (UniCL)."""
    target = positive.float()
    if ignore is not None:
        logits = logits.masked_fill(ignore, -1e4)
    rows = target / target.sum(1, keepdim=True)
    columns = target / target.sum(0, keepdim=True)
    return (
        -(
            (rows * logits.log_softmax(1)).sum(1).mean()
            + (columns * logits.log_softmax(0)).sum(0).mean()
        )
        / 2
    )


def _encode(tower, hidden, size=32):
    """Encode texts, those of like length together."""
    import torch

    order = sorted(range(len(hidden)), key=lambda i: len(hidden[i]))
    parts = [
        tower([hidden[i] for i in order[k : k + size]])
        for k in range(0, len(order), size)
    ]
    return torch.cat(parts)[torch.tensor(order).argsort()]


def _loss(pairs, image_top, text_top, drawn):
    import torch

    batch, views, captions, others = drawn
    x = torch.from_numpy(pairs.views[np.array(views)]).float()
    images = image_top(x.to(memory_format=torch.channels_last))
    wanted = sorted({*captions, *others})
    texts = _encode(text_top, [pairs.hidden[t] for t in wanted])
    at = {t: k for k, t in enumerate(wanted)}
    logits = SCALE * images @ texts.T
    key = torch.from_numpy(pairs.key[batch])
    loss = _contrast(logits[:, [at[t] for t in captions]], key[:, None] == key)
    positive = torch.tensor(
        [[t in pairs.truth[i] for t in others] for i in batch]
    )
    zoo = torch.from_numpy(pairs.source[batch] == 'galaxyzoo')
    unknown = zoo[:, None] & torch.from_numpy(pairs.open_text[others])
    other = _contrast(
        logits[:, [at[t] for t in others]], positive, unknown & ~positive
    )
    return loss + ALTERNATIVES * other


def validate(pairs, image_top, text_top, part):
    """Measures of a part of the rows."""
    import torch

    rows = np.flatnonzero(pairs.parts == part)
    image_top.eval(), text_top.eval()
    with torch.inference_mode():
        images = torch.cat(
            [
                image_top(
                    torch.from_numpy(pairs.clean[rows[k : k + 64]]).float()
                )
                for k in range(0, len(rows), 64)
            ]
        ).numpy()
        wanted = sorted({pairs.caption[i] for i in rows} | pairs.queries)
        vectors = _encode(text_top, [pairs.hidden[t] for t in wanted]).numpy()
    of = dict(zip(wanted, vectors, strict=True))
    return scores(
        [pairs.rows[i] for i in rows], images, lambda t: of[pairs.number[t]]
    )


def _average(mean, model, decay):
    import torch

    with torch.no_grad():
        for a, b in zip(mean.parameters(), model.parameters(), strict=True):
            a.lerp_(b, 1 - decay)


def main(arguments=None):
    """Train, and write the state of the model."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('pairs')
    parser.add_argument('work', type=Path)
    parser.add_argument('--steps', type=int, default=500)
    parser.add_argument('--every', type=int, default=75)
    parser.add_argument('--start', type=Path, help='trained projections')
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args(arguments)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    pairs = Pairs(options.pairs, options.work)
    pairs.queries = {pairs.number[text] for text in class_queries()}
    model = assemble()
    if options.start:
        start = np.load(options.start)
        model.visual.head.proj.weight.data = torch.tensor(start['wi'])
        model.text.proj.weight.data = torch.tensor(start['wt'])
    tops = {'image': make_image_top(model), 'text': make_text_top(model)}
    tops['image'].to(memory_format=torch.channels_last)
    groups = []
    for name, top in tops.items():
        for part, rate in RATES.items():
            if part.split('.')[0] != name:
                continue
            head = part.endswith('proj')
            chosen = [
                p for n, p in top.named_parameters()
                if n.startswith('proj.') == head
            ]  # fmt: skip
            groups.append({'params': chosen, 'lr': rate})
    optimiser = torch.optim.AdamW(groups, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda s: min(
            (s + 1) / 40,
            0.02 + 0.49 * (1 + math.cos(math.pi * s / options.steps)),
        ),
    )
    means = copy.deepcopy(tops)
    alone = np.flatnonzero(pairs.parts == 'train')
    both = np.flatnonzero(pairs.parts != 'test')
    log, began, mean = [], time.time(), 0.0
    for step in range(options.steps):
        for top in tops.values():
            top.train()
        rows = alone if step < TOGETHER * options.steps else both
        loss = _loss(pairs, tops['image'], tops['text'], pairs.draw(rows, rng))
        if not torch.isfinite(loss):
            raise SystemExit(f'The loss is not finite at step {step}.')
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(
            [p for g in groups for p in g['params']], 5.0
        )
        optimiser.step()
        schedule.step()
        for name, top in tops.items():
            _average(means[name], top, min(0.99, (1 + step) / (10 + step)))
        mean += (loss.item() - mean) / min(step + 1, 30)
        if step % options.every == options.every - 1:
            result = validate(pairs, *means.values(), 'validation')
            entry = {k: round(v.value, 4) for k, v in result.items()}
            entry |= {'step': step + 1, 'loss': round(mean, 4)}
            entry |= {'choice': round(chosen_by(result), 4)}
            entry |= {'seconds': round(time.time() - began)}
            log.append(entry)
            sys.stderr.write(json.dumps(entry) + '\n')
        elif step % 15 == 0:
            sys.stderr.write(
                f'{step} {mean:.3f} {time.time() - began:.0f} s\n'
            )
    for top in means.values():
        top.write_into(model)
    model.logit_scale.data.fill_(math.log(SCALE))
    torch.save(model.state_dict(), options.work / 'model.pt')
    (options.work / 'log.json').write_text(json.dumps(log, indent=1))


if __name__ == '__main__':
    main()
