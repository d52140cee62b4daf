r"""Token games: finite games whose responses are strings, mixed token by token.

What a language model samples from is not the geometric mixture of two policies over
whole responses, but the product of mixtures over its tokens: after each prefix,

    w(a | prefix) proportional to pi(a | prefix)^(1 - mix) mu(a | prefix)^mix.

The normalisation differs from prefix to prefix, so that the two agree only for
responses of one token. With responses from w, methods that mix converge to the pi with
pi(y) proportional to mu(y) exp(P(y > w) / tau), w itself being a mixture of pi and mu.

Everything here is NumPy in float64 on the host, and starts from the probabilities of
whole responses: no logits, no sampler and no model are involved.
"""

import dataclasses
import itertools
from collections.abc import Callable

import chex
import numpy as np
from scipy.special import logsumexp

from nashalign import checks
from nashalign.games import path_following, preferences
from nashalign.types import Array


@dataclasses.dataclass(frozen=True)
class TokenTree:
    """The tree of prefixes of all the responses of a token game.

    Nodes are prefixes, numbered so that a parent comes before its children; node 0 is
    the empty prefix. Leaves are responses.

    Attributes:
      passes: `[M, Y]` bool, whether node m is a prefix of response y (or all of it).
      parent: `[M]` the node with one token less; node 0 is its own parent.
    """

    passes: np.ndarray
    parent: np.ndarray

    def mixture(self, policy: Array, reference: Array, mix: float) -> np.ndarray:
        r"""Returns the token-level geometric mixture as a policy over responses.

        .. math:: w(y) = \prod_t w(y_t | y_{<t}), \quad
                  w(a | s) \propto \pi(a | s)^{1-mix} \mu(a | s)^{mix}

        Args:
          policy: `[*B, Y]` policy pi, positive everywhere.
          reference: `[*B, Y]` policy mu, positive everywhere.
          mix: the reference's weight, in [0, 1].

        Returns:
          `[*B, Y]` policy w, float64.

        Raises:
          ValueError: if an argument breaks its law.
        """
        policy = preferences.check_policy(policy, "policy")
        reference = preferences.check_policy(reference, "reference")
        chex.assert_equal_shape([policy, reference])
        chex.assert_axis_dimension(policy, -1, self.passes.shape[1])
        _check_mix(mix)
        log_mass, anchor = map(self._log_mass, (np.log(policy), np.log(reference)))
        return np.exp(self._mix(log_mass, anchor, mix) @ self.passes)

    def _log_mass(self, log_policy):
        """Returns log p(prefix) of each node, the total of its responses, `[*B, M]`."""
        return logsumexp(log_policy[..., None, :], b=self.passes, axis=-1)

    def _mix(self, log_mass, anchor, mix):
        """Returns log w(last token | prefix before it) of each node, `[*B, M]`."""
        # The mass of the prefix before it is common to siblings, and cancels.
        mixed = (1 - mix) * log_mass + mix * anchor
        return mixed - logsumexp(mixed[..., None, :], b=self._siblings(), axis=-1)

    def _siblings(self):
        """Returns which nodes extend the same prefix, `[M, M]`; the root is alone."""
        parent = np.append(-1, self.parent[1:])
        return parent[:, None] == parent


def token_tree(tokens: Array, mask: Array) -> TokenTree:
    """Builds the tree of prefixes of a table of all responses.

    Args:
      tokens: `[Y, T]` token ids, padded on the right.
      mask: `[Y, T]` bool, true on a response's own tokens (EOS included).

    Returns:
      The tree; its responses are in the order of the table.

    Raises:
      ValueError: if a response is empty, twice there, or the beginning of another (then
        probabilities over the table are not those of a language model).
    """
    chex.assert_equal_shape([tokens, mask])
    chex.assert_rank(tokens, 2)
    mask = np.asarray(mask, bool)
    responses = [
        tuple(row[own].tolist())
        for row, own in zip(np.asarray(tokens), mask, strict=True)
    ]
    nodes = {(): 0}
    for length in range(1, mask.shape[1] + 1):
        for response in responses:
            if len(response) >= length:
                nodes.setdefault(response[:length], len(nodes))
    passes = np.zeros((len(nodes), len(responses)), bool)
    for y, response in enumerate(responses):
        passes[[nodes[response[:t]] for t in range(len(response) + 1)], y] = True
    for y, response in enumerate(responses):
        if passes[nodes[response]].sum() != 1:
            raise ValueError(
                f"response {y} with tokens {list(response)} is empty, repeated, or the "
                "beginning of another: end every response by EOS or at full length"
            )
    return TokenTree(passes, np.array([nodes[prefix[:-1]] for prefix in nodes]))


