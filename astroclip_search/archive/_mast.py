# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Observations and previews of MAST.

The queries are astroquery's; here are the criteria of the paper, patience
with a service that fails, and the mapping to ObsCore.
"""

import astropy.units as u

from astroclip_search._progress import progress_bar
from astroclip_search.archive._mapping import to_obscore
from astroclip_search.archive._names import resolve_position
from astroclip_search.archive._portal import ask, check_criterion, portal
from astroclip_search.archive._replies import as_rows
from astroclip_search.exceptions import QueryError

__all__ = ['mast_observations', 'mast_previews']

# File names of the previews that show a whole observation, and of those
# among them that do not count: colour composites of HST (the paper, section
# 3.1, takes what is called "total" and not "color"), thumbnails of JWST.
_NAMES = {'HST': ('total', 'color'), 'JWST': ('i2d', 'thumb')}
_PICTURES = ('.jpg', '.jpeg', '.png')
_BATCH = 100  # observations whose products are asked for at once


def mast_observations(*, limit=None, progress=None, **criteria):
    """
    List observations of MAST.

    Parameters
    ----------
    limit : int, optional
        Most rows; by default all there are.
    progress : bool, optional
        Whether to show a progress bar; default ``conf.progress``.
    **criteria
        Criteria of `astroquery.mast.ObservationsClass.query_criteria`, for
        example ``obs_collection='HST'``, ``proposal_id=['9634', '10775']``,
        ``instrument_name='ACS/*'``; ``coordinates`` (a
        `~astropy.coordinates.SkyCoord` or a name) with ``radius`` (an
        angle). Where nothing else is said, ``dataRights='PUBLIC'``. For more
        than one proposal one query is made for each, because MAST cuts long
        answers into pages.

    Returns
    -------
    table : `~astropy.table.QTable`
        ObsCore columns, see `to_obscore`; empty where nothing matches.

    Raises
    ------
    QueryError
        If a criterion is unknown, or there is none.
    ArchiveError
        If MAST does not answer, or with an error.
    """
    rows = _observations(limit, progress, criteria)
    return _obscore(rows, ('obsid', 'jpegURL'))


def mast_previews(
    *,
    obs_collection='HST',
    contains=None,
    excludes=None,
    limit=None,
    progress=None,
    **criteria,
):
    """
    List the preview pictures of observations in MAST.

    By default the previews that the paper uses: public, of HST, product type
    PREVIEW, "total" in the file name and not "color".

    Parameters
    ----------
    obs_collection : str, optional
        Collection of MAST: ``'HST'``, ``'JWST'``...
    contains, excludes : str, optional
        Text that names of files must, or must not, have in them, whatever
        the case; ``''`` for none. The default is the paper's for HST,
        ``'i2d'`` without ``'thumb'`` for JWST, and nothing for others.
    limit : int, optional
        Most rows; by default all there are.
    progress : bool, optional
        Whether to show a progress bar; default ``conf.progress``.
    **criteria
        As in `mast_observations`.

    Returns
    -------
    table : `~astropy.table.QTable`
        A row for each picture, with the ObsCore columns of its observation;
        ``access_url`` is its address and ``id`` its file name.

    Raises
    ------
    QueryError, ArchiveError
        As in `mast_observations`.
    """
    names = _NAMES.get(obs_collection.upper(), ('', ''))
    contains = names[0] if contains is None else contains
    excludes = names[1] if excludes is None else excludes
    criteria['obs_collection'] = obs_collection
    observations = _observations(None, progress, criteria)
    by_id = {row['obsid']: row for row in observations}
    service = portal()
    found = {}
    keys = list(by_id)
    starts = range(0, len(keys), _BATCH)
    for start in progress_bar(starts, desc='Listing previews', show=progress):
        products = ask(
            service.get_product_list, [*keys[start : start + _BATCH]]
        )
        for row in _rows(products):
            if _is_preview(row, contains.lower(), excludes.lower()):
                found.setdefault(row['dataURI'], _joined(row, by_id))
        if limit is not None and len(found) >= limit:
            break
    names = ('dataURI', 'productType', 'productFilename')
    return _obscore([*found.values()][:limit], names)


def _obscore(rows, names):
    # The columns are named so that an empty list is recognised as well.
    fields = [{'name': name} for name in ('obs_id', *names)]
    return to_obscore({'fields': fields, 'data': rows})


def _is_preview(row, contains, excludes):
    name = (row.get('productFilename') or '').lower()
    return (
        (row.get('productType') or '').upper() == 'PREVIEW'
        and row.get('dataURI')
        and name.endswith(_PICTURES)
        and contains in name
        and not (excludes and excludes in name)
    )


def _joined(product, observations):
    """Add what is known of the observation to one of its products."""
    parent = product.get('parent_obsid') or product.get('obsID')
    observation = observations.get(str(parent), {})
    skipped = ('jpegURL', 'dataURL', 'obsid')
    row = {k: v for k, v in observation.items() if k not in skipped}
    return row | {k: v for k, v in product.items() if v is not None}


def _rows(table):
    rows = as_rows(table)
    for row in rows:
        row['obsid'] = str(row.get('obsid'))
    return rows


def _observations(limit, progress, criteria):
    """Ask for observations; return a dict for each row of the reply."""
    criteria = _checked(criteria)
    service = portal()
    paging = {} if limit is None else {'pagesize': limit, 'page': 1}
    proposals = criteria.pop('proposal_id', None)
    if proposals is None or isinstance(proposals, (str, int)):
        if proposals is not None:
            criteria['proposal_id'] = str(proposals)
        return _rows(ask(service.query_criteria, **paging, **criteria))
    rows = []
    for proposal in progress_bar(
        list(proposals), desc='Listing observations', show=progress
    ):
        criteria['proposal_id'] = str(proposal)
        rows += _rows(ask(service.query_criteria, **paging, **criteria))
        if limit is not None and len(rows) >= limit:
            break
    return rows[:limit]


def _checked(criteria):
    criteria = dict(criteria)
    name = criteria.pop('objectname', None)
    position = criteria.pop('coordinates', name)
    radius = criteria.pop('radius', 0.2 * u.deg)
    if not criteria:
        msg = (
            'MAST needs a criterion beside the position, such as '
            "obs_collection='HST'"
        )
        raise QueryError(msg)
    for name, value in criteria.items():
        check_criterion(name, value)
    if not any(key.lower() == 'datarights' for key in criteria):
        criteria['dataRights'] = 'PUBLIC'
    if position is not None:
        try:
            criteria['radius'] = u.Quantity(radius).to(u.deg)
        except (u.UnitsError, TypeError) as exc:
            msg = (
                f'radius={radius!r} is no angle: give it a unit (10*u.arcsec)'
            )
            raise QueryError(msg) from exc
        criteria['coordinates'] = resolve_position(position)
    return criteria
