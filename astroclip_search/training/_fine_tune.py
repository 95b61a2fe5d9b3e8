# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The training loop."""

import contextlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from astroclip_search._progress import progress_bar
from astroclip_search.exceptions import TrainingError
from astroclip_search.training import _checkpoint
from astroclip_search.training._bundle import save_model
from astroclip_search.training._data import Batches, PairDataset, loader
from astroclip_search.training._distributed import World
from astroclip_search.training._features import tower_features
from astroclip_search.training._files import write_text
from astroclip_search.training._learner import Learner
from astroclip_search.training._log import Log
from astroclip_search.training._step import contrastive_step
from astroclip_search.training._validate import Validation
from astroclip_search.training.config import TrainingConfig
from astroclip_search.training.pairs import Pairs

__all__ = ['TrainedModel', 'fine_tune']


@dataclass(frozen=True)
class TrainedModel:
    """
    What `fine_tune` returns.

    Attributes
    ----------
    path : `~pathlib.Path`
        Bundle of the best weights; ``Embedder.from_pretrained(path)``.
    step : int
        Step they are of.
    steps : int
        Steps that were done.
    metrics : dict
        Results of the last validation.
    log : `~pathlib.Path`
        CSV file of the run.
    """

    path: Path
    step: int
    steps: int
    metrics: dict = field(default_factory=dict)
    log: Path | None = None


def fine_tune(
    pairs,
    *,
    output,
    config=None,
    resume=False,
    device=None,
    workers=0,
    progress=None,
):
    """
    Train a model on pairs.

    A run started by ``torchrun`` shares the work among its processes. A run
    that was interrupted, however, goes on with ``resume=True`` as if it had
    not been; on a CPU the weights are then equal bit for bit.

    Parameters
    ----------
    pairs : `Pairs` or path-like
        What to train on.
    output : path-like
        Directory of the run: ``run.json``, ``log.csv``, ``tensorboard/``,
        ``checkpoints/`` and, in the end, the bundle ``model/``.
    config : `TrainingConfig`, optional
        The settings.
    resume : bool, optional
        Whether to go on with the run in ``output``.
    device : str, optional
        ``'auto'``, ``'cpu'`` or ``'cuda'``. The default is ``conf.device``.
    workers : int, optional
        Processes that read and augment images; 0 does so in between.
    progress : bool, optional
        Whether to show a progress bar. The default is ``conf.progress``.

    Returns
    -------
    result : `TrainedModel`
        Where the model is and how it did.

    Raises
    ------
    TrainingError
        If settings, pairs or directory do not fit, an image cannot be read,
        the loss is not finite (the pairs are named), or the disk is full.
        Checkpoints written before stay intact.
    ModelError
        If there is no such model.
    """
    import torch

    from astroclip_search.config import conf

    config = TrainingConfig() if config is None else config
    pairs = pairs if isinstance(pairs, Pairs) else Pairs(pairs)
    output = Path(output)
    world = World.join(conf.device if device is None else device)
    try:
        _check_batch(config, world)
        if world.rank == 0:
            _enter(output, config, pairs, resume)
        world.barrier()
        gpus = [world.device] if world.device != 'cpu' else []
        with torch.random.fork_rng(gpus):
            run = _Run(pairs, output, config, world, workers, progress)
            return run.train()
    finally:
        world.close()


def _check_batch(config, world):
    if config.batch_size % world.size:
        msg = (
            f'batch_size={config.batch_size} cannot be shared equally by '
            f'{world.size} processes.'
        )
        raise TrainingError(msg)


