# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Contrastive losses, with all images of a caption as positives or not."""

__all__ = ['info_nce_loss', 'sigmoid_loss']


def _positives(keys, n, like):
    """Which texts are right for which images, (n, n) bool."""
    import torch

    if keys is None:
        return torch.eye(n, dtype=torch.bool, device=like.device)
    return keys[:, None] == keys[None, :]


def info_nce_loss(image_vectors, text_vectors, logit_scale, keys=None):
    """
    Symmetric InfoNCE loss over a batch.

    With ``keys``, the target of an image is uniform over the texts of its
    key, and likewise from text to image (Yang et al. 2022, UniCL, equations
    2 and 3); without repeated keys, and without keys, it is the loss of CLIP
    (Radford et al. 2021, figure 3) and of the paper.

    Parameters
    ----------
    image_vectors, text_vectors : (n, d) `torch.Tensor`
        Unit vectors of the pairs.
    logit_scale : () `torch.Tensor` or float
        Factor of the cosines.
    keys : (n,) `torch.Tensor` of int, optional
        Pairs with equal keys are positives of each other.

    Returns
    -------
    loss : () `torch.Tensor`
        Mean loss, in nats.
    """
    logits = logit_scale * image_vectors.float() @ text_vectors.float().T
    target = _positives(keys, len(logits), logits).float()
    target = target / target.sum(dim=1, keepdim=True)
    # The targets are symmetric: one matrix serves both ways.
    rows = -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()
    columns = -(target * logits.log_softmax(dim=0)).sum(dim=0).mean()
    return (rows + columns) / 2


def sigmoid_loss(
    image_vectors, text_vectors, logit_scale, logit_bias, keys=None
):
    """
    Pairwise sigmoid loss over a batch.

    Zhai et al. 2023, SigLIP, equation 1, with every pair of equal keys as a
    positive.

    Parameters
    ----------
    image_vectors, text_vectors : (n, d) `torch.Tensor`
        Unit vectors of the pairs.
    logit_scale, logit_bias : () `torch.Tensor` or float
        Factor of the cosines, and what is added.
    keys : (n,) `torch.Tensor` of int, optional
        Pairs with equal keys are positives of each other.

    Returns
    -------
    loss : () `torch.Tensor`
        Sum over all pairs divided by n, in nats.
    """
    from torch.nn.functional import logsigmoid

    logits = logit_scale * image_vectors.float() @ text_vectors.float().T
    logits = logits + logit_bias
    sign = 2 * _positives(keys, len(logits), logits).float() - 1
    return -logsigmoid(sign * logits).sum() / len(logits)
