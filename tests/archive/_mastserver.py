# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
A portal on the loopback that answers astroquery as MAST does.

The rows are written by hand after recorded replies: no recorded list of HST
previews was to be had.
"""

import json
from urllib.parse import parse_qs, urlsplit

from _faults import FaultServer, picture

POLYGON = 'POLYGON J2000 10.6 41.2 10.7 41.2 10.7 41.3 10.6 41.3'


def observation(number, **changes):
    return {
        'obsid': 2000 + number,
        'obs_id': f'hst_9634_{number:02d}_acs_wfc',
        'obs_collection': 'HST',
        'dataproduct_type': 'image',
        'instrument_name': 'ACS/WFC',
        'target_name': f'TARGET-{number}',
        'filters': 'F606W;F814W',
        's_ra': 10.65 + number / 100,
        's_dec': 41.25,
        's_region': POLYGON,
        't_min': 52454.5 + number,
        't_max': 52454.6 + number,
        't_exptime': 2000.0,
        'em_min': 470.0,
        'em_max': 960.0,
        'proposal_id': '9634',
        'proposal_pi': 'Rhoads',
        'obs_title': 'A <b>test</b> programme',
        'calib_level': 3,
        'dataRights': 'PUBLIC',
        'jpegURL': f'mast:HST/product/hst_9634_{number:02d}_drz.jpg',
        'dataURL': None,
        **changes,
    }


def products(number):
    stem = f'hst_9634_{number:02d}_acs_wfc'
    names = [
        (f'{stem}_total_drz.jpg', 'PREVIEW'),
        (f'{stem}_total_color_drz.jpg', 'PREVIEW'),
        (f'{stem}_f606w_drz.jpg', 'PREVIEW'),
        (f'{stem}_total_drz.fits', 'SCIENCE'),
    ]
    return [
        {
            'obsID': str(2000 + number),
            'obs_collection': 'HST',
            'dataproduct_type': 'image',
            'obs_id': stem,
            'description': 'PREVIEW',
            'dataURI': f'mast:HST/product/{name}',
            'productType': kind,
            'productFilename': name,
            'size': 51200,
            'dataRights': 'PUBLIC',
        }
        for name, kind in names
    ]


def reply(rows, names):
    # Types decide how astroquery masks; 'string' leaves the value alone.
    kinds = {int: 'int', float: 'float'}
    fields = [
        {
            'name': name,
            'type': kinds.get(type(rows[0].get(name)) if rows else None)
            or 'string',
        }
        for name in names
    ]
    paging = {
        'page': 1, 'pageSize': 50000, 'pagesFiltered': 1, 'rows': len(rows),
        'rowsFiltered': len(rows), 'rowsTotal': len(rows),
    }  # fmt: skip
    return {
        'status': 'COMPLETE', 'msg': '', 'data': rows, 'fields': fields,
        'paging': paging,
    }  # fmt: skip


class MastServer(FaultServer):
    """Holds observations; ``queries`` is what was asked."""

    def __init__(self, count=3, **kwargs):
        super().__init__(**kwargs)
        self.observations = [observation(n) for n in range(count)]
        self.queries = []

    def payload(self, path, body):
        """Return the answer to a request of the portal, or None."""
        if path.endswith('/columnsconfig'):
            config = {n: {'type': 'string'} for n in observation(0)}
            config['intentType'] = {'vot.datatype': 'char'}
            config['t_min'] = {'type': 'float', 'vot.datatype': 'double'}
            return json.dumps(config).encode()
        if not path.endswith('/api/v0/invoke'):
            return None
        request = json.loads(parse_qs(body)['request'][0])
        self.queries.append(request)
        if request['service'] == 'Mast.Caom.Products':
            wanted = request['params']['obsid'].split(',')
            rows = [p for o in wanted for p in products(int(o) - 2000)]
            return json.dumps(reply(rows, products(0)[0])).encode()
        rows = self.observations
        for item in request['params']['filters']:
            if item['paramName'] == 'proposal_id':
                rows = [r for r in rows if r['proposal_id'] in item['values']]
        rows = rows[: request['pagesize']]
        return json.dumps(reply(rows, observation(0))).encode()

    def point_astroquery(self, monkeypatch):
        """Make astroquery ask this server; it keeps addresses in classes."""
        from astroquery.mast import conf
        from astroquery.mast.discovery_portal import PortalAPI

        for name in ('MAST_REQUEST_URL', 'COLUMNS_CONFIG_URL'):
            path = urlsplit(getattr(PortalAPI, name)).path
            monkeypatch.setattr(PortalAPI, name, self.address + path)
        monkeypatch.setattr(PortalAPI, '_column_configs', {})
        monkeypatch.setattr(conf, 'server', self.address)


__all__ = ['MastServer', 'observation', 'picture', 'products']
