# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Checkpoints: all that a run needs to go on as if it had not stopped.

One safetensors file each, written beside and moved into place: what is
trained, its moving average, the moments of the optimiser and the state of
torch's generator are tensors; step, schedule and sampler (which are functions
of seed and step) and the record of validations are JSON in its header.
"""

import json
import re
from dataclasses import dataclass, field

from astroclip_search.exceptions import TrainingError
from astroclip_search.training._files import replacing

__all__ = ['Progress', 'latest_step', 'read', 'write']

_NAME = re.compile(r'step-(\d+)\.safetensors')


@dataclass
class Progress:
    """
    How far a run is.

    Attributes
    ----------
    step : int
        Steps done.
    best : float or None
        Best value of what is selected by; lower is better.
    best_step : int
        Step of the best value.
    waited : int
        Validations since then.
    metrics : dict
        Results of the last validation.
    """

    step: int = 0
    best: float | None = None
    best_step: int = 0
    waited: int = 0
    metrics: dict = field(default_factory=dict)

    def judge(self, value):
        """Take note of a validation; return whether it is the best."""
        if self.best is None or value < self.best:
            self.best, self.best_step, self.waited = value, self.step, 0
            return True
        self.waited += 1
        return False


def _path(folder, step):
    return folder / f'step-{step:07d}.safetensors'


def _steps(folder):
    found = (_NAME.fullmatch(path.name) for path in folder.glob('step-*'))
    return sorted(int(match[1]) for match in found if match)


def latest_step(folder):
    """Step of the latest checkpoint in a folder, or None."""
    steps = _steps(folder)
    return steps[-1] if steps else None


def _buffers(learner):
    """Statistics that change in training, by name."""
    if learner.config.batch_norm == 'frozen':
        return {}
    return dict(learner.module.named_buffers())


def write(folder, progress, *, learner, optimizer, average, keep):
    """
    Write a checkpoint, then remove those no longer wanted.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Folder of checkpoints.
    progress : `Progress`
        How far the run is.
    learner : `Learner`
        The model.
    optimizer : `torch.optim.Optimizer`
        The optimiser.
    average : dict of str to `torch.Tensor` or None
        Moving average of the weights.
    keep : int
        Latest checkpoints to keep; the best is kept as well.

    Raises
    ------
    TrainingError
        If it cannot be written; earlier ones are intact.
    """
    import torch
    from safetensors.torch import save_file

    tensors = {'generator': torch.get_rng_state()}
    for name, parameter in learner.trained.items():
        tensors[f'trained/{name}'] = parameter.detach()
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f'optimizer/{key}/{name}'] = torch.as_tensor(value)
    for kind, values in (
        ('average', average or {}),
        ('buffer', _buffers(learner)),
    ):
        tensors.update({f'{kind}/{k}': v for k, v in values.items()})
    tensors = {k: v.cpu().contiguous() for k, v in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(_path(folder, progress.step)) as path:
        save_file(
            tensors, path, metadata={'progress': json.dumps(vars(progress))}
        )
    for step in _steps(folder)[:-keep]:
        if step != progress.best_step:
            _path(folder, step).unlink()


def read(folder, step, *, learner, optimizer=None, average=None):
    """
    Put a checkpoint back in place.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Folder of checkpoints.
    step : int
        Step of the checkpoint.
    learner : `Learner`
        The model, changed in place. Without an optimiser its weights become
        the averaged ones, if there are any.
    optimizer : `torch.optim.Optimizer`, optional
        The optimiser, changed in place.
    average : dict of str to `torch.Tensor`, optional
        The moving average, changed in place.

    Returns
    -------
    progress : `Progress`
        How far the run was.

    Raises
    ------
    TrainingError
        If the checkpoint is not one of this run.
    """
    import torch
    from safetensors import safe_open

    path = _path(folder, step)
    try:
        with safe_open(path, framework='pt') as file:
            progress = json.loads(file.metadata()['progress'])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as exc:  # safetensors has an error of its own
        msg = (
            f'The checkpoint {path} cannot be read ({exc}); remove it to go '
            'on from the one before.'
        )
        raise TrainingError(msg) from exc
    wanted = {f'trained/{name}' for name in learner.trained}
    if wanted != {name for name in tensors if name.startswith('trained/')}:
        msg = (
            f'The checkpoint {path} is of another model; resume in the '
            'directory of this run.'
        )
        raise TrainingError(msg)
    kind = 'trained' if optimizer is not None else 'average'
    with torch.no_grad():
        for name, parameter in learner.trained.items():
            own = tensors[f'trained/{name}']
            parameter.copy_(tensors.get(f'{kind}/{name}', own))
        for name, buffer in _buffers(learner).items():
            buffer.copy_(tensors[f'buffer/{name}'])
        for name, value in (average or {}).items():
            value.copy_(tensors[f'average/{name}'])
    if optimizer is not None:
        torch.set_rng_state(tensors['generator'])
        for name, parameter in learner.trained.items():
            state = {}
            for key in ('step', 'exp_avg', 'exp_avg_sq'):
                value = tensors.get(f'optimizer/{key}/{name}')
                if value is not None:
                    # The counter stays on the CPU, as torch keeps it.
                    device = 'cpu' if key == 'step' else parameter.device
                    state[key] = value.to(device)
            if state:
                optimizer.state[parameter] = state
    return Progress(**progress)
