# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""How pixel values become a picture: a recipe that can be written down."""

import ast
import inspect
from dataclasses import asdict, dataclass, fields

import astropy.visualization as viz
from astropy.visualization import BaseInterval, BaseStretch

from astroclip_search.exceptions import ImageError

__all__ = ['Rendering']

INTERVAL = (
    'AsymmetricPercentileInterval(lower_percentile=10, upper_percentile=99.8)'
)
STRETCH = 'AsinhStretch(a=0.1)'
VERSION = 1
MAX_SIZE = 4096

# Constructor arguments that astropy 7 keeps under another name.
_STORED_AS = {
    ('PowerStretch', 'a'): 'power',
    ('LogStretch', 'a'): 'exp',
    ('PowerDistStretch', 'a'): 'exp',
}
_SHORT = {
    'minmax': 'MinMaxInterval()',
    'zscale': 'ZScaleInterval()',
    'asinh': STRETCH,
    'linear': 'LinearStretch()',
    'log': 'LogStretch()',
    'sqrt': 'SqrtStretch()',
}


@dataclass(frozen=True)
class Rendering:
    """
    The recipe by which an image becomes what a model sees.

    Two renderings are the same if they compare equal. A collection and a
    model bundle carry one each, and refuse images of another.

    Parameters
    ----------
    size : int, optional
        Height and width of the picture in pixels.

    fit : {'pad', 'crop', 'squash'}, optional
        What happens to an image that is not square: ``'pad'`` shows all of it
        on black (open_clip's ``resize_mode`` ``'longest'``), ``'crop'`` its
        central square (``'shortest'``), ``'squash'`` distorts it
        (``'squash'``).

    interval : `~astropy.visualization.BaseInterval` or str, optional
        What finds the values shown as black and as white. Pictures that are
        already 8-bit colour or grey are not touched by it.

    stretch : `~astropy.visualization.BaseStretch` or str, optional
        How the values between are spread.

    version : int, optional
        Version of the method; a change that alters pictures raises it.

    Raises
    ------
    ImageError
        If a setting is unknown or out of range.

    Notes
    -----
    ``interval`` and ``stretch`` are kept as text, the class with all its
    parameters, so that a recipe is plain JSON and can be compared.

    Examples
    --------
    >>> from astropy.visualization import AsinhStretch
    >>> from astroclip_search.images import Rendering
    >>> Rendering(size=256, stretch=AsinhStretch(0.05)).stretch
    'AsinhStretch(a=0.05)'
    """

    size: int = 224
    fit: str = 'pad'
    interval: str = INTERVAL
    stretch: str = STRETCH
    version: int = VERSION

    def __post_init__(self):
        size = self.size
        whole = isinstance(size, int) or hasattr(size, '__index__')
        if isinstance(size, bool) or not whole or not 1 <= size <= MAX_SIZE:
            msg = (
                f'size={size!r} is no picture size: give whole pixels from 1 '
                f'to {MAX_SIZE}'
            )
            raise ImageError(msg)
        if self.fit not in ('pad', 'crop', 'squash'):
            msg = f'fit={self.fit!r} is unknown; choose from pad, crop, squash'
            raise ImageError(msg)
        if self.version != VERSION:
            msg = (
                f'rendering version {self.version!r} is not version '
                f'{VERSION}, which this release makes; install the release '
                'that made it, or render again'
            )
            raise ImageError(msg)
        object.__setattr__(self, 'size', int(size))
        for name, base in (
            ('interval', BaseInterval),
            ('stretch', BaseStretch),
        ):
            text = _write(_build(getattr(self, name), base, name), name)
            object.__setattr__(self, name, text)

    def interval_object(self):
        """Return the interval as an `~astropy.visualization.BaseInterval`."""
        return _build(self.interval, BaseInterval, 'interval')

    def stretch_object(self):
        """Return the stretch as an `~astropy.visualization.BaseStretch`."""
        return _build(self.stretch, BaseStretch, 'stretch')

    def to_dict(self):
        """
        Return the recipe as plain JSON types.

        Returns
        -------
        recipe : dict
            What `from_dict` takes.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, recipe):
        """
        Make a recipe from what `to_dict` returned.

        Parameters
        ----------
        recipe : dict
            Settings by name.

        Returns
        -------
        rendering : `Rendering`
            The recipe.

        Raises
        ------
        ImageError
            If a setting is unknown or out of range.
        """
        known = {item.name for item in fields(cls)}
        if not isinstance(recipe, dict) or not known.issuperset(recipe):
            msg = (
                f'{recipe!r} is no rendering: a dict of '
                f'{", ".join(sorted(known))} is needed'
            )
            raise ImageError(msg)
        return cls(**recipe)


def _build(value, base, name):
    """Make an interval or stretch of an object or a text."""
    if isinstance(value, base):
        return value
    msg = (
        f'{name}={value!r} is not understood; give an object of '
        f'astropy.visualization, or text like {(INTERVAL, STRETCH)!r}'
    )
    if not isinstance(value, str):
        raise ImageError(msg)
    text = _SHORT.get(value, value)
    try:
        call = ast.parse(text, mode='eval').body
        if isinstance(call, ast.Name):
            call = ast.Call(func=call, args=[], keywords=[])
        cls = getattr(viz, call.func.id)
        if not issubclass(cls, base) or cls is base:
            raise ImageError(msg)
        args = [ast.literal_eval(item) for item in call.args]
        named = {
            item.arg: ast.literal_eval(item.value) for item in call.keywords
        }
        return cls(*args, **named)
    except (AttributeError, TypeError, ValueError, SyntaxError) as exc:
        raise ImageError(msg) from exc


def _write(item, name):
    """Write an interval or stretch as text from which it can be made."""
    cls = type(item).__name__
    parameters = {}
    for parameter in inspect.signature(type(item).__init__).parameters:
        if parameter in ('self', 'args', 'kwargs'):
            continue
        stored = parameter
        if not hasattr(item, parameter):
            stored = _STORED_AS.get((cls, parameter), parameter)
        if cls == 'PercentileInterval' and parameter == 'percentile':
            value = round(item.upper_percentile - item.lower_percentile, 9)
        else:
            value = getattr(item, stored, NotImplemented)
        if hasattr(value, 'item') and getattr(value, 'ndim', 1) == 0:
            value = value.item()
        if not isinstance(value, int | float | None):
            msg = (
                f'{name}={item!r} cannot be written down ({parameter}), so '
                'no collection could record it; use one with plain numbers'
            )
            raise ImageError(msg)
        if value is not None:
            parameters[parameter] = value
    if getattr(viz, cls, None) is not type(item):
        msg = (
            f'{name}={item!r} is not a class of astropy.visualization, so a '
            'recipe with it could not be read back; use one that is'
        )
        raise ImageError(msg)
    inside = ', '.join(f'{key}={val!r}' for key, val in parameters.items())
    return f'{cls}({inside})'
