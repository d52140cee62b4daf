r"""How far a policy went from its reference, and how long its responses are.

Everything is read from the policy's own samples: `log_probs` and `mask` as the sampler
returns them, `[num_prompts, N, T]`. Sums over the tokens of a response, means over the
`N` responses of a prompt, intervals over prompts. Masked positions are never read, so
that padding, whatever it holds, changes nothing.
"""

import chex
import numpy as np

from nashalign import checks
from nashalign.evaluation.intervals import Clusters, Interval, mean_interval
from nashalign.types import Array


def kl_to_reference(
    log_probs: Array,
    reference_log_probs: Array,
    mask: Array,
    *,
    clusters: Clusters | None = None,
    confidence: float = 0.95,
) -> Interval[float]:
    r"""Sequence KL divergence to the reference, from the policy's own samples.

    .. math:: \mathrm{KL}(\pi, \mu) = E_{x,\, y \sim \pi(\cdot | x)}
        \sum_t \left[\log \pi(y_t | x, y_{<t}) - \log \mu(y_t | x, y_{<t})\right]

    Unbiased when the responses were drawn from the policy itself at temperature 1; a
    mean of log-ratios of either sign, it may come out negative near zero. Not a KL
    divergence at all when they come from another behaviour (a mixture, greedy
    decoding). A truncated response counts with the tokens it has.

    Args:
      log_probs: `[num_prompts, N, T]` log-probability of each token under the policy,
        nats.
      reference_log_probs: `[num_prompts, N, T]` the same under the reference.
      mask: `[num_prompts, N, T]` bool, true on the response's own tokens, EOS included.
      clusters: `[num_prompts]` name of each prompt's cluster; None, each its own.
      confidence: coverage aimed at, in (0, 1).

    Returns:
      `Interval`, nats a response.

    Raises:
      ValueError: fewer than two prompts or clusters, or a log-ratio that is not finite.
    """
    ratios = prompt_log_ratios(log_probs, reference_log_probs, mask)
    return mean_interval(ratios, clusters=clusters, confidence=confidence)


def prompt_log_ratios(
    log_probs: Array, reference_log_probs: Array, mask: Array
) -> np.ndarray:
    """Each prompt's part in `kl_to_reference`: the mean log-ratio of its responses.

    Args:
      log_probs: `[num_prompts, N, T]` log-probability of each token under the policy,
        nats.
      reference_log_probs: `[num_prompts, N, T]` the same under the reference.
      mask: `[num_prompts, N, T]` bool, true on the response's own tokens, EOS included.

    Returns:
      `[num_prompts]` nats a response.
    """
    checks.numeric(log_probs, "log_probs")
    checks.numeric(reference_log_probs, "reference_log_probs")
    chex.assert_equal_shape([log_probs, reference_log_probs, mask])
    chex.assert_rank(mask, 3)
    mask = np.asarray(mask, bool)
    # Selected before subtracting: padding may hold -inf, and -inf - -inf warns.
    log_ratio = np.where(mask, log_probs, 0.0).astype(np.float64)
    log_ratio -= np.where(mask, reference_log_probs, 0.0)
    return log_ratio.sum(axis=2).mean(axis=1)


def response_length(
    mask: Array,
    *,
    clusters: Clusters | None = None,
    confidence: float = 0.95,
) -> Interval[float]:
    """Mean number of tokens of a response, EOS included.

    Args:
      mask: `[num_prompts, N, T]` bool, true on the response's own tokens.
      clusters: `[num_prompts]` name of each prompt's cluster; None, each its own.
      confidence: coverage aimed at, in (0, 1).

    Returns:
      `Interval`, tokens a response.
    """
    chex.assert_rank(mask, 3)
    lengths = np.asarray(mask, bool).sum(axis=2).mean(axis=1)
    return mean_interval(lengths, clusters=clusters, confidence=confidence)


def truncated_share(
    truncated: Array,
    *,
    clusters: Clusters | None = None,
    confidence: float = 0.95,
) -> Interval[float]:
    """Share of the responses that the maximal length cut.

    Args:
      truncated: `[num_prompts, N]` bool, true where the response has no EOS.
      clusters: `[num_prompts]` name of each prompt's cluster; None, each its own.
      confidence: coverage aimed at, in (0, 1).

    Returns:
      `Interval`, in [0, 1].
    """
    chex.assert_rank(truncated, 2)
    shares = np.asarray(truncated, np.float64).mean(axis=1)
    return mean_interval(shares, clusters=clusters, confidence=confidence)
