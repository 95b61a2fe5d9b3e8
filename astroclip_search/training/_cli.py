# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Commands of training: abstracts, summaries, previews, pairs, train..."""

import sys
from pathlib import Path

__all__ = []


def register(subparsers):
    """
    Add the commands.

    Parameters
    ----------
    subparsers : object
        What `argparse.ArgumentParser.add_subparsers` returns.
    """
    parser = _add(
        subparsers,
        'abstracts',
        _abstracts,
        'read a catalogue of proposal abstracts',
    )
    parser.add_argument('source', help='abstracts.cat, .jsonl, .csv, .ecsv')
    parser.add_argument('output', type=Path, help='.jsonl, .csv or .ecsv')

    parser = _add(subparsers, 'summaries', _summaries, 'summarise abstracts')
    parser.add_argument('abstracts', help='what "abstracts" wrote')
    parser.add_argument('output', type=Path, help='.jsonl, .csv or .ecsv')
    parser.add_argument(
        '--model',
        help='transformers model, or ADDRESS#MODEL of an OpenAI-compatible '
        'server; without it summaries are put together from words',
    )
    parser.add_argument('--cache', help='file in which answers are kept')

    parser = _add(
        subparsers, 'previews', _previews, 'fetch previews of proposals'
    )
    parser.add_argument('abstracts', help='what "abstracts" wrote')
    parser.add_argument('folder', type=Path, help='where images go')
    parser.add_argument('--per-proposal', type=int, default=20)
    parser.add_argument('--obs-collection', default='HST')
    parser.add_argument('--seed', type=int, default=0)

    parser = _add(subparsers, 'pairs', _pairs, 'make a set of pairs')
    parser.add_argument('rows', help='table of images: .jsonl, .csv, .ecsv')
    parser.add_argument('output', type=Path, help='directory to write')
    parser.add_argument('--abstracts', help='what "summaries" wrote')
    parser.add_argument(
        '--captions', nargs='+', metavar='KIND', help='kinds of captions'
    )
    parser.add_argument('--overwrite', action='store_true')
    _add_config(parser)

    parser = _add(
        subparsers,
        'train',
        _train,
        'train a model on pairs',
        'Train a model on pairs. Several processes: torchrun '
        '--nproc-per-node=N --no-python astroclip-search train ...',
    )
    parser.add_argument('pairs', help='directory of a set of pairs')
    parser.add_argument('output', type=Path, help='directory of the run')
    parser.add_argument('--resume', action='store_true')
    parser.add_argument('--device', help='auto, cpu or cuda')
    parser.add_argument(
        '--workers', type=int, default=0, help='processes that read images'
    )
    _add_config(parser)

    parser = _add(subparsers, 'evaluate', _evaluate, 'measure a model')
    parser.add_argument('model', help='name or directory of the model')
    parser.add_argument('pairs', help='directory of a set of pairs')
    parser.add_argument('--output', help='directory of the report')
    parser.add_argument('--part', default='test')
    parser.add_argument('--kind', help='kind of caption that is asked for')
    parser.add_argument('--base', help='model to compare with')
    parser.add_argument(
        '--card', action='store_true', help='write a card into the bundle'
    )
    parser.add_argument('--judge', help='language model, as of "summaries"')
    parser.add_argument('--judge-cache', help='file of its answers')


def _add(subparsers, name, handler, help_, description=None):
    parser = subparsers.add_parser(
        name, help=help_, description=description or f'{help_.capitalize()}.'
    )
    parser.set_defaults(run=handler)
    return parser


def _add_config(parser):
    parser.add_argument(
        '--preset', choices=('default', 'paperclip'), default='default',
        help='settings to start from',
    )  # fmt: skip
    parser.add_argument('--config', type=Path, help='JSON file of settings')
    parser.add_argument(
        '--set', nargs='+', default=[], metavar='NAME=VALUE', dest='settings',
        help='single settings, as batch_size=64 model=my-bundle',
    )  # fmt: skip


def _config(args):
    import json

    from astroclip_search.exceptions import TrainingError
    from astroclip_search.training import TrainingConfig

    settings = {}
    if args.preset == 'paperclip':
        settings = json.loads(TrainingConfig.paperclip().to_json())
    if args.config is not None:
        try:
            text = args.config.read_text('utf-8')
        except OSError as exc:
            msg = f'{args.config} cannot be read ({exc}).'
            raise TrainingError(msg) from exc
        TrainingConfig.from_json(text)
        settings.update(json.loads(text))
    for item in args.settings:
        name, _, value = item.partition('=')
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return TrainingConfig.from_json(json.dumps(settings))


def _say(text):
    sys.stdout.write(f'{text}\n')


def _abstracts(args):
    from astroclip_search.training import read_abstracts
    from astroclip_search.training._files import write_rows

    table = read_abstracts(args.source)
    write_rows(args.output, table)
    _say(f'{args.output}: {len(table)} abstracts')
    return 0


def _summaries(args):
    from astroclip_search.training import summarize
    from astroclip_search.training._files import write_rows

    table = summarize(args.abstracts, model=args.model, cache=args.cache)
    write_rows(args.output, table)
    bad = sum(bool(rule) for rule in table['broken_rule'])
    _say(f'{args.output}: {len(table) - bad} summaries, {bad} failed')
    return int(bad > 0)


def _previews(args):
    from astroclip_search.training import fetch_previews, read_abstracts
    from astroclip_search.training._files import write_rows

    abstracts = read_abstracts(args.abstracts)
    table = fetch_previews(
        abstracts['proposal_id'],
        args.folder,
        per_proposal=args.per_proposal,
        obs_collection=args.obs_collection,
        seed=args.seed,
    )
    write_rows(args.folder / 'images.jsonl', table)
    failed = table.meta['failures']
    _say(f'{args.folder / "images.jsonl"}: {len(table)}, {failed} failed')
    return int(failed > 0)


def _pairs(args):
    from astroclip_search.training import build_pairs

    options = {'captions': args.captions} if args.captions else {}
    pairs = build_pairs(
        args.rows,
        args.output,
        abstracts=args.abstracts,
        config=_config(args),
        overwrite=args.overwrite,
        **options,
    )
    info = pairs.info
    parts = ', '.join(f'{n} {name}' for name, n in info['parts'].items())
    _say(
        f'{args.output}: {info["n"]} images ({parts}) of '
        f'{info["n_captions"]} captions, {info["skipped"]} left out'
    )
    return int(info['skipped'] > 0)


def _train(args):
    from astroclip_search.training import fine_tune

    result = fine_tune(
        args.pairs,
        output=args.output,
        config=_config(args),
        resume=args.resume,
        device=args.device,
        workers=args.workers,
    )
    _say(f'{result.path}: step {result.step} of {result.steps}')
    for name, value in result.metrics.items():
        _say(f'  {name.replace("_", " ")}: {value:.3f}')
    return 0


def _evaluate(args):
    from astroclip_search.training import evaluate

    evaluation = evaluate(
        args.model,
        args.pairs,
        part=args.part,
        kind=args.kind,
        base=args.base,
        judge=args.judge,
        judge_cache=args.judge_cache,
        output=args.output,
        card=args.card,
    )
    _say(repr(evaluation))
    for name, both in evaluation['lines'].items():
        cells = ', '.join(
            f'{v["value"] if isinstance(v, dict) else v:.3f}'
            for v in both.values()
        )
        _say(f'  top 10 % of {name}: {cells}')
    return 0
