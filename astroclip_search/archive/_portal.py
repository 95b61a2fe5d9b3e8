# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""astroquery's way to MAST, with patience."""

import random
import time

import numpy as np
import requests
from astropy.table import Table
from requests.adapters import HTTPAdapter

from astroclip_search.archive._answers import TRANSIENT, retry_after
from astroclip_search.archive._transfer import backoff
from astroclip_search.config import conf
from astroclip_search.exceptions import ArchiveError, QueryError

__all__ = ['ask', 'check_criterion', 'portal']

# Columns of numbers of Mast.Caom.Cone, as its configuration has them.
_INTERVALS = frozenset(
    ['s_ra', 's_dec', 't_min', 't_max', 't_obs_release', 't_exptime',
     'em_min', 'em_max', 'distance', 'srcden']
)  # fmt: skip


class _Patient(HTTPAdapter):
    """Give requests the timeout that astroquery does not."""

    def send(self, request, **kwargs):
        if kwargs.get('timeout') is None:
            kwargs['timeout'] = (30, conf.timeout)
        return super().send(request, **kwargs)


def check_criterion(name, value):
    """Refuse what astroquery would leave out of the query with a warning."""
    values = [value] if isinstance(value, str) or np.isscalar(value) else value
    values = list(values)
    if name.lower() in _INTERVALS and len(values) != 2:
        msg = f'{name}={value!r} must be a pair of limits, [low, high]'
        raise QueryError(msg)
    patterns = [v for v in values if isinstance(v, str) and {'*', '%'} & {*v}]
    if len(patterns) > 1:
        msg = (
            f'{name}={value!r} has {len(patterns)} patterns; MAST takes one '
            'in each query: ask once for each'
        )
        raise QueryError(msg)


def portal():
    """Return a service of astroquery that gives up waiting."""
    from astroquery.mast import ObservationsClass

    service = ObservationsClass()
    for prefix in ('https://', 'http://'):
        service._session.mount(prefix, _Patient())
    return service


def ask(function, *args, **kwargs):
    """
    Call astroquery; try again what may work, explain what does not.

    Parameters
    ----------
    function : callable
        A method of what `portal` returned.
    *args, **kwargs
        Its arguments.

    Returns
    -------
    table : `~astropy.table.Table`
        The reply.

    Raises
    ------
    QueryError
        If MAST cannot be asked this.
    ArchiveError
        If it does not answer, or with an error.
    """
    from astroquery import exceptions

    rng = random.Random(0)
    for attempt in range(conf.retries + 1):
        try:
            return Table(function(*args, **kwargs))
        except exceptions.NoResultsWarning:  # where warnings are errors
            return Table()
        except exceptions.InvalidQueryError as exc:
            msg = f'MAST cannot be asked this: {_line(exc)}'
            raise QueryError(msg) from exc
        except exceptions.RemoteServiceError as exc:
            msg = f'MAST reports an error: {_line(exc)}'
            raise ArchiveError(msg) from exc
        except (
            requests.RequestException,
            TimeoutError,
            ValueError,
            KeyError,
        ) as exc:
            response = getattr(exc, 'response', None)
            if response is not None and response.status_code not in TRANSIENT:
                reason = f'MAST refuses the query: {_line(exc)}'
                raise ArchiveError(reason) from exc
            if attempt == conf.retries:
                msg = (
                    f'MAST did not answer the query in {attempt + 1} tries '
                    f'({_line(exc)}): try again later'
                )
                raise ArchiveError(msg) from exc
            asked = retry_after(response) if response is not None else None
            time.sleep(max(asked or 0, backoff(attempt, rng)))
    return None  # never reached


def _line(exc):
    return ' '.join(str(exc).split())[:300] or type(exc).__name__
