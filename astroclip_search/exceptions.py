# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Errors and warnings of astroclip_search.

Every error that a user can cause, or that a damaged file or an archive can
cause, is an `AstroClipError`. Its message names the value, the rule that the
value breaks, and the remedy.
"""

from astropy.utils.exceptions import AstropyUserWarning

__all__ = [
    'ArchiveError',
    'AstroClipError',
    'AstroClipWarning',
    'CollectionError',
    'ImageError',
    'MissingDependencyError',
    'ModelError',
    'QueryError',
    'TrainingError',
]


class AstroClipError(Exception):
    """Base class of all errors of this package."""


class ImageError(AstroClipError, ValueError):
    """An input that cannot become a picture, or not the one asked for."""


class ModelError(AstroClipError, ValueError):
    """A model that is missing, damaged, unknown, or not the right one."""


class CollectionError(AstroClipError, ValueError):
    """A collection that is missing, damaged or locked, or rows it refuses."""


class QueryError(AstroClipError, ValueError):
    """A query or a filter that cannot be answered as it was put."""


class ArchiveError(AstroClipError, OSError):
    """An archive or address that did not give what was asked of it."""


class TrainingError(AstroClipError, ValueError):
    """Training data, settings or a run that cannot be used."""


class MissingDependencyError(AstroClipError, ImportError):
    """An optional dependency that is not installed."""


class AstroClipWarning(AstropyUserWarning):
    """Base class of all warnings of this package."""
