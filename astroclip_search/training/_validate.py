# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Validation during training."""

import numpy as np

from astroclip_search.exceptions import TrainingError
from astroclip_search.training import metrics
from astroclip_search.training._data import loader
from astroclip_search.training._estimates import unit_vectors

__all__ = ['Validation']


class Validation:
    """
    The validation part, made ready once.

    The text of an image is drawn once for its caption, so that every
    validation asks the same.

    Parameters
    ----------
    dataset : `PairDataset`
        Gives views and texts; its epoch 0 is what is seen.
    config : `TrainingConfig`
        Batch of the loss, and which pairs are positives.
    workers : int
        Processes that prepare batches.
    """

    def __init__(self, dataset, config, workers):
        self._dataset, self._config = dataset, config
        self._workers = workers
        self._rows = dataset.pairs.part('validation')
        _, first, caption = np.unique(
            dataset.pairs.captions[self._rows],
            return_index=True,
            return_inverse=True,
        )
        texts = [
            dataset.text(dataset.pairs[row], 0, row)
            for row in self._rows[first]
        ]
        self._texts, same = np.unique(texts, return_inverse=True)
        self._ids = same[caption]
        if len(self._texts) < 2:
            msg = (
                'The validation part has one caption only; retrieval takes '
                'two or more.'
            )
            raise TrainingError(msg)

    def __call__(self, learner):
        """
        Measure a model.

        Parameters
        ----------
        learner : `Learner`
            The model.

        Returns
        -------
        results : dict of str to float
            Validation loss and top-10 % retrieval both ways.
        """
        import torch

        learner.module.eval()
        dataset = self._dataset
        items = [(0, row) for row in self._rows]
        size = self._config.validation_batch
        batches = [items[i : i + size] for i in range(0, len(items), size)]
        with torch.inference_mode():
            images = [
                learner.image_vectors(batch['image']).cpu().numpy()
                for batch in loader(dataset, batches, workers=self._workers)
            ]
            texts = []
            for start in range(0, len(self._texts), size):
                some = self._texts[start : start + size]
                words = [dataset.words(str(text)) for text in some]
                words = torch.from_numpy(dataset.tokenizer.pad(words))
                texts.append(learner.text_vectors(words).cpu().numpy())
        images, texts = np.concatenate(images), np.concatenate(texts)
        try:
            unit_vectors(images, 'image_vectors')
        except TrainingError:
            bad = np.flatnonzero(~np.isfinite(images).all(axis=1))[:10]
            names = [dataset.pairs[self._rows[i]]['id'] for i in bad]
            msg = (
                'The model gives vectors that are not finite for the pairs '
                f'{", ".join(names)}; lower the learning rate. Checkpoints '
                'written before are intact.'
            )
            raise TrainingError(msg) from None
        found = metrics.top_percent_retrieval(images, texts, self._ids, 10)
        loss_of = (texts, self._ids)
        if self._config.positives == 'pair':
            # The loss that is trained: one right answer for each image.
            loss_of = (texts[self._ids], np.arange(len(images)))
        loss = metrics.contrastive_loss(
            images,
            *loss_of,
            learner.logit_scale,
            batch_size=size,
            seed=self._config.seed,
        )
        return {
            'validation_loss': loss,
            'top_10_percent_image_to_text': found.image_to_text.value,
            'top_10_percent_text_to_image': found.text_to_image.value,
        }
