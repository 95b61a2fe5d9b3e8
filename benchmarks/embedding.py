# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Compare ONNX Runtime with torch and with plain open_clip::

    python benchmarks/embedding.py --data FOLDER [--model NAME] [-n 200]

``FOLDER`` holds ``pairs.jsonl`` (``file``, ``caption``) and the pictures.
The backends take turns, so that a busy machine slows both; only ratios of
speeds mean something.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from PIL import Image

from astroclip_search.embedding import Embedder
from astroclip_search.embedding._torchvision import import_open_clip
from astroclip_search.images import load


def least_cosine(a, b):
    return float(np.sum(a * b, axis=1).min())


def seconds(function, *args, **kwargs):
    start = time.perf_counter()
    function(*args, **kwargs)
    return time.perf_counter() - start


def ratio(ours, reference, items, *, turns, **kwargs):
    """Items per second of both, and the median ratio of turns."""
    times = []
    for turn in range(turns + 1):
        pair = (
            seconds(ours, items, **kwargs),
            seconds(reference, items, **kwargs),
        )
        if turn:  # the first loads and optimises
            times.append(pair)
    times = np.array(times)
    return {
        'onnx per second': round(len(items) / np.median(times[:, 0]), 1),
        'torch per second': round(len(items) / np.median(times[:, 1]), 1),
        'ratio': round(float(np.median(times[:, 1] / times[:, 0])), 2),
    }


def plain_open_clip(embedder, files, texts):
    """Vectors of the same model, made with open_clip alone."""
    import torch

    open_clip = import_open_clip()
    kwargs = embedder.open_clip_kwargs()
    model, _, preprocess = open_clip.create_model_and_transforms(**kwargs)
    tokenizer = open_clip.get_tokenizer(kwargs['model_name'])
    model.eval()
    with torch.inference_mode():
        images = [
            model.encode_image(preprocess(Image.open(f))[None], normalize=True)
            for f in files
        ]
        text = model.encode_text(tokenizer(texts), normalize=True)
    return torch.cat(images).numpy(), text.numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--model', default='astroclip-small')
    parser.add_argument('-n', type=int, default=200)
    parser.add_argument('--turns', type=int, default=5)
    args = parser.parse_args()
    rows = [
        json.loads(line)
        for line in (args.data / 'pairs.jsonl').open(encoding='utf-8')
    ]
    rows = rows[:: max(1, len(rows) // args.n)][: args.n]
    files = [args.data / row['file'] for row in rows]
    texts = [row['caption'] for row in rows]

    onnx = Embedder.from_pretrained(args.model, backend='onnx')
    torch = Embedder.from_pretrained(
        args.model, backend='torch', device='cpu', precision='fp32'
    )
    pixels = np.stack(
        [item.pixels for item in load(files, rendering=onnx.rendering)]
    )
    image, text = onnx.embed_pixels(pixels), onnx.embed_text(texts)
    plain_image, plain_text = plain_open_clip(onnx, files, texts)
    few = slice(0, 32)
    report = {
        'model': repr(onnx),
        'images and texts': len(rows),
        'least cosine': {
            'image, onnx and torch': least_cosine(
                image, torch.embed_pixels(pixels)
            ),
            'text, onnx and torch': least_cosine(
                text, torch.embed_text(texts)
            ),
            'image, alone and in a batch': least_cosine(
                image[few], onnx.embed_pixels(pixels[few], batch_size=1)
            ),
            'text, alone and in a batch': least_cosine(
                text[few], onnx.embed_text(texts[few], batch_size=1)
            ),
            'image file, ours and open_clip': least_cosine(
                onnx.embed_images(files), plain_image
            ),
            'text, ours and open_clip': least_cosine(text, plain_text),
        },
    }
    for size in (1, 16):
        report[f'images, batch {size}'] = ratio(
            onnx.embed_pixels,
            torch.embed_pixels,
            pixels[few],
            turns=args.turns,
            batch_size=size,
        )
    report['texts, batch 32'] = ratio(
        onnx.embed_text,
        torch.embed_text,
        texts,
        turns=args.turns,
        batch_size=32,
    )
    print(json.dumps(report, indent=1))


if __name__ == '__main__':
    main()
