# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Batches of pairs.

Everything random is drawn from (seed, epoch, row), never from the state of a
stream. So a batch depends on its step alone: not on the number of workers or
processes, nor on whether the run was interrupted.
"""

import numpy as np

from astroclip_search.exceptions import AstroClipError, TrainingError
from astroclip_search.training.augment import view
from astroclip_search.training.captions import draw_caption, fitting_text

__all__ = ['Batches', 'PairDataset', 'loader']


class Batches:
    """
    The rows of every step.

    Parameters
    ----------
    pairs : `Pairs`
        The set.
    config : `TrainingConfig`
        Batch size, seed and images per caption.
    """

    def __init__(self, pairs, config):
        self._rows = pairs.part('train')
        self._captions = np.asarray(pairs.captions)[self._rows]
        self._config = config
        self._epoch = None
        self.size = len(self._rows)
        if config.images_per_caption is not None:
            counts = np.bincount(self._captions)
            self.size = int(counts.clip(max=config.images_per_caption).sum())
        self.steps_per_epoch = self.size // config.batch_size
        if not self.steps_per_epoch:
            msg = (
                f'batch_size={config.batch_size} is more than the '
                f'{self.size} images of an epoch; lower it.'
            )
            raise TrainingError(msg)

    def _order(self, epoch):
        """Rows of an epoch in their order."""
        if self._epoch != epoch:
            rng = np.random.default_rng([self._config.seed, epoch])
            order = rng.permutation(len(self._rows))
            limit = self._config.images_per_caption
            if limit is not None:
                # Rank of each image among those of its caption, shuffled.
                captions = self._captions[order]
                by_caption = np.argsort(captions, kind='stable')
                first = np.searchsorted(captions[by_caption], captions)
                rank = np.empty(len(order), dtype=np.intp)
                rank[by_caption] = np.arange(len(order))
                order = order[rank - first < limit]
            self._epoch, self._kept = epoch, self._rows[order]
        return self._kept

    def __call__(self, step):
        """
        Rows of a step.

        Parameters
        ----------
        step : int
            Step, from 0.

        Returns
        -------
        epoch : int
            Epoch that the step is in, from 0.
        rows : (batch_size,) `~numpy.ndarray` of int
            Rows of the whole batch, over all processes.
        """
        epoch, batch = divmod(step, self.steps_per_epoch)
        size = self._config.batch_size
        return epoch, self._order(epoch)[batch * size : (batch + 1) * size]


class PairDataset:
    """
    Pairs made ready for a model; indexed by (epoch, row).

    Parameters
    ----------
    pairs : `Pairs`
        The set.
    config : `TrainingConfig`
        Captions, augmentation, views and seed.
    tokenizer : `~astroclip_search.embedding._text.Tokenizer`
        Tokenizer of the model.
    rendering : `~astroclip_search.images.Rendering`
        Rendering of the model.
    images, texts : (views, n, d) `~numpy.ndarray`, optional
        Features of a frozen tower, which take the place of pixels or tokens.
    """

    def __init__(
        self, pairs, config, tokenizer, rendering, *, images=None, texts=None
    ):
        self.pairs = pairs
        self.config = config
        self.tokenizer = tokenizer
        self.rendering = rendering
        self.images = images
        self.texts = texts

    def rng(self, epoch, row, purpose):
        """Generator of one view's draws."""
        return np.random.default_rng(
            [self.config.seed, epoch, int(row), purpose]
        )

    def view_number(self, epoch):
        """Number of the view that is shown in an epoch."""
        views = self.config.views
        return epoch if views is None else epoch % views

    def text(self, pair, epoch, row):
        """Draw the caption of a pair, fitting the text tower."""
        rng = self.rng(epoch, row, 0)
        weights = self.config.captions
        try:
            text = draw_caption(
                pair['captions'], None if weights is None else dict(weights),
                rng,
            )  # fmt: skip
        except TrainingError as exc:
            msg = f'The pair {pair["id"]!r} cannot be used: {exc}'
            raise TrainingError(msg) from None
        return fitting_text(text, self.tokenizer, rng)

    def pixels(self, pair, epoch, row):
        """Render a view of the image of a pair."""
        path = self.pairs.image(pair)
        try:
            return view(
                path,
                augmentation=self.config.augmentation,
                rendering=self.rendering,
                rng=self.rng(epoch, row, 1),
            )
        except AstroClipError as exc:
            msg = (
                f'The image of the pair {pair["id"]!r} cannot be used '
                f'({exc}); build the pairs again to leave it out.'
            )
            raise TrainingError(msg) from exc

    def words(self, text):
        """Token ids; what the tower cannot take is cut, as in open_clip."""
        ids = self.tokenizer.encode(text)
        limit = self.tokenizer.limit
        return ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]

    def __getitem__(self, item):
        epoch, row = item
        epoch = self.view_number(epoch)
        pair = self.pairs[row]
        text = self.text(pair, epoch, row)
        if self.images is None:
            image = self.pixels(pair, epoch, row)
        else:
            image = self.images[epoch, row]
        if self.texts is None:
            words = self.words(text)
        else:
            words = self.texts[epoch, row]
        return {
            'id': pair['id'],
            'image': image,
            'words': words,
            'text': text,
            'caption': int(self.pairs.captions[row]),
        }

    def collate(self, items):
        """Put items together: arrays become tensors, the rest lists."""
        import torch

        words = [item['words'] for item in items]
        if self.texts is None:
            words = self.tokenizer.pad(words)
        return {
            'ids': [item['id'] for item in items],
            'texts': [item['text'] for item in items],
            'image': torch.from_numpy(
                np.stack([item['image'] for item in items])
            ),
            'words': torch.from_numpy(np.asarray(words)),
            'caption': torch.tensor([item['caption'] for item in items]),
        }


def loader(dataset, batches, *, workers=0):
    """
    Make a `torch.utils.data.DataLoader` of batches given by their items.

    Parameters
    ----------
    dataset : `PairDataset`
        The pairs.
    batches : iterable of list of (int, int)
        Epoch and row of each item of each batch.
    workers : int, optional
        Processes that prepare batches.

    Returns
    -------
    loader : `torch.utils.data.DataLoader`
        Iterable of what ``dataset.collate`` returns.
    """
    from torch.utils.data import DataLoader

    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=dataset.collate,
    )
