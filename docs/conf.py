# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Configuration of the documentation."""

import socket
from datetime import UTC, datetime

from sphinx_astropy.conf.v3 import *  # noqa: F403
from sphinx_astropy.conf.v3 import (
    exclude_patterns,
    extensions,
    intersphinx_mapping,
)

import astroclip_search

project = 'astroclip_search'
author = 'The astroclip_search developers'
copyright = f'{datetime.now(tz=UTC).year}, {author}'
version = release = astroclip_search.__version__
html_title = f'{project} {release}'
html_static_path = ['_static']
htmlhelp_basename = 'astroclip_searchdoc'

exclude_patterns.extend(['_templates', '_build'])
for name in ('sphinx_automodapi.smart_resolver',):
    if name not in extensions:
        extensions.append(name)

# Without a network there are no inventories of other projects, and a build
# must work all the same: references into them then stay plain text.
try:
    socket.create_connection(('docs.astropy.org', 443), timeout=3).close()
except OSError:
    intersphinx_mapping.clear()
intersphinx_mapping.pop('h5py', None)

nitpicky = True
nitpick_ignore_regex = [
    (r'py:.*', r'(?!astroclip_search).*'),
    # Base classes that are not public.
    (r'py:.*', r'astroclip_search\..*\._.*'),
]
automodapi_toctreedirnm = 'api'
automodapi_inheritance_diagram = False
toc_object_entries = False
