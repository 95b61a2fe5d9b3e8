# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""A model that keeps a log, for workers."""

import os
import time
from pathlib import Path

import numpy as np

from astroclip_search.embedding import Embedded
from astroclip_search.images import Rendering


class SlowModel:
    """Vectors from the names of files; each is noted in a log."""

    name = 'slow'
    dim = 8
    fingerprint = 'sha256:slow'
    rendering = Rendering()

    def __init__(self, log, seconds):
        self.log = log
        self.seconds = seconds

    def iter_images(self, images, *, thumbnail=None):
        for i, source in enumerate(images):
            time.sleep(self.seconds)
            line = f'{Path(source).name} {os.getpid()}\n'.encode()
            handle = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(handle, line)
            os.close(handle)
            seed = int(Path(source).stem)
            vector = np.random.default_rng(seed).normal(size=8)
            vector = (vector / np.linalg.norm(vector)).astype(np.float32)
            yield Embedded(i, source, vector, {}, None, None)
