# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Progress bars."""

import sys

from astroclip_search.config import conf

__all__ = []


def _interactive():
    """Whether somebody is there to look at a progress bar."""
    if 'ipykernel' in sys.modules:
        return True
    return sys.stderr is not None and sys.stderr.isatty()


def progress_bar(iterable=None, *, show=None, **kwargs):
    """
    Wrap an iterable in a progress bar.

    Parameters
    ----------
    iterable : iterable, optional
        What to go through; without it, call ``update`` by hand.
    show : bool, optional
        Whether to show the bar. The default is what ``conf.progress`` says;
        ``'auto'`` shows it in terminals and notebooks.
    **kwargs
        Passed to `tqdm.auto.tqdm`: ``total``, ``desc``, ``unit``...

    Returns
    -------
    bar : `tqdm.tqdm`
        Iterable, and a context manager.
    """
    from tqdm import tqdm

    if show is None:
        setting = conf.progress
        show = _interactive() if setting == 'auto' else setting == 'on'
    if show and 'ipykernel' in sys.modules:
        from tqdm.auto import tqdm
    return tqdm(iterable, disable=not show, **kwargs)