def _enter(output, config, pairs, resume):
    """Make the directory of a run, or check that it is the right one."""
    record = {
        'config': json.loads(config.to_json()),
        'pairs': {key: pairs.info[key] for key in ('n', 'bytes', 'parts')},
    }
    path = output / 'run.json'
    if not resume:
        if path.exists() or (output / 'checkpoints').exists():
            msg = (
                f'{output} holds a run already; go on with resume=True, or '
                'name another directory.'
            )
            raise TrainingError(msg)
        output.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(record, indent=1))
        return
    if not path.exists():
        msg = f'{output} holds no run (run.json is missing) to resume.'
        raise TrainingError(msg)
    before = json.loads(path.read_text('utf-8'))
    for part, values in record.items():
        differing = [
            f'{key} (was {before[part].get(key)!r}, is {value!r})'
            for key, value in values.items()
            if before[part].get(key) != value
        ]
        if differing:
            msg = (
                f'{output} holds another run: its {part} differ in '
                f'{", ".join(differing)}. Use the same, or a new directory.'
            )
            raise TrainingError(msg)


class _Run:
    """A run and all that it needs."""

    def __init__(self, pairs, output, config, world, workers, show):
        import torch

        self.pairs, self.output, self.config = pairs, output, config
        self.world, self.workers = world, workers
        self.show = False if world.rank else show
        self.folder = output / 'checkpoints'
        self.learner = Learner(config, world.device)
        self.batches = Batches(pairs, config)
        self.optimizer = torch.optim.AdamW(
            self._groups(),
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
        )
        self.average = None
        if config.average is not None:
            self.average = {
                name: value.detach().clone()
                for name, value in self.learner.trained.items()
            }
        self.dataset = self._dataset(config, 'train')
        seen = config if config.validation_augmented else config.replace(
            augmentation='none', views=1
        )  # fmt: skip
        self.validation = Validation(
            self._dataset(seen, 'validation'), config, workers
        )

    def _groups(self):
        """Parameters by factor of the rate and by whether they decay."""
        groups = {}
        for name, parameter in self.learner.trained.items():
            decays = self.config.decay_all or parameter.ndim > 1
            key = (self.learner.factors[name], decays)
            groups.setdefault(key, []).append(parameter)
        return [
            {
                'params': parameters,
                'factor': factor,
                'weight_decay': self.config.weight_decay if decays else 0.0,
            }
            for (factor, decays), parameters in groups.items()
        ]

    def _dataset(self, config, part):
        learner = self.learner
        dataset = PairDataset(
            self.pairs,
            config,
            learner.source.tokenizer(),
            learner.source.rendering,
        )
        if config.views is None:
            return dataset
        for tower in ('image', 'text'):
            # Texts of validation are few, and drawn by caption.
            if learner.frozen(tower) and (part, tower) != (
                'validation', 'text'
            ):  # fmt: skip
                path = self.output / 'features' / f'{part}-{tower}.npy'
                make = (
                    learner, dataset, self.pairs.part(part), config.views,
                    tower, path,
                )  # fmt: skip
                if self.world.rank == 0:
                    tower_features(*make, show=self.show)
                self.world.barrier()
                setattr(dataset, f'{tower}s', tower_features(*make))
        return dataset

    def _items(self, start):
        """Epoch and row of what this process has in each step."""
        share = self.config.batch_size // self.world.size
        first = self.world.rank * share
        for step in range(start, self.config.steps):
            epoch, rows = self.batches(step)
            yield [(epoch, row) for row in rows[first : first + share]]

    def train(self):
        """Train to the end, or until there is nothing to gain."""
        state = _checkpoint.Progress()
        start = _checkpoint.latest_step(self.folder)
        if start is not None:
            state = self._read(start, self.optimizer)
        bar = progress_bar(
            total=self.config.steps,
            initial=start or 0,
            show=self.show,
            unit='step',
        )
        with contextlib.ExitStack() as stack:
            stack.enter_context(bar)
            log = None
            if self.world.rank == 0:
                log = Log(self.output, 0 if start is None else start + 1)
                stack.callback(log.close)
            self._loop(state, start, log, bar)
        return self._finish(state)

    def _loop(self, state, start, log, bar):
        """Evaluate, log, write a checkpoint, do a step; over and over."""
        config, learner, world = self.config, self.learner, self.world
        batches = iter(
            loader(self.dataset, self._items(start or 0), workers=self.workers)
        )
        clock, done = time.perf_counter(), 0
        for step in range(start or 0, config.steps + 1):
            state.step = step
            last = step == config.steps
            if (last or step % config.evaluate_every == 0) and step != start:
                self._evaluate(state)
                if log is not None:
                    log.add(
                        step,
                        epoch=step // self.batches.steps_per_epoch,
                        logit_scale=learner.logit_scale,
                        **state.metrics,
                    )
                    self._write(state)
                world.barrier()
                clock, done = time.perf_counter(), 0
            if last or self._waited_enough(state):
                return
            rate = config.rate(step)
            for group in self.optimizer.param_groups:
                group['lr'] = rate * group['factor']
            loss = self._step(next(batches), step)
            done += config.batch_size
            speed = done / (time.perf_counter() - clock)
            bar.update()
            bar.set_postfix_str(f'loss {loss:.3f}, {speed:.1f} images/s')
            if log is not None:
                log.add(step, loss=loss, rate=rate, images_per_second=speed)

    def _step(self, batch, step):
        import torch

        config, trained = self.config, self.learner.trained
        self.optimizer.zero_grad(set_to_none=True)
        seed = (config.seed * 1_000_003 + step * 4_099) % 2**63
        loss = contrastive_step(self.learner, batch, self.world, seed=seed)
        if config.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(
                trained.values(), config.gradient_clip
            )
        self.optimizer.step()
        self.learner.clamp()
        if self.average is not None:
            # Early on, the average must not cling to the start.
            decay = min(config.average, (1 + step) / (10 + step))
            torch._foreach_lerp_(
                list(self.average.values()),
                [value.detach() for value in trained.values()],
                1 - decay,
            )
        return loss

    def _evaluate(self, state):
        """Validate (the first process, for all) and judge."""
        import torch

        values = torch.zeros(3, dtype=torch.float64)
        names = (
            'validation_loss', 'top_10_percent_image_to_text',
            'top_10_percent_text_to_image',
        )  # fmt: skip
        if self.world.rank == 0:
            with self._averaged():
                results = self.validation(self.learner)
            values = torch.tensor([results[n] for n in names]).double()
        values = self.world.gather(values.to(self.learner.device))[:3]
        state.metrics = dict(zip(names, values.tolist(), strict=True))
        value = (
            values[0] if self.config.select == 'loss' else -values[1:].sum()
        )
        state.judge(float(value))

    @contextlib.contextmanager
    def _averaged(self):
        """Context in which the model has the averaged weights."""
        trained = self.learner.trained
        own = {k: v.detach().clone() for k, v in trained.items()}
        _assign(trained, self.average or {})
        try:
            yield
        finally:
            _assign(trained, own)

    def _waited_enough(self, state):
        patience = self.config.patience
        return patience is not None and state.waited >= patience

    def _write(self, state):
        _checkpoint.write(
            self.folder,
            state,
            learner=self.learner,
            optimizer=self.optimizer,
            average=self.average,
            keep=self.config.keep,
        )

    def _read(self, step, optimizer=None):
        return _checkpoint.read(
            self.folder,
            step,
            learner=self.learner,
            optimizer=optimizer,
            average=self.average,
        )

    def _finish(self, state):
        """Write the best weights as a bundle."""
        best = self._read(state.best_step)
        path = self.output / 'model'
        if self.world.rank == 0:
            save_model(self.learner, path, pairs=self.pairs, progress=best)
        self.world.barrier()
        return TrainedModel(
            path=path,
            step=state.best_step,
            steps=state.step,
            metrics=best.metrics,
            log=self.output / 'log.csv',
        )


def _assign(parameters, values):
    """Copy values into parameters of the same names."""
    import torch

    with torch.no_grad():
        for name, value in values.items():
            parameters[name].copy_(value)
