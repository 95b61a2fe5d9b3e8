# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""All settings of making pairs and training on them, in one place."""

import json
import math
from dataclasses import asdict, dataclass, fields, replace

from astroclip_search.exceptions import TrainingError

__all__ = ['TrainingConfig']

_CHOICES = {
    'method': ('full', 'head', 'scratch', 'lora'),
    'loss': ('infonce', 'sigmoid'),
    'positives': ('caption', 'pair'),
    'schedule': ('cosine', 'constant'),
    'precision': ('auto', 'fp32', 'bf16'),
    'augmentation': ('whole', 'multiscale', 'paper', 'none'),
    'batch_norm': ('frozen', 'batch'),
    'select': ('loss', 'top_10_percent'),
}
_POSITIVE = (
    'batch_size', 'accumulate', 'steps', 'learning_rate', 'evaluate_every',
    'keep', 'validation_batch', 'head_width', 'lora_rank', 'lora_alpha',
    'max_logit_scale', 'epsilon',
)  # fmt: skip


@dataclass(frozen=True)
class TrainingConfig:
    """
    Settings of a training run; `paperclip` gives those of the paper.

    The defaults differ from the paper (Mishra-Sharma, Song & Thaler 2024,
    section 3, arXiv:2403.08851) where its weaknesses are known; each
    attribute says how. The rest is the paper's.

    Attributes
    ----------
    model : str
        Model to start from, as `~astroclip_search.Embedder.from_pretrained`
        takes it. OpenAI's ViT-B/16 needs the ``quickgelu`` architecture:
        plain ``ViT-B-16`` loads the same weights and is silently wrong.
    method : {'full', 'head', 'scratch', 'lora'}
        Train everything; a two-layer head on each frozen tower; everything
        from random weights; or low-rank adapters (Hu et al. 2022), merged in
        the end.
    head_width : int
        Units of the hidden layer of a head (1,024, GELU).
    lora_rank, lora_alpha : int
        Rank of the adapters, and what their sum is scaled by over the rank.
    loss : {'infonce', 'sigmoid'}
        Symmetric InfoNCE, or the sigmoid loss of SigLIP.
    positives : {'caption', 'pair'}
        Whether all images of a caption are right answers of it. The paper
        counts only the pair, so images of one proposal are each other's
        false negatives.
    captions : tuple of (str, float)
        Kinds of captions to draw from and their weights; a dict will do.
        None means all kinds that the pairs have, equally. The paper trains
        on ``abstract`` alone or ``summary`` alone; several texts keep a
        model from learning the style of one.
    images_per_caption : int or None
        Images of one caption in an epoch, drawn anew in each; None for all.
        A programme of a thousand frames otherwise outweighs all others.
    augmentation : {'whole', 'multiscale', 'paper', 'none'}
        All of the frame, or a crop of 0.3 to 1 of its area, or the paper's
        crop of the model's size (224 px) of the 512 px picture; each with
        turns by 90 degrees and flips. The paper's crop is about 20 % of the
        area and can miss the target; search sees whole frames, so that is
        the default.
    views : int or None
        How many different views (augmentation, caption) of a pair there
        are; None for a new one in each epoch. The features of a frozen tower
        are computed once a view, which makes ``head`` fast.
    batch_size : int
        Pairs in a step, over all processes. The paper saw larger batches
        overfit.
    accumulate : int
        Portions in which a process works through its part of the batch; the
        loss stays that of the whole batch.
    steps : int
        Number of steps.
    learning_rate : float
        Highest learning rate.
    warmup : int
        Steps in which the rate grows linearly from 0.
    schedule : {'cosine', 'constant'}
        What follows. The paper found both equal; cosine spares the choice of
        the last step.
    weight_decay : float
        Weight decay of AdamW.
    decay_all : bool
        Whether gains, biases and the temperature decay too, as in the paper.
    beta1, beta2, epsilon : float
        Settings of AdamW, those of the paper's optimiser library.
    gradient_clip : float or None
        Norm to which gradients are clipped. The paper does not.
    rate_factors : tuple of (str, float)
        Factors of the learning rate by prefix of parameter names, for
        example ``(('visual.trunk', 0.1), ('text', 0))``; a factor of 0
        freezes. The longest prefix holds.
    batch_norm : {'frozen', 'batch'}
        Whether statistics of batch normalisation stay as they are. Those of
        small batches are noisy, and they would make accumulation and several
        processes inexact.
    max_logit_scale : float
        Largest factor of the cosines (100, as in CLIP).
    average : float or None
        Decay of a moving average of the weights, which is then what is
        validated and saved. The paper has none.
    precision : {'auto', 'fp32', 'bf16'}
        Arithmetic of the towers: ``'auto'`` is bf16 on a GPU and fp32
        elsewhere. Weights and optimiser are always float32. The paper is
        fp32.
    evaluate_every : int
        Steps between validations; each also writes a checkpoint.
    validation_batch : int
        Pairs in a batch of the validation loss (100; chance is ln 100).
    validation_augmented : bool
        Whether validation images are augmented, as in the paper; else the
        whole frame is seen, as in a search.
    select : {'loss', 'top_10_percent'}
        What the best checkpoint is best in.
    patience : int or None
        Validations without a better one after which training stops. The
        paper does not stop.
    keep : int
        Latest checkpoints that are kept, beside the best.
    images_per_proposal : int
        Previews taken of a proposal, without replacement.
    padded : int or None
        Side in pixels to which pictures are brought and padded when pairs
        are built; None leaves them as they are.
    validation, test : float
        Shares of the images held out. The paper has no test set.
    split_radius : float or None
        Arcminutes within which images never lie on different sides; None to
        divide by proposal only, as the paper.
    seed : int
        Seed of everything that is drawn.

    Raises
    ------
    TrainingError
        If a value is out of its range.
    """

    model: str = 'ViT-B-16-quickgelu/openai'
    method: str = 'full'
    head_width: int = 1024
    lora_rank: int = 8
    lora_alpha: int = 16
    loss: str = 'infonce'
    positives: str = 'caption'
    captions: tuple | None = None
    images_per_caption: int | None = None
    augmentation: str = 'whole'
    views: int | None = None
    batch_size: int = 32
    accumulate: int = 1
    steps: int = 20_000
    learning_rate: float = 1e-5
    warmup: int = 2_000
    schedule: str = 'cosine'
    weight_decay: float = 1e-3
    decay_all: bool = False
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    gradient_clip: float | None = 1.0
    rate_factors: tuple = ()
    batch_norm: str = 'frozen'
    max_logit_scale: float = 100.0
    average: float | None = 0.999
    precision: str = 'auto'
    evaluate_every: int = 500
    validation_batch: int = 100
    validation_augmented: bool = False
    select: str = 'loss'
    patience: int | None = 8
    keep: int = 3
    images_per_proposal: int = 20
    padded: int | None = None
    validation: float = 0.1
    test: float = 0.1
    split_radius: float | None = 3.0
    seed: int = 0

    def __post_init__(self):
        for name in ('captions', 'rate_factors'):
            value = getattr(self, name)
            if value is not None:
                pairs = value.items() if isinstance(value, dict) else value
                pairs = tuple((str(k), float(v)) for k, v in pairs)
                object.__setattr__(self, name, pairs)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                msg = (
                    f'{name}={getattr(self, name)!r} is unknown; choose one '
                    f'of {", ".join(map(repr, choices))}.'
                )
                raise TrainingError(msg)
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                msg = f'{name}={getattr(self, name)!r} must be above 0.'
                raise TrainingError(msg)
        if self.batch_norm == 'batch' and self.accumulate > 1:
            msg = (
                f'accumulate={self.accumulate} keeps the loss of the whole '
                "batch only with batch_norm='frozen'."
            )
            raise TrainingError(msg)
        if self.average is not None and not 0 < self.average < 1:
            msg = f'average={self.average!r} must lie between 0 and 1.'
            raise TrainingError(msg)

    @classmethod
    def paperclip(cls, **changes):
        """
        Return the settings of the paper.

        Parameters
        ----------
        **changes
            Attributes to set differently.

        Returns
        -------
        config : `TrainingConfig`
            The settings of section 3 and appendix of the paper: fine-tuning
            of everything on raw abstracts. ``method='head'`` and
            ``'scratch'``, and ``captions={'summary': 1}``, are its variants.
        """
        paper = {
            'positives': 'pair',
            'captions': {'abstract': 1.0},
            'augmentation': 'paper',
            'schedule': 'constant',
            'decay_all': True,
            'gradient_clip': None,
            'average': None,
            'precision': 'fp32',
            'validation_augmented': True,
            'patience': None,
            'padded': 512,
            'test': 0.0,
            'split_radius': None,
        }
        return cls(**{**paper, **changes})

    def rate(self, step):
        """
        Learning rate of a step.

        Parameters
        ----------
        step : int
            Step, from 0.

        Returns
        -------
        rate : float
            0 at step 0, the highest at step ``warmup``.
        """
        if step < self.warmup:
            return self.learning_rate * step / self.warmup
        if self.schedule == 'constant':
            return self.learning_rate
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * (1 + math.cos(math.pi * min(done, 1))) / 2

    def replace(self, **changes):
        """Return a copy with some attributes changed."""
        return replace(self, **changes)

    def to_json(self):
        """Return the settings as JSON text."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text):
        """
        Read what `to_json` wrote, or a part of it.

        Parameters
        ----------
        text : str
            A JSON object of attributes.

        Returns
        -------
        config : `TrainingConfig`
            The settings; what is not named has its default.
        """
        try:
            values = json.loads(text)
        except ValueError as exc:
            msg = f'The training settings are no JSON ({exc}).'
            raise TrainingError(msg) from exc
        known = {item.name for item in fields(cls)}
        if not isinstance(values, dict) or set(values) - known:
            odd = sorted(set(values) - known) if values else values
            msg = (
                f'The training settings have unknown entries {odd}; known '
                f'are {", ".join(sorted(known))}.'
            )
            raise TrainingError(msg)
        return cls(**values)
