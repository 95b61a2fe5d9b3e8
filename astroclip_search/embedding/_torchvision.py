# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Import of torchvision beside a torch that it was not built for.

The package registries can pair a torch built for the CPU with a torchvision
built for CUDA. The compiled operators of torchvision then cannot be loaded,
and its import (so that of open_clip and timm) stops at the registration of
``torchvision::nms``. Nothing here uses those operators: it is enough that
they are declared.
"""

import sys

__all__ = []

# The operators live as long as this object.
_declared = None


def import_torchvision():
    """
    Import torchvision, declaring its operators only where they are missing.

    A healthy installation is left as it is.
    """
    global _declared

    try:
        import torchvision
    except RuntimeError as exc:
        if 'torchvision::' not in str(exc) or _declared is not None:
            raise
    else:
        return
    import torch

    _declared = torch.library.Library('torchvision', 'FRAGMENT')
    for name in ('nms', 'qnms'):
        _declared.define(
            f'{name}(Tensor dets, Tensor scores, float iou_threshold) '
            '-> Tensor'
        )
    for name in [n for n in sys.modules if n.startswith('torchvision')]:
        del sys.modules[name]
    import torchvision  # noqa: F401


def import_open_clip():
    """
    Import open_clip, whatever the state of torchvision.

    Returns
    -------
    open_clip : module
        The imported module.
    """
    import_torchvision()
    import open_clip

    return open_clip
