# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
One step: the gradient of the loss over the whole batch, exactly.

The loss couples all pairs, so gradients of portions cannot simply be added.
The vectors of all portions and processes are computed first, then the
gradient of the loss with respect to the vectors, and that is carried through
the towers portion by portion (Gao et al. 2021, GradCache, section 3). With
one portion the towers run once only.
"""

import zlib

from astroclip_search.exceptions import TrainingError

__all__ = ['contrastive_step', 'portions']


def portions(batch, n):
    """Divide a batch into n portions of consecutive pairs."""
    size = -(-len(batch['ids']) // n)
    return [
        {name: value[start : start + size] for name, value in batch.items()}
        for start in range(0, len(batch['ids']), size)
    ]


def _keys(batch, device):
    """Caption and text of each pair as numbers, (n, 2)."""
    import torch

    texts = [
        zlib.crc32(' '.join(text.casefold().split()).encode())
        for text in batch['texts']
    ]
    return torch.stack(
        [batch['caption'].long(), torch.tensor(texts)], dim=1
    ).to(device)


def _components(keys):
    """Number pairs so that those of one caption or of one text are equal."""
    import torch

    same = (keys[:, None] == keys[None]).any(dim=-1)
    # Sharing passes on from pair to pair; two rounds settle real batches.
    while True:
        wider = (same.float() @ same.float()) > 0
        if torch.equal(wider, same):
            return same.int().argmax(dim=1)
        same = wider


def contrastive_step(learner, batch, world, *, seed):
    """
    Compute the loss of a batch and the gradients of what is trained.

    Parameters
    ----------
    learner : `Learner`
        The model.
    batch : dict
        The part of the batch that this process has.
    world : `World`
        The processes.
    seed : int
        Seed of dropout in this step.

    Returns
    -------
    loss : float
        Loss of the whole batch, over all processes.

    Raises
    ------
    TrainingError
        If the loss is not finite; the message names the pairs.
    """
    import torch

    parts = portions(batch, learner.config.accumulate)
    keep_graph = len(parts) == 1
    learner.training_mode()
    vectors = []
    for i, part in enumerate(parts):
        torch.manual_seed(seed + i * world.size + world.rank)
        with torch.set_grad_enabled(keep_graph):
            vectors.append(learner.vectors(part))
    local = [torch.cat(side) for side in zip(*vectors, strict=True)]
    whole = [world.gather(side.detach()).requires_grad_() for side in local]
    keys = None
    if learner.config.positives == 'caption':
        keys = _components(world.gather(_keys(batch, learner.device)))
    loss = learner.loss(*whole, keys)
    if not torch.isfinite(loss):
        raise TrainingError(_not_finite(loss, local, batch))
    loss.backward()

    start = world.rank * len(batch['ids'])
    for i, part in enumerate(parts):
        stop = start + len(part['ids'])
        if not keep_graph:
            torch.manual_seed(seed + i * world.size + world.rank)
            vectors[i] = learner.vectors(part)
        used = [
            (side, full.grad[start:stop])
            for side, full in zip(vectors[i], whole, strict=True)
            if side.requires_grad
        ]
        torch.autograd.backward(*zip(*used, strict=True))
        start = stop
    # The temperature has its whole gradient in every process already.
    world.add_up(
        [
            parameter.grad
            for name, parameter in learner.trained.items()
            if parameter.grad is not None
            and name.rpartition('.')[2] not in ('logit_scale', 'logit_bias')
        ]
    )
    return float(loss.detach())


def _not_finite(loss, local, batch):
    """Say which pairs made the loss what it is."""
    bad = [~side.isfinite().all(dim=1) for side in local]
    names = [
        name
        for name, image, text in zip(batch['ids'], *bad, strict=True)
        if image or text
    ]
    where = 'their vectors are not finite' if names else 'vectors are finite'
    names = names or batch['ids']
    more = f' and {len(names) - 10} more' if len(names) > 10 else ''
    return (
        f'The loss is {float(loss.detach())}; pairs: '
        f'{", ".join(names[:10])}{more} ({where}). Lower the learning rate '
        'or leave the pairs out; checkpoints written before are intact.'
    )
