# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
The columns of collections and results.

Names, units and UCDs follow IVOA ObsCore 1.1 (Louys et al. 2017) where it has
a column; the rest are ours and lower-case like them. One table serves
collections, results, archives and exports, so that they cannot drift apart.
"""

from dataclasses import dataclass

__all__ = ['COLUMNS', 'ColumnInfo', 'annotate']


@dataclass(frozen=True)
class ColumnInfo:
    """
    What is known of a column.

    Attributes
    ----------
    name : str
        Name of the column.
    kind : {'str', 'float', 'int'}
        Kind of its values; ``float`` is 64 bit.
    unit : str or None
        Unit in the VOUnit syntax.
    ucd : str
        UCD1+ of the quantity.
    description : str
        One line for people.
    """

    name: str
    kind: str
    unit: str | None
    ucd: str
    description: str


def _columns(*rows):
    return {row[0]: ColumnInfo(*row) for row in rows}


COLUMNS = _columns(
    ('id', 'str', None, 'meta.id;meta.main',
     'Identifier of the row, unique in its collection'),
    ('obs_id', 'str', None, 'meta.id', 'Observation identifier'),
    ('obs_collection', 'str', None, 'meta.id', 'Name of the data collection'),
    ('obs_publisher_did', 'str', None, 'meta.ref.ivoid',
     'Data set identifier given by the publisher'),
    ('obs_title', 'str', None, 'meta.title;obs',
     'Title of the observation or of its programme'),
    ('obs_creation_date', 'str', None, 'time;meta.dataset',
     'Date of the observation or data set (ISO 8601)'),
    ('dataproduct_type', 'str', None, 'meta.code.class',
     'Type of the data product'),
    ('calib_level', 'int', None, 'meta.code;obs.calib', 'Calibration level'),
    ('target_name', 'str', None, 'meta.id;src', 'Name of the target'),
    ('target_class', 'str', None, 'meta.code.class;src',
     'Class of the target as the archive gives it'),
    ('s_ra', 'float', 'deg', 'pos.eq.ra',
     'ICRS right ascension of the centre'),
    ('s_dec', 'float', 'deg', 'pos.eq.dec', 'ICRS declination of the centre'),
    ('s_fov', 'float', 'deg', 'phys.angSize;instr.fov',
     'Diameter of the field'),
    ('s_region', 'str', None, 'pos.outline;obs.field',
     'Footprint (STC-S, ICRS)'),
    ('s_resolution', 'float', 'arcsec', 'pos.angResolution',
     'Spatial resolution'),
    ('t_min', 'float', 'd', 'time.start;obs.exposure',
     'Start of the observation (MJD)'),
    ('t_max', 'float', 'd', 'time.end;obs.exposure',
     'End of the observation (MJD)'),
    ('t_exptime', 'float', 's', 'time.duration;obs.exposure',
     'Total exposure time'),
    ('em_min', 'float', 'm', 'em.wl;stat.min', 'Shortest wavelength'),
    ('em_max', 'float', 'm', 'em.wl;stat.max', 'Longest wavelength'),
    ('facility_name', 'str', None, 'meta.id;instr.tel', 'Observatory'),
    ('instrument_name', 'str', None, 'meta.id;instr', 'Instrument'),
    ('filters', 'str', None, 'meta.id;instr.filter',
     'Filters, separated by spaces'),
    ('proposal_id', 'str', None, 'meta.id;obs.proposal',
     'Identifier of the observing proposal'),
    ('proposal_pi', 'str', None, 'meta.id.PI;obs.proposal',
     'Principal investigator of the proposal'),
    ('bib_reference', 'str', None, 'meta.bib', 'Bibliographic reference'),
    ('data_rights', 'str', None, 'meta.code', 'Public or proprietary'),
    ('caption', 'str', None, 'meta.note', 'Text that describes the picture'),
    ('credit', 'str', None, 'meta.note', 'Credit line of the picture'),
    ('licence', 'str', None, 'meta.note', 'Terms of use of the picture'),
    ('access_url', 'str', None, 'meta.ref.url', 'Address of the picture'),
    ('access_format', 'str', None, 'meta.code.mime', 'Format of the picture'),
    ('access_estsize', 'int', 'kbyte', 'phys.size;meta.file',
     'Size of the picture'),
    # What a search adds.
    ('rank', 'int', None, 'meta.number', 'Place in the result, from 1'),
    ('similarity', 'float', None, 'stat.correlation',
     'Cosine of the angle between the vectors of query and row'),
    ('score', 'float', None, 'stat.probability',
     '1 minus the false-match rate; 0 to 1, high is good'),
    ('false_match_rate', 'float', None, 'stat.probability',
     'Share of background pairs at least as similar'),
    ('separation', 'float', 'deg', 'pos.angDistance',
     'Distance from the position of the query'),
)  # fmt: skip


def annotate(table):
    """
    Give the columns of a table their units, descriptions and UCDs.

    Columns that ObsCore and this package do not know are left alone, and so
    are units and descriptions that are already there.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table, changed in place.

    Returns
    -------
    table : `~astropy.table.Table`
        The same table.
    """
    for name in table.colnames:
        info = COLUMNS.get(name)
        if info is None:
            continue
        column = table[name]
        if info.unit is not None and column.info.unit is None:
            column.info.unit = info.unit
        if not column.info.description:
            column.info.description = info.description
        if column.info.meta is None:
            column.info.meta = {}
        column.info.meta.setdefault('ucd', info.ucd)
    return table
