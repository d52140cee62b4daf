r"""Gradients of the online losses, and the variance of their estimates.

The gradients of the library's flows are read off one step at a small policy of random
logits; what they are compared with is summed here from its formula, with the score
s(y) = grad log pi(y), whose z-th entry is 1[y = z] - pi(z).
"""

import numpy as np

from experiments.theorems.theorem import Theorem, mixture
from nashalign import games

TAU, MIX = 0.3, 0.4


def _problem(seed: int, size: int = 5):
    """Returns a preference, a reference and a policy."""
    rng = np.random.default_rng(seed)
    reference, policy = rng.dirichlet(np.full(size, 2.0), size=2)
    return games.random_preference(seed, size), reference, policy


def _gradient(factory, preference, reference, policy, **settings):
    """Returns the gradient of a flow's loss by its logits, without what all share."""
    solver = factory(tau=TAU, learning_rate=1.0, **settings)
    state = solver.init(reference)._replace(log_policy=np.log(policy))
    after = np.asarray(solver.update(state, preference).log_policy)
    gradient = np.log(policy) - after
    return gradient - gradient.mean()


def _score_sum(writer, policy, coefficient):
    """Returns the sum of writer(y) s(y) coefficient(y)."""
    scores = np.eye(len(policy)) - policy
    return (writer * coefficient) @ scores


def _advantage(preference, reference, policy, writer):
    """Returns P(y > w) - 1/2 - tau r(y) and r = log pi / mu."""
    ratio = np.log(policy / reference)
    return preference @ writer - 0.5 - TAU * ratio, ratio


def online_ipo_constant() -> tuple[float, float]:
    r"""The gradient of online IPO over that of self-play, tau 0.3.

    With A(y, z) = 2 h - (2 P - 1) / tau, antisymmetric, the loss has the gradient
    E[A (s(y) - s(z))] = 2 E[A s(y)] = -(4/tau) E[s(y) (P(y > pi) - 1/2 - tau r(y))].
    Each ordered pair is counted once; a convention that counts unordered ones, as the
    paper's 2/tau may do, halves it.
    """
    preference, reference, policy = _problem(20)
    ours = _gradient(games.online_ipo, preference, reference, policy)
    advantage, _ = _advantage(preference, reference, policy, policy)
    self_play = _score_sum(policy, policy, advantage)
    return -4 / TAU, (ours @ self_play) / (self_play @ self_play)


def online_ipo_direction() -> tuple[float, float]:
    """The cosine of the gradients of online IPO and self-play policy gradient."""
    problem = _problem(21)
    one = _gradient(games.online_ipo, *problem)
    other = _gradient(games.self_play_pg, *problem)
    return 1.0, _cosine(one, other)


def ipo_md_centred() -> tuple[float, float]:
    r"""The error of -(4/tau) E_w[s (P(y > w) - 1/2 - tau (r - E_w r))], mix 0.4.

    As for online IPO, but E_w[s] = w - pi is not zero, and the mean of r stays.
    """
    preference, reference, policy = _problem(22)
    writer = mixture(policy, reference, MIX)
    ours = _gradient(games.ipo_md, preference, reference, policy, mix=MIX)
    advantage, ratio = _advantage(preference, reference, policy, writer)
    exact = _score_sum(writer, policy, advantage + TAU * (writer @ ratio))
    exact = -4 / TAU * exact
    return 0.0, np.abs(ours - (exact - exact.mean())).max()


def ipo_md_uncentred() -> tuple[float, float]:
    """How far the best multiple of the formula without E_w r is off, 100 problems."""
    worst = 0.0
    for seed in range(100):
        preference, reference, policy = _problem(300 + seed)
        writer = mixture(policy, reference, MIX)
        ours = _gradient(games.ipo_md, preference, reference, policy, mix=MIX)
        advantage, _ = _advantage(preference, reference, policy, writer)
        relayed = _score_sum(writer, policy, advantage)
        best = (ours @ relayed) / (relayed @ relayed) * relayed
        worst = max(worst, np.abs(ours - best).max() / np.abs(ours).max())
    return 0.01, worst


def another_gradient() -> tuple[float, float]:
    """The cosine of the gradients of IPO-MD and Nash-MD-PG, mix 0.4, 100 problems."""
    cosines = []
    for seed in range(100):
        problem = _problem(100 + seed)
        one = _gradient(games.ipo_md, *problem, mix=MIX)
        other = _gradient(games.nash_md_pg, *problem, mix=MIX)
        cosines.append(_cosine(one, other))
    return 0.99, min(cosines)


