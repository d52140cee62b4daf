"""How far mixing tokens is from mixing responses: by length, mix and tau.

Methods that write from the token-level mixture come to rest where it is almost, but not
quite, the Nash policy of tau / (1 - mix). Here is by how much: mean total variation
over random games on all strings of three tokens up to a length. It vanishes for one
token, and is proportional to mix (1 - mix) / tau^2 while tau is large (rows of the
table). With length it grows where tau is small; where tau is large it is largest at two
or three tokens: the more strings there are, the more alike are their win rates against
a mixture of them all.
"""

import jax
import matplotlib.figure
import numpy as np
import scipy.special

from experiments.theorems.theorem import (
    Theorem,
    mixture,
    random_games,
    total_variation,
)
from nashalign import evaluation, games

LENGTHS, TAUS, MIXES = (1, 2, 3, 4), (0.02, 0.1, 0.5), (0.125, 0.5, 0.75)


def distances(
    length: int, tau: float, mix: float, num_games: int = 20
) -> tuple[float, float]:
    """Returns mean distances over random games: of mixtures, and of fixed points.

    The first is that of the token-level mixture at rest from the Nash policy of
    tau / (1 - mix); the second, of the policy from the one that has it as its mixture.
    """
    tree = games.token_game(3, length, lambda y, z: 0.5).tree
    preference, reference = random_games(16, num_games, tree.passes.shape[1])
    token = games.token_mixture_fixed_point(tree, preference, reference, tau, mix)
    mixed = games.regularized_nash(preference, reference, tau / (1 - mix))
    sequence = mixture(mixed, reference, -mix / (1 - mix))
    writer = tree.mixture(token, reference, mix)
    return (
        float(total_variation(writer, mixed).mean()),
        float(total_variation(token, sequence).mean()),
    )


def draw() -> matplotlib.figure.Figure:
    """Draws the distance of the mixture from its Nash policy, a panel a tau."""
    figure = evaluation.Figure(figsize=(10, 3.2), layout="constrained")
    for axes, tau in zip(figure.subplots(1, 3), TAUS, strict=True):
        for mix, shade in zip(MIXES, ("0.7", "0.45", "0.0"), strict=True):
            values = [distances(length, tau, mix)[0] for length in LENGTHS]
            # Colours are those of methods; a mix is a shade.
            axes.plot(
                LENGTHS, values, "o-", markersize=4, color=shade, label=f"mix = {mix}"
            )
        axes.set(xlabel="tokens", title=f"tau = {tau}", xticks=LENGTHS)
        axes.set_ylim(bottom=0)
        axes.grid(color="0.92")
    figure.axes[0].set_ylabel("total variation from Nash")
    figure.axes[0].legend(frameon=False)
    return figure


def token_mixture_at_one_token() -> tuple[float, float]:
    """Five responses of one token: token-level from sequence-level mixture, mix 0.4."""
    game = games.token_game(5, 1, lambda y, z: 0.5)
    policy, reference = np.random.default_rng(0).dirichlet(np.ones(5), size=2)
    token = game.tree.mixture(policy, reference, 0.4)
    return 0.0, float(total_variation(token, mixture(policy, reference, 0.4)))


def token_mixture_fixed_point() -> tuple[float, float]:
    """IPO-MD that writes from the token-level mixture: all strings of up to 3 tokens.

    The exact gradient of the loss over pairs of the token-level mixture is followed,
    the mixture being made string by string; its limit and the fixed point solved on the
    tree of prefixes are compared by their distance from the fixed point of the
    sequence-level mixture.
    """
    game, reference = _strings(3)
    tau, mix = 0.05, 0.5
    exact = games.token_mixture_fixed_point(
        game.tree, game.preference, reference, tau, mix
    )
    sequences = _sequence_fixed_point(game.preference, reference, tau, mix)

    def loss(logits, writer):
        log_ratio = jax.nn.log_softmax(logits) - np.log(reference)
        margin = log_ratio[:, None] - log_ratio[None, :]
        losses = game.preference * (margin - 1 / (2 * tau)) ** 2
        return writer @ losses @ writer

    slope, logits = jax.jit(jax.grad(loss)), np.log(reference)
    for _ in range(2000):
        writer = _walked(game.responses, scipy.special.softmax(logits), reference, mix)
        logits = logits - 2.0 * np.asarray(slope(logits, writer))
    found = scipy.special.softmax(logits)
    return (
        float(total_variation(exact, sequences)),
        float(total_variation(found, sequences)),
    )


