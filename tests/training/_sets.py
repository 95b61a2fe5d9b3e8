# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Small generated sets of pairs, and a small configuration."""

import numpy as np
from PIL import Image

from astroclip_search.training import TrainingConfig, build_pairs

COLOURS = {
    'red': (220, 40, 30),
    'green': (40, 200, 60),
    'blue': (40, 60, 220),
    'yellow': (220, 200, 40),
}
SHAPES = ('disc', 'square', 'ring')


def picture(colour, shape, rng, size=80):
    """Draw a shape in a colour, with noise."""
    y, x = np.mgrid[:size, :size] - size / 2 - rng.uniform(-9, 9, (2, 1, 1))
    r = np.hypot(x, y)
    inside = {
        'disc': r < 22,
        'square': np.maximum(abs(x), abs(y)) < 20,
        'ring': (r < 26) & (r > 17),
    }[shape]
    image = rng.normal(20, 8, (size, size, 3))
    image[inside] += COLOURS[colour]
    return Image.fromarray(image.clip(0, 255).astype(np.uint8))


def write_rows(folder, *, per_caption=4, seed=0):
    """Write pictures; return rows with captions, proposals, positions."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows = []
    for number, (colour, shape) in enumerate(
        (c, s) for c in COLOURS for s in SHAPES
    ):
        for i in range(per_caption):
            path = folder / f'{colour}-{shape}-{i}.png'
            picture(colour, shape, rng).save(path)
            rows.append(
                {
                    'id': path.stem,
                    'image': path.name,
                    'proposal_id': str(100 + 10 * number + i % 2),
                    's_ra': 30.0 * number + 10 * (i % 2),
                    's_dec': -40.0 + i / 200,
                    'caption': f'a {colour} {shape}',
                    'title': f'{shape} of {colour} light',
                    'instrument_name': ('WFC3', 'ACS')[i % 2],
                }
            )
    return rows


def small_set(path, *, per_caption=4, **settings):
    """Build a set of pairs of coloured shapes."""
    rows = write_rows(path / 'source', per_caption=per_caption)
    config = TrainingConfig(validation=0.2, test=0.15, **settings)
    return build_pairs(
        rows, path / 'pairs', root=path / 'source', config=config
    )


def small_config(model, **changes):
    """Settings for seconds of training."""
    return TrainingConfig(
        **{
            'model': str(model),
            'batch_size': 8,
            'steps': 6,
            'warmup': 2,
            'learning_rate': 1e-3,
            'evaluate_every': 3,
            'patience': None,
            **changes,
        }
    )
