# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Results as VOTables and as ObsCore tables."""

from astroclip_search.results._plain import PREFIX, flatten, plain_table

__all__ = []

# The columns that ObsCore 1.1 demands, in its order (Louys et al. 2017,
# table 1), with the kinds of those that results never have.
MANDATORY = (
    'dataproduct_type', 'calib_level', 'obs_collection', 'obs_id',
    'obs_publisher_did', 'access_url', 'access_format', 'access_estsize',
    'target_name', 's_ra', 's_dec', 's_fov', 's_region', 's_resolution',
    't_min', 't_max', 't_exptime', 't_resolution', 'em_min', 'em_max',
    'em_res_power', 'o_ucd', 'pol_states', 'facility_name',
    'instrument_name',
)  # fmt: skip
_NEVER_KNOWN = {
    't_resolution': ('float', 's', 'time.resolution', 'Temporal resolution'),
    'em_res_power': ('float', None, 'spect.resolution', 'Resolving power'),
    'o_ucd': ('str', None, 'meta.ucd', 'UCD of the observable'),
    'pol_states': ('str', None, 'meta.code;phys.polarization',
                   'Polarisation states'),
}  # fmt: skip


def to_votable(result, *, name):
    """
    Make a VOTable with the provenance as INFO elements.

    Parameters
    ----------
    result : `~astropy.table.Table`
        A result.
    name : str
        Name of the table.

    Returns
    -------
    votable : `~astropy.io.votable.tree.VOTableFile`
        One resource with one table, in the BINARY2 serialisation: it says
        which values are unknown, and texts of any length and script survive.
    """
    from astropy.io.votable.tree import Info, VOTableFile

    votable = VOTableFile.from_table(plain_table(result), table_id=None)
    resource = votable.resources[0]
    resource.type = 'results'
    table = votable.get_first_table()
    table.name = name
    table.format = 'binary2'
    resource.infos.append(Info(name='QUERY_STATUS', value='OK'))
    for key, text in flatten(result.meta).items():
        resource.infos.append(Info(name=f'{PREFIX}.{key}', value=text))
    return votable


def to_obscore(result):
    """
    Keep the columns that ObsCore demands, all of them, in its order.

    Parameters
    ----------
    result : `~astropy.table.Table`
        A result.

    Returns
    -------
    table : `~astropy.table.QTable`
        The mandatory columns of ObsCore 1.1; unknown values are masked.
    """
    import numpy as np
    from astropy.table import MaskedColumn, QTable

    from astroclip_search.obscore import COLUMNS

    table = QTable()
    n = len(result)
    for name in MANDATORY:
        if name in result.colnames:
            table[name] = result[name]
            continue
        if name in _NEVER_KNOWN:
            kind, unit, ucd, description = _NEVER_KNOWN[name]
        else:
            info = COLUMNS[name]
            kind, unit = info.kind, info.unit
            ucd, description = info.ucd, info.description
        dtype = {'float': np.float64, 'int': np.int64, 'str': 'U1'}[kind]
        table[name] = MaskedColumn(
            np.zeros(n, dtype=dtype),
            mask=np.ones(n, dtype=bool),
            unit=unit,
            description=description,
            meta={'ucd': ucd},
        )
    table.meta.update(result.meta)
    return table
