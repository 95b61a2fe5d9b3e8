# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
The command line, ``astroclip-search``.

Exit status: 0 if all went well, 1 if nothing was found or some files of many
failed, 2 after an error (one line on standard error says which), 130 after
an interrupt.
"""

import argparse
import os
import sys
import warnings

from astroclip_search import __version__
from astroclip_search._cli import register
from astroclip_search.exceptions import AstroClipError

__all__ = ['main']


def main(argv=None):
    """
    Run a command.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; the default is those of the process.

    Returns
    -------
    status : int
        Exit status.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(
        prog='astroclip-search',
        description='Search astronomical images with plain language, and '
        'describe them.',
    )
    parser.add_argument(
        '--version', action='version', version=f'%(prog)s {__version__}'
    )
    subparsers = parser.add_subparsers(
        metavar='COMMAND', dest='command', required=True
    )
    argv = register(subparsers, argv)
    args = parser.parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        if getattr(args, 'quiet', False):
            warnings.simplefilter('ignore')
        try:
            status = args.run(args)
            sys.stdout.flush()
        except AstroClipError as exc:
            return _fail(exc)
        except BrokenPipeError:
            # The reader went away; the interpreter must not complain when
            # it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except KeyboardInterrupt:
            _say('interrupted')
            return 130
        except OSError as exc:
            return _fail(exc)
    return status


def _fail(exc):
    """Say in one line what is wrong."""
    _say(f'error: {" ".join(str(exc).split())}')
    return 2


def _warn(message, category, filename, lineno, file=None, line=None):
    """Show a warning as a line for people."""
    _say(f'warning: {" ".join(str(message).split())}')


def _say(text):
    """Write a line to standard error."""
    sys.stderr.write(f'astroclip-search: {text}\n')
