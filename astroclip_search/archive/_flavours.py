# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""How archives name what ObsCore names."""

from dataclasses import dataclass, field

__all__ = ['FLAVOURS', 'Flavour']


@dataclass(frozen=True)
class Flavour:
    """
    One kind of reply.

    Attributes
    ----------
    name : str
        What it is called in messages.
    needs : tuple of str
        Columns (lower-case) by which it is recognised.
    columns : dict of str to str or tuple
        ObsCore column for each column of the reply, with the unit of the
        reply where the reply does not say it and it is not ours.
    constants : dict of str to str
        Values that hold for every row.
    address : str
        Where paths of the reply lie below the server of MAST.
    """

    name: str
    needs: tuple
    columns: dict
    constants: dict = field(default_factory=dict)
    address: str = '/api/v0.1/Download/file?uri='


# Units: "vot.unit" of the columns configuration of Mast.Caom.Cone.
_CAOM = {
    'target_classification': 'target_class',
    'datarights': 'data_rights',
    'em_min': ('em_min', 'nm'),
    'em_max': ('em_max', 'nm'),
    'jpegurl': 'access_url',
}

FLAVOURS = (
    Flavour('MAST observations', ('obsid', 'jpegurl'), _CAOM),
    Flavour(
        'MAST products',
        ('datauri', 'producttype'),
        {
            **_CAOM,  # where rows of products are joined to observations
            'datauri': 'access_url',
            'size': ('access_estsize', 'byte'),
        },
    ),
    Flavour(
        'MAST mission search (HST)',
        ('sci_data_set_name',),
        {
            'sci_data_set_name': 'obs_id',
            'sci_targname': 'target_name',
            'sci_ra': 's_ra',
            'sci_dec': 's_dec',
            'sci_start_time': 't_min',
            'sci_stop_time': 't_max',
            'sci_actual_duration': 't_exptime',
            'sci_instrume': 'instrument_name',
            'sci_spec_1234': 'filters',
            'sci_pep_id': 'proposal_id',
            'sci_status': 'data_rights',
        },
        {'obs_collection': 'HST'},
    ),
    Flavour(
        'MAST mission products',
        ('product_key', 'uri'),
        {
            'dataset': 'obs_id',
            'access': 'data_rights',
            'uri': 'access_url',
            'size': ('access_estsize', 'byte'),
        },
        {'obs_collection': 'HST'},
        '/search/hst/api/v0.1/retrieve_product?product_name=',
    ),
    # ESA's archive: TAP columns of two generations, and our CSV of them.
    # Wavelengths are in nm: the F300W rows say 254.97 to 328.99.
    Flavour(
        'eHST observations',
        ('observation_id',),
        {
            'observation_id': 'obs_id',
            'collection': 'obs_collection',
            'start_time_mjd': 't_min',
            'end_time_mjd': 't_max',
            'start': 't_min',
            'exposure_duration': 't_exptime',
            'exptime': 't_exptime',
            'proposal_title': 'obs_title',
            'title': 'obs_title',
            'pi_name': 'proposal_pi',
            'pi': 'proposal_pi',
            'target': 'target_name',
            'target_description': 'target_class',
            'instrument': 'instrument_name',
            'data_product_type': 'dataproduct_type',
            'ra': 's_ra',
            'dec': 's_dec',
            'fov_size': ('s_fov', 'deg'),
            'wave_min': ('em_min', 'nm'),
            'wave_max': ('em_max', 'nm'),
            'filter': 'filters',
        },
        {'facility_name': 'HST'},
    ),
    Flavour(
        'table of JWST observations',
        ('obsid', 'jpeg', 'proposal'),
        {
            'jpeg': 'access_url',
            'proposal': 'proposal_id',
            'title': 'obs_title',
            'target_classification': 'target_class',
            'collected_from': 't_min',
            'collected_to': 't_max',
        },
    ),
    Flavour('MAST observations', ('obsid', 's_ra', 'obs_collection'), _CAOM),
    Flavour('ObsCore', ('s_ra', 's_dec'), {}),
    Flavour('ObsCore', ('access_url',), {}),
)
