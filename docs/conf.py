# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Configuration of the documentation."""

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

# Only inventories that can be reached make links; a build without network
# must not fail, so references into other projects are not required.
intersphinx_timeout = 5
for name in ('h5py',):
    intersphinx_mapping.pop(name, None)

nitpicky = True
nitpick_ignore_regex = [
    (r'py:.*', r'(?!astroclip_search).*'),
]
suppress_warnings = ['intersphinx.external']
automodapi_toctreedirnm = 'api'
automodapi_inheritance_diagram = False
toc_object_entries = False
