r"""Means with an interval, where the prompt is what was drawn.

Every number of a report is a mean over prompts. Several responses to one prompt share
its difficulty, so they are averaged first, and the spread over *prompts* is what says
how far the number would move on other prompts. Seeds are another source of spread, and
one that no interval here contains.
"""

from typing import NamedTuple

import chex
import numpy as np
import scipy.stats


class Interval(NamedTuple):
    """A mean and how far its interval reaches to either side.

    Attributes:
      mean: `[*S]` estimate.
      half_width: `[*S]` half of the interval's width, in the unit of the mean.
    """

    mean: chex.Numeric
    half_width: chex.Numeric


def mean_interval(values: chex.Array, *, confidence: float = 0.95) -> Interval:
    r"""Mean over prompts with Student's t interval.

    .. math:: \bar v \pm t_{n-1}\!\left(\tfrac{1 + c}{2}\right) s / \sqrt n

    with `n` prompts, `s` their sample standard deviation and `c` the confidence. The
    interval is symmetric, so that for probabilities it may reach beyond 0 or 1, and it
    has zero width where all prompts agree (a share of exactly 0, for example): then it
    says nothing. Student 1908.

    Args:
      values: `[num_prompts, *S]` one number a prompt, or an array of them.
      confidence: coverage aimed at, in (0, 1).

    Returns:
      `Interval` of `[*S]` means and half-widths; scalars are plain floats.

    Raises:
      ValueError: fewer than two prompts, or a value that is not finite.
    """
    chex.assert_scalar_in(confidence, 0.0, 1.0, included=False)
    values = np.asarray(values, np.float64)
    num_prompts = len(values)
    if num_prompts < 2:
        raise ValueError(
            f"An interval over prompts needs at least two of them, got {num_prompts}: "
            "evaluate on more prompts."
        )
    if not np.isfinite(values).all():
        first = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(
            f"The value of prompt {first[0]} is not finite "
            f"(index {first.tolist()}): look at that prompt's responses."
        )
    quantile = scipy.stats.t.ppf((1 + confidence) / 2, num_prompts - 1)
    half_width = quantile * np.std(values, axis=0, ddof=1) / np.sqrt(num_prompts)
    return Interval(np.mean(values, axis=0)[()], half_width[()])
