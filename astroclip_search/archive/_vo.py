# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Results of SIA and ObsTAP services."""

from astropy.table import Table

from astroclip_search.exceptions import ArchiveError, QueryError

__all__ = ['vo_table']

# SIA 1.0 (section 4.2.3) names columns by UCD and leaves their names free.
_UCDS = {
    'vox:image_accessreference': 'access_url',
    'vox:image_format': 'access_format',
    'vox:image_title': 'obs_title',
    'vox:image_mjdateobs': 't_min',
    'vox:image_filesize': 'access_estsize',
    'vox:bandpass_id': 'filters',
    'vox:bandpass_lolimit': 'em_min',
    'vox:bandpass_hilimit': 'em_max',
    'inst_id': 'instrument_name',
    'pos_eq_ra_main': 's_ra',
    'pos_eq_dec_main': 's_dec',
}


def vo_table(results):
    """
    Return the rows of a Virtual Observatory query, named as in ObsCore.

    Parameters
    ----------
    results : `pyvo.dal.DALResults`
        Results of SIA 1, SIA 2 or ObsTAP.

    Returns
    -------
    table : `~astropy.table.Table`
        The rows, with ``access_url``.

    Raises
    ------
    QueryError
        If it is no such result.
    ArchiveError
        If it lists no images.
    """
    if not hasattr(results, 'to_table') or not hasattr(results, 'fielddescs'):
        msg = (
            f'{type(results).__name__} is no result of pyvo: give what '
            'pyvo.dal.sia.search or a TAP query returned'
        )
        raise QueryError(msg)
    table = Table(results.to_table())
    lower = {name.lower(): name for name in table.colnames}
    if 'access_url' not in lower:
        for field in results.fielddescs:
            target = _UCDS.get((field.ucd or '').lower())
            # Services repeat UCDs; the first column is the one that counts.
            if target and target not in table.colnames:
                table.rename_column(field.name, target)
                if target == 'access_estsize' and not table[target].unit:
                    table[target].unit = 'byte'
    elif lower['access_url'] != 'access_url':
        table.rename_column(lower['access_url'], 'access_url')
    if 'access_url' not in table.colnames:
        msg = (
            'The results list no images: they have no access_url and no '
            'VOX:Image_AccessReference'
        )
        raise ArchiveError(msg)
    return table