def contrastive_is_unbiased() -> tuple[float, float]:
    """The mean of (X1 + X2)/2 over the library's gradient of online IPO, projected.

    X1 = -s(y) f and X2 = s(z) f, f = P - 1/2 - tau r(y) + tau r(z), pairs from the
    policy, 400,000 of them drawn; the gradient is 4/tau times their mean.
    """
    preference, reference, policy = _problem(23)
    ours = _gradient(games.online_ipo, preference, reference, policy)
    first, second, chance = _all_pairs(preference, reference, policy)
    rng = np.random.default_rng(23)
    drawn = rng.choice(len(chance), size=400_000, p=chance / chance.sum())
    mean = ((first + second) / 2)[drawn].mean(axis=0)
    return TAU / 4, (mean @ ours) / (ours @ ours)


def contrastive_is_quieter() -> tuple[float, float]:
    """The largest variance over the single-sided, where the condition is met.

    If E[s(y) s(z) f^2] >= 0 then Cov(X1, X2) <= 0, and the ratio, (1 + Cov / Var)/2, is
    at most a half. The condition is sufficient and rare: of 600 problems of three
    responses, half of them at the reference, five meet it. The ratio is below 1 in all.
    """
    ratios = []
    for seed in range(300):
        preference, reference, policy = _problem(200 + seed, 3)
        for at in (policy, reference):
            first, second, chance = _all_pairs(preference, reference, at)
            if -(chance @ (first * second)).sum() >= 0:
                ratios.append(_variance_ratio(first, second, chance))
    return 0.5, max(ratios)


def two_responses_are_equally_noisy() -> tuple[float, float]:
    """That ratio for two responses under the uniform policy and reference."""
    first, second, chance = _all_pairs(
        np.array([[0.5, 0.8], [0.2, 0.5]]), np.full(2, 0.5), np.full(2, 0.5)
    )

    return 1.0, _variance_ratio(first, second, chance)


def _variance_ratio(first, second, chance):
    """Returns the variance of (X1 + X2)/2 over that of X1, summed over logits."""

    def spread(values):
        return (chance @ values**2 - (chance @ values) ** 2).sum()

    return spread((first + second) / 2) / spread(first)


def _all_pairs(preference, reference, policy):
    """Returns X1 and X2 of every ordered pair, `[Y^2, Y]`, and its probability."""
    size = len(policy)
    ratio = np.log(policy / reference)
    f = preference - 0.5 - TAU * (ratio[:, None] - ratio[None, :])
    scores = np.eye(size) - policy
    first = (-f[:, :, None] * scores[:, None, :]).reshape(size**2, size)
    second = (f[:, :, None] * scores[None, :, :]).reshape(size**2, size)
    return first, second, np.outer(policy, policy).ravel()


def _cosine(one, other):
    """Returns the cosine of two vectors."""
    return one @ other / np.sqrt((one @ one) * (other @ other))


CALANDRIELLO = "Calandriello et al. 2024"

THEOREMS = (
    Theorem(
        "online IPO's gradient is -(4/tau) times the self-play gradient (paper: 2/tau)",
        CALANDRIELLO + ", prop. 4.2",
        "=",
        online_ipo_constant,
    ),
    Theorem(
        "online IPO and self-play policy gradient point the same way (cosine)",
        CALANDRIELLO + ", prop. 4.2",
        "=",
        online_ipo_direction,
    ),
    Theorem(
        "IPO-MD's gradient, centred, is -(4/tau) E_w[s (P - 1/2 - tau (r - E_w r))]",
        CALANDRIELLO + ", prop. 5.1, corrected",
        "=",
        ipo_md_centred,
    ),
    Theorem(
        "no multiple of the uncentred formula is IPO-MD's gradient (threshold: 1%)",
        CALANDRIELLO + ", prop. 5.1, as relayed",
        ">=",
        ipo_md_uncentred,
    ),
    Theorem(
        "IPO-MD and Nash-MD-PG have different gradients (least cosine; threshold)",
        CALANDRIELLO + ", section 5",
        "<=",
        another_gradient,
    ),
    Theorem(
        "the contrastive estimate has tau/4 times online IPO's gradient as its mean",
        CALANDRIELLO + ", appendix D",
        "=",
        contrastive_is_unbiased,
        tolerance=0.02,
    ),
    Theorem(
        "contrastive variance <= half the single-sided where E[s s' f^2] >= 0",
        CALANDRIELLO + ", prop. D.1",
        "<=",
        contrastive_is_quieter,
    ),
    Theorem(
        "contrastive variance, two responses, uniform policy: no smaller (ratio)",
        CALANDRIELLO + ", appendix D",
        "=",
        two_responses_are_equally_noisy,
    ),
)
