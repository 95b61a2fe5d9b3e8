# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
The paper's training written out plainly, to compare with.

It shares the inputs of each step with `fine_tune`, and nothing else: model,
loss, optimiser, schedule are torch's and open_clip's own.
"""

import torch


def plain_losses(model, batches, *, steps, rate=1e-5, warmup=2000):
    """Losses of AdamW at the paper's settings on given batches."""
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1.0, betas=(0.9, 0.999), weight_decay=1e-3
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate * min(1.0, step / warmup)
    )
    model.train()
    losses = []
    for _, batch in zip(range(steps), batches, strict=False):
        pixels = (batch['image'].permute(0, 3, 1, 2) / 255 - mean) / std
        images = model.encode_image(pixels, normalize=True)
        texts = model.encode_text(batch['words'], normalize=True)
        logits = model.logit_scale.exp() * images @ texts.T
        labels = torch.arange(len(logits))
        entropy = torch.nn.functional.cross_entropy
        loss = (entropy(logits, labels) + entropy(logits.T, labels)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=4.6052)
        losses.append(loss.item())
    return losses
