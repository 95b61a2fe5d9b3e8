# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Results sent to other programs: SAMP and Aladin Lite."""

from astroclip_search._optional import require
from astroclip_search.exceptions import QueryError
from astroclip_search.results._plain import plain_table

__all__ = []


def send(result, *, client=None, name='astroclip_search'):
    """
    Send a result to programs on the SAMP hub.

    Parameters
    ----------
    result : `SearchResult`
        The rows.
    client : str, optional
        Name of one program, as ``'topcat'``; the default is every program
        that loads VOTables.
    name : str, optional
        Name under which the table appears there.

    Returns
    -------
    clients : list of str
        Names of the programs that took it.

    Raises
    ------
    QueryError
        If no hub runs, or no such program is connected.
    """
    from pyvo import samp

    try:
        with samp.connection(
            client_name='astroclip_search', description='Search results'
        ) as connection:
            mtype = 'table.load.votable'
            names = {}
            for identity in connection.get_subscribed_clients(mtype):
                meta = connection.get_metadata(identity)
                names[identity] = meta.get('samp.name', identity)
            chosen = [n for n in names.values() if client in (None, n)]
            if not chosen:
                wanted = client or 'a program that loads VOTables'
                known = ', '.join(sorted(names.values())) or 'none'
                msg = (
                    f'{wanted!r} is not connected to the SAMP hub '
                    f'(connected: {known}); start it and try again'
                )
                raise QueryError(msg)
            for one in chosen:
                samp.send_table_to(
                    connection,
                    result.to_votable(),
                    client_name=one,
                    name=name,
                )
    except (
        samp.SAMPHubError,
        samp.SAMPClientError,
        samp.SAMPProxyError,
    ) as exc:
        msg = (
            f'the SAMP hub did not take the table ({exc}); start a program '
            'with a hub, as TOPCAT or Aladin, and try again'
        )
        raise QueryError(msg) from exc
    return chosen


def show_aladin(result, *, aladin=None, survey=None):
    """
    Show a result in Aladin Lite, in a notebook.

    Parameters
    ----------
    result : `SearchResult`
        The rows; those without a position are left out.
    aladin : `ipyaladin.Aladin`, optional
        A widget to add the table to; the default is a new one.
    survey : str, optional
        HiPS below the table; the default is ``conf.hips_survey``.

    Returns
    -------
    aladin : `ipyaladin.Aladin`
        The widget.

    Raises
    ------
    QueryError
        If no row has a position.
    """
    import numpy as np
    from astropy.table import Table

    from astroclip_search.config import conf

    coordinates = result.coordinates
    known = np.isfinite(coordinates.ra.deg)
    if not known.any():
        msg = 'no row has a position, so there is nothing to show on the sky'
        raise QueryError(msg)
    module = require(
        'ipyaladin', extra='notebook', purpose='show results in Aladin Lite'
    )
    if aladin is None:
        centre = coordinates[known][0]
        reach = coordinates[known].separation(centre).deg.max()
        aladin = module.Aladin(
            target=f'{centre.ra.deg} {centre.dec.deg}',
            fov=float(np.clip(2.2 * reach, 0.1, 360.0)),
            survey=survey or conf.hips_survey,
        )
    aladin.add_table(Table(plain_table(result)[known]), shape='circle')
    return aladin
