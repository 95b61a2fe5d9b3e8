# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Sub-commands of the command line.

A module of the list has ``register(subparsers)``, which adds its commands;
the handler of each is ``run(args) -> int``. Modules import nothing heavy at
their top level. Those that change the arguments before they are parsed have
``prepare(argv) -> argv``.
"""

import importlib
import importlib.util

__all__ = ['register']

# Commands of a module that are named here load no other module.
_MODULES = {
    'astroclip_search._cli.search': ('search',),
    'astroclip_search._cli.describe': ('describe',),
    'astroclip_search._cli.index': ('index',),
    'astroclip_search._cli.info': ('info',),
    'astroclip_search.archive._cli': (),
    'astroclip_search.training._cli': (),
}


def register(subparsers, argv):
    """
    Add the sub-commands that the arguments may mean.

    Parameters
    ----------
    subparsers : object
        What `argparse.ArgumentParser.add_subparsers` returns.
    argv : list of str
        Arguments of the process.

    Returns
    -------
    argv : list of str
        Arguments to parse.
    """
    command = argv[0] if argv else None
    for name, commands in _MODULES.items():
        if command in commands:
            module = importlib.import_module(name)
            module.register(subparsers)
            prepare = getattr(module, 'prepare', list)
            return prepare(argv)
    for name in _MODULES:
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name).register(subparsers)
    return argv
