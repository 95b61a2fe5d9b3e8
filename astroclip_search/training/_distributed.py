# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""The few things that several training processes do together."""

import os
from dataclasses import dataclass
from datetime import timedelta

from astroclip_search.exceptions import TrainingError

__all__ = ['World']


@dataclass(frozen=True)
class World:
    """
    The processes of a run, as ``torchrun`` starts them.

    Attributes
    ----------
    rank, size : int
        Number of this process and how many there are.
    device : str
        Device of this process.
    started : bool
        Whether the process group was made here, to be ended by `close`.
    """

    rank: int
    size: int
    device: str
    started: bool

    @classmethod
    def join(cls, device):
        """
        Join the process group that the environment describes, if any.

        Parameters
        ----------
        device : str
            ``'auto'``, ``'cpu'`` or ``'cuda'``.

        Returns
        -------
        world : `World`
            The processes; gloo connects them on CPUs, nccl on GPUs.
        """
        import torch
        import torch.distributed as dist

        if device == 'auto':
            device = 'cuda' if torch.cuda.is_available() else 'cpu'
        size = int(os.environ.get('WORLD_SIZE', 1))
        if size == 1:
            return cls(0, 1, device, False)
        if device == 'cuda':
            device = f'cuda:{os.environ.get("LOCAL_RANK", 0)}'
            torch.cuda.set_device(device)
        started = not dist.is_initialized()
        if started:
            try:
                # The others wait while the first validates.
                dist.init_process_group(
                    'nccl' if device.startswith('cuda') else 'gloo',
                    timeout=timedelta(hours=2),
                )
            except (RuntimeError, ValueError) as exc:
                msg = (
                    f'The {size} processes that WORLD_SIZE names cannot find '
                    f'each other ({exc}); start them with torchrun.'
                )
                raise TrainingError(msg) from exc
        return cls(dist.get_rank(), size, device, started)

    def close(self):
        """Leave the process group."""
        if self.started:
            import torch.distributed as dist

            dist.destroy_process_group()

    def barrier(self):
        """Wait for the others."""
        if self.size > 1:
            import torch.distributed as dist

            dist.barrier()

    def gather(self, tensor):
        """Concatenate the tensors of all processes, without gradients."""
        if self.size == 1:
            return tensor
        import torch
        import torch.distributed as dist

        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    def add_up(self, tensors):
        """Replace tensors by their sums over all processes, in place."""
        if self.size == 1 or not tensors:
            return
        import torch
        import torch.distributed as dist

        # One message instead of hundreds.
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        start = 0
        for tensor in tensors:
            stop = start + tensor.numel()
            tensor.copy_(flat[start:stop].view_as(tensor))
            start = stop
