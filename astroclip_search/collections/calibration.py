# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
False-match rates: how often chance would do as well.

The cosine of a text and an image says little by itself: it differs from model
to model and from query to query. What can be said is how many rows of a
background are at least as similar to the query. Within the background that
share is counted; beyond it the upper tail is extrapolated as an exponential,
the limit that excesses over a high threshold tend to for light tails (Pickands
1975, Ann. Statist. 3, 119; Coles 2001, "An Introduction to Statistical
Modeling of Extreme Values", section 4.2). The shape parameter is not fitted:
cosines are bounded and their tails at most exponential, so the extrapolation
errs towards more false matches, not fewer.
"""

import numpy as np

__all__ = ['MIN_BACKGROUND', 'BackgroundRates', 'tail_rate']

# Fewer rows than this make no background worth the name.
MIN_BACKGROUND = 50

# Number of background values that the tail is fitted to.
_TAIL = 64


class BackgroundRates:
    """
    The false-match rate as a function of the similarity.

    Parameters
    ----------
    background : (n,) array_like
        Similarities of the background with the query. Values that are not
        finite are left out.
    """

    def __init__(self, background):
        values = np.asarray(background, np.float64).ravel()
        values = np.sort(values[np.isfinite(values)])[::-1]
        self.n = len(values)
        if self.n == 0:
            values = np.zeros(1)
        spread = values[0] - values[-1]
        # Where all are alike nothing is known of the spread.
        floor = 0.01 * spread or 0.05 * max(abs(values[0]), 1.0)
        # Share of the background at least as high as each of its values,
        # halfway between the empirical steps, and never 0 or 1.
        share = (np.arange(len(values)) + 0.5) / len(values)
        distinct, first = np.unique(-values, return_index=True)
        last = np.append(first[1:], len(values)) - 1
        rates = (share[first] + share[last]) / 2
        points = -distinct
        tail = min(_TAIL, max(1, len(values) // 5))
        edge = int(np.searchsorted(first, tail, side='right')) - 1
        edge = max(edge, 0)
        excess = values[: first[edge] + 1] - points[edge]
        self._scale = max(float(excess.mean()), floor)
        self._top = points[edge]
        self._log_top = np.log(rates[edge])
        # Ascending, as numpy.interp wants them.
        self._points = points[edge:][::-1]
        self._logs = np.log(rates[edge:])[::-1]
        self._low = max(spread / len(values), floor)

    def __call__(self, similarity):
        """
        False-match rates of similarities.

        Parameters
        ----------
        similarity : (k,) array_like
            Similarities with the same query.

        Returns
        -------
        rate : (k,) `~numpy.ndarray`
            Between 0 and 1, exclusive, and strictly falling with the
            similarity.
        """
        values = np.asarray(similarity, np.float64)
        logs = np.interp(values, self._points, self._logs)
        above = values > self._top
        logs = np.where(
            above, self._log_top - (values - self._top) / self._scale, logs
        )
        rate = np.exp(logs)
        bottom = self._points[0]
        below = values < bottom
        if below.any():
            last = np.exp(self._logs[0])
            rate = np.where(
                below,
                1
                - (1 - last)
                * np.exp(np.minimum(values - bottom, 0) / self._low),
                rate,
            )
        return np.clip(rate, 1e-300, 1 - 1e-16)


def tail_rate(values, background):
    """
    Share of a background that is at least as high as values.

    Parameters
    ----------
    values : (k,) array_like
        The values in question.
    background : (n,) array_like
        The background.

    Returns
    -------
    rate : (k,) `~numpy.ndarray`
        Between 0 and 1, exclusive, and strictly falling with the value.
        Beyond the background's resolution it is extrapolated.
    """
    return BackgroundRates(background)(values)