@dataclasses.dataclass(frozen=True)
class TokenGame:
    """A game whose responses are all the strings over a vocabulary.

    Attributes:
      responses: the strings, as tuples of tokens, Y of them in lexicographic order.
      preference: `[Y, Y]` the preference between them.
      tree: of their prefixes.
    """

    responses: tuple[tuple[int, ...], ...]
    preference: np.ndarray
    tree: TokenTree


def token_game(
    vocabulary: int,
    length: int,
    prefer: Callable[[tuple[int, ...], tuple[int, ...]], float],
    *,
    eos: int | None = 0,
) -> TokenGame:
    """Returns the game of all strings, under any preference between two of them.

    Args:
      vocabulary: number of tokens, 0 to vocabulary - 1.
      length: most tokens of a string, >= 1.
      prefer: P(y beats z), called once a pair with y before z.
      eos: the token that ends a string, and is its last one unless it is cut at
        `length`; None if all strings have the full length.

    Returns:
      The game.

    Raises:
      ValueError: if a probability is not in [0, 1], or a size or the token none.
    """
    checks.whole(vocabulary, "vocabulary")
    checks.whole(length, "length")
    if eos is not None and not 0 <= checks.whole(eos, "eos", least=0) < vocabulary:
        raise ValueError(f"eos must be a token below {vocabulary}, or None, not {eos}")
    responses = tuple(
        tokens
        for size in range(1, length + 1)
        for tokens in itertools.product(range(vocabulary), repeat=size)
        if eos not in tokens[:-1] and (size == length or tokens[-1] == eos)
    )
    responses = tuple(sorted(responses))
    preference = np.full((len(responses), len(responses)), 0.5)
    for y, z in itertools.combinations(range(len(responses)), 2):
        preference[y, z] = checks.setting(
            prefer(responses[y], responses[z]), "prefer(y, z)", least=0, most=1
        )
        preference[z, y] = 1 - preference[y, z]
    tokens = np.zeros((len(responses), length), int)
    mask = np.zeros((len(responses), length), bool)
    for row, response in enumerate(responses):
        tokens[row, : len(response)] = response
        mask[row, : len(response)] = True
    tree = token_tree(tokens, mask)
    return TokenGame(responses, preferences.check(preference), tree)


def token_mixture_fixed_point(
    tree: TokenTree,
    preference: Array,
    reference: Array,
    tau: float,
    mix: float,
) -> np.ndarray:
    r"""Returns the fixed point of methods that sample from the token-level mixture.

    .. math:: \pi(y) \propto \mu(y) \exp(P(y > w) / \tau), \quad
              w = \mathrm{mixture}(\pi, \mu, mix)

    Online IPO (mix = 0), IPO-MD and Nash-MD-PG are stationary there (Calandriello et
    al. 2024, arXiv:2403.08635, section 5, with the mixture that is sampled from in
    practice). For one-token responses w is the Nash policy of tau / (1 - mix); for
    longer ones it is near it.

    Args:
      tree: the responses.
      preference: `[*B, Y, Y]` preference.
      reference: `[*B, Y]` policy mu, positive everywhere.
      tau: strength of the regularisation, > 0.
      mix: the reference's weight in the mixture, in [0, 1].

    Returns:
      `[*B, Y]` policy pi, float64, with tau max|log pi - log BR(w)| <= 1e-10.

    Raises:
      ValueError: if an argument breaks its law.
      ArithmeticError: if no fixed point was found to that accuracy.
    """
    preference = preferences.check(preference)
    log_reference = np.log(preferences.check_policy(reference, "reference"))
    chex.assert_shape(log_reference, (*preference.shape[:-2], tree.passes.shape[1]))
    _check_mix(mix)
    size = log_reference.shape[-1]
    anchors = log_reference.reshape(-1, size)
    opponent = _mixture_opponent(tree, anchors, mix)
    games = preference.reshape(-1, size, size)
    log_policy = path_following.follow_path(games, anchors, tau, opponent)
    return np.exp(log_policy).reshape(log_reference.shape)


def _mixture_opponent(tree, log_reference, mix):
    """Returns the mixture as a function of log pi `[N, Y]`, with its derivative."""
    anchor = tree._log_mass(log_reference)
    siblings = tree._siblings()

    def opponent(log_policy):
        log_mass = tree._log_mass(log_policy)
        mixed = tree._mix(log_mass, anchor, mix)
        weights = np.exp(mixed @ tree.passes)
        # Each derivative with respect to log pi follows the line it differentiates.
        within = log_policy[:, None, :] - log_mass[:, :, None]
        share = np.exp(np.where(tree.passes, within, -np.inf))
        slope = (1 - mix) * share
        slope -= (siblings * np.exp(mixed)[:, None, :]) @ slope
        log_slope = tree.passes.T @ slope
        return weights, lambda matrix: (matrix * weights[:, None, :]) @ log_slope

    return opponent


def _check_mix(mix):
    """Raises if mix is not a weight."""
    checks.setting(mix, "mix", least=0, most=1)
