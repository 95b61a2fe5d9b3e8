# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""``astroclip-search info``."""

import json
import sys

__all__ = []


def register(subparsers):
    """
    Add the command.

    Parameters
    ----------
    subparsers : object
        What `argparse.ArgumentParser.add_subparsers` returns.
    """
    parser = subparsers.add_parser(
        'info',
        help='what is installed: version, model, collection, vocabularies',
        description='Show the version, the model, a collection and the '
        'vocabularies.',
    )
    parser.add_argument('--collection', metavar='PATH', help='a collection')
    parser.add_argument('--model', metavar='NAME', help='a model')
    parser.add_argument(
        '--json', action='store_true', help='write a JSON object'
    )
    parser.set_defaults(run=run)


def run(args):
    """
    Show what is installed.

    Parameters
    ----------
    args : `argparse.Namespace`
        The arguments.

    Returns
    -------
    status : int
        0.
    """
    from astroclip_search import __version__
    from astroclip_search._session import get_collection, get_embedder
    from astroclip_search.vocabularies import list_vocabularies

    facts = {'version': __version__}
    if args.model or not args.collection:
        embedder = get_embedder(args.model)
        facts['model'] = {
            'name': embedder.name,
            'fingerprint': embedder.fingerprint,
            'dim': embedder.dim,
            'image_size': embedder.image_size,
            'text_limit': embedder.text_limit,
            'backend': embedder.backend,
            **{
                key: value
                for key, value in embedder.info.items()
                if key in ('version', 'licence', 'citation', 'metrics')
            },
        }
    if args.collection or not args.model:
        collection = get_collection(args.collection)
        facts['collection'] = dict(collection.info())
    facts['vocabularies'] = list_vocabularies()
    if args.json:
        text = json.dumps(facts, indent=1, default=str, ensure_ascii=False)
        sys.stdout.write(text + '\n')
    else:
        sys.stdout.write('\n'.join(_lines(facts)) + '\n')
    return 0


def _lines(facts, indent=''):
    """Facts as indented lines for people."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        if isinstance(value, dict):
            yield f'{indent}{name}'
            yield from _lines(value, f'{indent}  ')
        else:
            if isinstance(value, list | tuple):
                value = ', '.join(map(str, value))
            yield f'{indent}{name:{width}}  {value}'