def token_mixture_and_tau() -> tuple[float, float]:
    """The mean distance of the two mixtures at tau 10 over that at tau 20, mix 0.5.

    They differ by the normalisers of prefixes, log E_mu[(pi/mu)^(1 - mix)] within a
    prefix, against those of siblings: as log pi/mu is P(y > w)/tau up to a constant, by
    mix (1 - mix) / 2 times its variance within the prefix, to leading order 1/tau^2.
    """
    (near, _), (far, _) = (distances(3, tau, 0.5) for tau in (10.0, 20.0))
    return 4.0, near / far


def token_mixture_fixed_point_and_tau() -> tuple[float, float]:
    """The same for the fixed points: another 1/tau, by which win rates count."""
    (_, near), (_, far) = (distances(3, tau, 0.5) for tau in (10.0, 20.0))
    return 8.0, near / far


def token_mixture_and_mix() -> tuple[float, float]:
    """The mean distance of the two mixtures at mix 0.5 over that at 0.1, tau 20."""
    (half, _), (tenth, _) = (distances(3, 20.0, mix) for mix in (0.5, 0.1))
    return 0.25 / 0.09, half / tenth


def _walked(responses, policy, reference, mix):
    """Returns the token-level mixture, one string and one token after the other."""

    def conditional(probabilities, prefix):
        mass = {}
        for response, chance in zip(responses, probabilities, strict=True):
            if len(response) > len(prefix) and response[: len(prefix)] == prefix:
                token = response[len(prefix)]
                mass[token] = mass.get(token, 0.0) + chance
        return {token: chance / sum(mass.values()) for token, chance in mass.items()}

    tables = {}
    for prefix in {r[:t] for r in responses for t in range(len(r))}:
        ours, theirs = conditional(policy, prefix), conditional(reference, prefix)
        mixed = {a: ours[a] ** (1 - mix) * theirs[a] ** mix for a in ours}
        tables[prefix] = {a: w / sum(mixed.values()) for a, w in mixed.items()}
    return np.array(
        [np.prod([tables[r[:t]][r[t]] for t in range(len(r))]) for r in responses]
    )


def _strings(length):
    """Returns a token game of three tokens, and a reference that is not uniform."""
    rng = np.random.default_rng(length)
    game = games.token_game(3, length, lambda y, z: rng.uniform())
    logits = rng.normal(size=len(game.responses))
    return game, scipy.special.softmax(logits)


def _sequence_fixed_point(preference, reference, tau, mix):
    """Returns the policy whose mixture is the Nash policy of tau / (1 - mix)."""
    mixed = games.regularized_nash(preference, reference, tau / (1 - mix))
    return mixture(mixed, reference, -mix / (1 - mix))


CALANDRIELLO = "IPO-MD, Calandriello et al. 2024"

THEOREMS = (
    Theorem(
        "token-level and sequence-level mixture agree for one token",
        CALANDRIELLO + "; ours",
        "=",
        token_mixture_at_one_token,
    ),
    Theorem(
        "IPO-MD, token by token, rests this far from IPO-MD on sequences",
        "ours",
        "=",
        token_mixture_fixed_point,
        tolerance=1e-5,
    ),
    Theorem(
        "token and sequence mixtures differ by O(1/tau^2) (tau 10 over 20)",
        "ours",
        "=",
        token_mixture_and_tau,
        tolerance=0.02,
    ),
    Theorem(
        "fixed points of the two mixtures: O(1/tau^3) apart (tau 10 over 20)",
        "ours",
        "=",
        token_mixture_fixed_point_and_tau,
        tolerance=0.02,
    ),
    Theorem(
        "the two mixtures differ by mix (1 - mix) (mix .5 over .1)",
        "ours",
        "=",
        token_mixture_and_mix,
        tolerance=0.02,
    ),
)
