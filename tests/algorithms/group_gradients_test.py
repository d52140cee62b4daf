"""What one group teaches, written from the papers, for rows that are easily confused.

Several rows have one expected update, or one resting place: `identity_test` and
`experiments/fixed_points` cannot tell them apart, or not by where they rest. What a
single group of responses makes of them does: who has written each response, and the
slopes of the group's loss by the log-probability of every token and by what heads say.
The formulas are the papers', in numpy, token by token; the numbers that they read are
fixed and have nothing to do with any policy, so that nothing cancels.

MCTS-DPO is not among those told apart: its update is DPO's, and what is its own is the
search that labels come from (`rounds_test`, `sampling/search_test`).
"""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import algorithms
from nashalign.types import Groups, Prompts, Responses
from tests import token_game

BATCH, NUMBER, LENGTH = 2, 6, 4
_RANDOM = np.random.default_rng(11)
LENGTHS = np.array([[4, 1, 4, 2, 4, 3], [3, 4, 1, 3, 2, 4]])
MASK = np.arange(LENGTH) < LENGTHS[..., None]


def _tokens():
    return np.where(MASK, -_RANDOM.exponential(size=MASK.shape), 0.0)


POLICY = _tokens()
FROZEN = {name: _tokens() for name in token_game.FROZEN}
REWARDS = _RANDOM.normal(size=(BATCH, NUMBER))
# What heads say of each token, or response; and of old, before the epochs on a batch.
HEADS = {
    "values": _RANDOM.normal(size=MASK.shape),
    "mismatched": np.array([[0.7] * 6, [0.2] * 6]),
    "log_collision": np.where(
        MASK, -np.linspace(0.1, 1.3, MASK.size).reshape(MASK.shape), 0.0
    ),
    "degrees": np.log(_RANDOM.dirichlet(np.ones(4), size=MASK.shape[:2])),
}
OLD = {
    "old_log_probs": np.where(MASK, POLICY + 0.4 * _RANDOM.normal(size=MASK.shape), 0),
    "old_values": HEADS["values"] + 0.3 * _RANDOM.normal(size=MASK.shape),
}
_ABOVE = np.triu(_RANDOM.random((BATCH, NUMBER, NUMBER)), 1)
PREFERENCE = _ABOVE + np.tril(1 - _ABOVE.swapaxes(1, 2), -1) + np.eye(NUMBER) / 2


def fixed_groups(method) -> Groups:
    """One group a prompt: the first response by the first author, and so on."""
    indices = np.tile(np.arange(len(method.authors)), (BATCH, 1, 1))
    table = Responses(
        tokens=jnp.zeros(MASK.shape, jnp.int32),
        mask=jnp.asarray(MASK),
        truncated=jnp.zeros(MASK.shape[:2], bool),
    )
    reads = method.annotation
    return Groups(
        prompts=Prompts(
            tokens=jnp.zeros((BATCH, 1), jnp.int32),
            mask=jnp.ones((BATCH, 1), bool),
            ids=jnp.arange(BATCH),
        ),
        responses=table,
        frozen_log_probs={n: jnp.asarray(values) for n, values in FROZEN.items()},
        members=jnp.asarray(indices[..., : method.num_members]),
        opponents=jnp.asarray(indices[..., method.num_members :]),
        probability=jnp.ones((BATCH, 1)),
        preference=None if reads == "reward" else jnp.asarray(PREFERENCE),
        rewards=jnp.asarray(REWARDS) if reads == "reward" else None,
        log_probs=jnp.asarray(POLICY),
    )


def taught(method):
    """Who has written each response, and the slopes of a group's loss, by name."""
    with jax.enable_x64(True):
        method = method.at(0)
        groups = fixed_groups(method)
        groups = method.select(method, method.label(method, groups))
        read = {name: jnp.asarray(HEADS[name]) for name, _ in method.statistics}

        def total(log_probs, read):
            statistics = {n: jnp.asarray(v) for n, v in OLD.items()} | read
            given = dataclasses.replace(
                groups, log_probs=log_probs, statistics=statistics
            )
            return jnp.sum(algorithms.group_losses(method, given)[0])

        by_policy, by_heads = jax.grad(total, (0, 1))(groups.log_probs, read)
    # Where there is no token its log-probability is a constant.
    slopes = {"policy": np.where(MASK, by_policy, 0.0)}
    writers = [author(method.settings) for author in method.authors]
    return writers, slopes | {n: np.asarray(v) for n, v in by_heads.items()}


# --- What the papers say of a group `g` with settings `s`: slopes by what they are of,
# `[N, T]` of the policy's log-probabilities.


def group(b):
    """A prompt's fixed numbers, by the names that the formulas have for them."""
    frozen = {name: values[b] for name, values in FROZEN.items()}
    told = {name: values[b] for name, values in (HEADS | OLD).items()}
    return SimpleNamespace(
        log_pi=POLICY[b],
        mask=MASK[b],
        P=PREFERENCE[b],
        r=REWARDS[b],
        frozen=frozen,
        id=b,
        **told,
    )


def to_go(tokens):
    """At each token, the sum from it on."""
    return np.cumsum(tokens[..., ::-1], -1)[..., ::-1]


def scores(g, credits):
    """Slopes of -credit log pi; `credits` are `{response: [T]}`."""
    slopes = np.zeros_like(g.log_pi)
    for response, credit in credits.items():
        slopes[response] = -np.where(g.mask[response], credit, 0.0)
    return {"policy": slopes}


def of_margin(g, slope):
    """Slopes of a loss of h(0, 1), whose own slope is given."""
    return scores(g, {0: np.full(LENGTH, -slope), 1: np.full(LENGTH, slope)})


def margin(g, **anchor):
    """h: the difference of the first two responses' log-ratios from an anchor."""
    ratio = g.log_pi - sum(w * g.frozen[name] for name, w in anchor.items())
    return ratio[0].sum() - ratio[1].sum()


def logistic(x):
    return 1 / (1 + np.exp(-x))


def penalty_to_go(g, s):
    """tau times the log-ratios of the tokens from each on."""
    return s["tau"] * to_go(g.log_pi - g.frozen["reference"])


def rl(g, s):
    """REINFORCE, the other response's reward for a baseline; KL from each token on."""
    kl = penalty_to_go(g, s)
    return scores(g, {i: (g.r[i] - g.r[1 - i] - kl[i]) / 2 for i in range(2)})


def rloo(g, s):
    """Ahmadian et al. 2024: 1/k sum_i (R_i - mean of the others' R) grad log pi(y_i).

    R is the reward less tau times the log-ratio of the whole response.
    """
    k = s["num_responses"]
    penalised = g.r - s["tau"] * (g.log_pi - g.frozen["reference"]).sum(-1)
    others = {i: np.delete(penalised[:k], i).mean() for i in range(k)}
    return scores(g, {i: (penalised[i] - others[i]) / k for i in range(k)})


def ppo(g, s):
    """Schulman et al. 2017, as Ouyang et al. 2022 use it, of the one response.

    Rewards of tokens are -tau log-ratio, and r at the last; advantages are sums of
    trace^k times errors of the value; the ratio is that to the policy before the batch,
    and the value is clipped around what it was.
    """
    end, old = g.mask[0].sum(), g.old_values[0]
    reward = -s["tau"] * (g.old_log_probs[0] - g.frozen["reference"][0])
    reward[end - 1] += g.r[0]
    after = np.append(old[1:end], 0.0)
    error = reward[:end] + after - old[:end]
    powers = s["trace"] ** np.arange(LENGTH)
    credit, by_value = np.zeros(LENGTH), np.zeros_like(g.log_pi)
    for t in range(end):
        advantage = (powers[: end - t] * error[t:]).sum()
        ratio = np.exp(g.log_pi[0, t] - g.old_log_probs[0, t])
        stopped = ratio > 1 + s["clip"] if advantage > 0 else ratio < 1 - s["clip"]
        credit[t] = 0.0 if stopped else ratio * advantage
        value, aim = g.values[0, t], advantage + old[t]
        near = old[t] + np.clip(value - old[t], -s["clip"], s["clip"])
        moves = abs(value - aim) >= abs(near - aim)
        by_value[0, t] = s["value"] * (value - aim) if moves else 0.0
    return scores(g, {0: credit}) | {"values": by_value}


def nash_pg(g, s):
    """Munos et al. 2023: (P(y > y') - 1/2 - tau log-ratio) grad log pi(y)."""
    return scores(g, {0: g.P[0, 1] - 0.5 - penalty_to_go(g, s)[0]})


def spo(g, s):
    """Swamy et al. 2024: each response's reward is its mean win over the others."""
    k, kl = s["num_responses"], penalty_to_go(g, s)
    wins = [np.delete(g.P[i, :k], i).mean() for i in range(k)]
    return scores(g, {i: (wins[i] - 0.5 - kl[i]) / k for i in range(k)})


def online_ipo(g, s):
    """Calandriello et al. 2024: p (h - 1/2tau)^2 + (1 - p) (h + 1/2tau)^2."""
    h, p, aim = margin(g, reference=1.0), g.P[0, 1], 1 / (2 * s["tau"])
    return of_margin(g, 2 * p * (h - aim) + 2 * (1 - p) * (h + aim))


def egpo(g, s):
    """Zhou et al. 2025: (h - (P(y > y'') - P(y' > y'')) / beta)^2, y'' a third one."""
    aim = (g.P[0, 2] - g.P[1, 2]) / s["tau"]
    return of_margin(g, 2 * (margin(g, reference=1.0) - aim))


def nash_mirror_prox(g, s):
    """Tiapkin et al. 2025, in the paper's own step.

    log pi' = (log ref + log pi_k / step + P(. > rival) / tau) / (1 + 1 / step)
    """
    weight = s["eta"] * s["tau"]
    step = weight / (1 - weight)
    whole = 1 + 1 / step
    h = margin(g, reference=1 / whole, iterate=1 / step / whole)
    aim = (g.P[0, 2] - g.P[1, 2]) / s["tau"] / whole
    return of_margin(g, 2 * (h - aim))


def dpo(g, s):
    """Rafailov et al. 2023: -p log sigma(tau h) - (1 - p) log sigma(-tau h)."""
    scaled, p = s["tau"] * margin(g, reference=1.0), g.P[0, 1]
    slope = -p * logistic(-scaled) + (1 - p) * logistic(scaled)
    return of_margin(g, s["tau"] * slope)


def mean_scores(g, credits):
    """Slopes of credits of mean log-likelihoods, `{response: credit}`."""
    shares = {i: np.full(LENGTH, c / g.mask[i].sum()) for i, c in credits.items()}
    return scores(g, shares)


def mean_log_likelihoods(g):
    """Of a token, the end's included."""
    return g.log_pi.sum(-1) / g.mask.sum(-1)


def simpo(g, s):
    """Meng et al. 2024: -log sigma(beta (mean of y - mean of z) - gamma), either way.

    Means are over a response's own tokens.
    """
    mean, p = mean_log_likelihoods(g), g.P[0, 1]
    h = s["tau"] * (mean[0] - mean[1])
    credit = p * logistic(s["gamma"] - h) - (1 - p) * logistic(s["gamma"] + h)
    return mean_scores(g, {0: s["tau"] * credit, 1: -s["tau"] * credit})


def cpo(g, s):
    """Xu et al. 2024: -log sigma(beta (log pi(y) - log pi(z))) - log pi(y)."""
    h, p = s["tau"] * margin(g), g.P[0, 1]
    credit = s["tau"] * (p * logistic(-h) - (1 - p) * logistic(h))
    said = s["likelihood"]
    whole = {0: credit + said * p, 1: said * (1 - p) - credit}
    return scores(g, {i: np.full(LENGTH, c) for i, c in whole.items()})


def orpo(g, s):
    """Hong et al. 2024: mean likelihood, and lambda times the log of a ratio of odds.

    The log-odds of a mean p have the slope 1 / (1 - exp p).
    """
    mean, p = mean_log_likelihoods(g), g.P[0, 1]
    chance = np.exp(mean)
    odds = np.log(chance / (1 - chance))
    h = odds[0] - odds[1]
    credit = s["odds"] * (p * logistic(-h) - (1 - p) * logistic(h)) / (1 - chance)
    return mean_scores(g, {0: p + credit[0], 1: 1 - p - credit[1]})


def best_first(g, s):
    """The places of the best and of the worst of the first K, by reward."""
    among = g.r[: s["num_responses"]]
    return int(among.argmax()), int(among.argmin())


def iterative_rpo(g, s):
    """Pang et al. 2024: DPO of best over worst, alpha times the best's mean likelihood.

    Margins are from the iterate.
    """
    ratio = (g.log_pi - g.frozen["iterate"]).sum(-1)
    best, worst = best_first(g, s)
    credit = s["tau"] * logistic(-s["tau"] * (ratio[best] - ratio[worst]))
    said = s["likelihood"] / g.mask[best].sum()
    return scores(
        g,
        {best: np.full(LENGTH, credit + said), worst: np.full(LENGTH, -credit)},
    )


def raft(g, s):
    """Dong et al. 2023: the likelihood of the best of K."""
    return scores(g, {best_first(g, s)[0]: np.ones(LENGTH)})


def preference_degree(g, s):
    """Li et al. 2024: DPO, and telling by how much the winner was corrupted.

    The third response is the first, corrupted, and the fourth the second.
    """
    by_degree = np.zeros_like(g.degrees)
    by_degree[2:4, g.id % s["num_degrees"]] = -s["degree"] * g.P[[0, 1], [1, 0]]
    return dpo(g, s) | {"degrees": by_degree}


def group_relative(in_deviations, per_token):
    """Shao et al. 2024, and Liu et al. 2025: rewards less the mean of the group's.

    The surrogate's slope is the ratio times the advantage where the clip does not stop
    it, and k3's is 1 - ref / pi.
    """

    def formula(g, s):
        k, clip, credits = s["num_responses"], s["clip"], {}
        rewards = g.r[:k]
        advantages = rewards - rewards.mean()
        if in_deviations:
            square = ((rewards - rewards.mean()) ** 2).sum() / (k - 1)
            advantages = advantages / (np.sqrt(square) + 1e-4)
        for i, advantage in enumerate(advantages):
            ratio = np.exp(g.log_pi[i] - g.old_log_probs[i])
            stopped = ratio > 1 + clip if advantage > 0 else ratio < 1 - clip
            won = np.where(stopped, 0.0, ratio * advantage)
            other = np.exp(g.frozen["reference"][i] - g.log_pi[i])
            length = g.mask[i].sum() if per_token else 1
            credits[i] = (won - s["tau"] * (1 - other)) / length / k
        return scores(g, credits)

    return formula


def returns(g, s):
    """The rewards of the first response's tokens from each on."""
    end = g.mask[0].sum()
    reward = -s["tau"] * (g.old_log_probs[0] - g.frozen["reference"][0])
    reward[end - 1] += g.r[0]
    return to_go(np.where(g.mask[0], reward, 0.0))


def reinforce_plus_plus(g, s):
    """Hu 2025: PPO's surrogate, of returns in deviations over all of the batch."""
    both = [group(b) for b in range(BATCH)]
    every = np.concatenate([returns(other, s)[other.mask[0]] for other in both])
    advantage = (returns(g, s) - every.mean()) / (every.std() + 1e-4)
    ratio = np.exp(g.log_pi[0] - g.old_log_probs[0])
    clip = s["clip"]
    stopped = np.where(advantage > 0, ratio > 1 + clip, ratio < 1 - clip)
    return scores(g, {0: np.where(stopped, 0.0, ratio * advantage)})


def kto(g, s):
    """Ethayarajh et al. 2024: what the first response is worth, and its label.

    z0 is what the other prompt's first response has gained behind this one, on average.
    """
    gained = max(0.0, HEADS["mismatched"][:, 0].mean())
    h = (g.log_pi - g.frozen["reference"])[0].sum()
    x = s["tau"] * (h - gained)
    steep = s["tau"] * logistic(x) * logistic(-x)
    wanted = g.r[0] > s["threshold"]
    worth = s["desirable"] if wanted else -s["undesirable"]
    return scores(g, {0: np.full(LENGTH, worth * steep)})


def chi_po(g, s):
    """Huang et al. 2024: phi(x) = x + log x, whose slope by log x is x + 1."""
    h = (g.log_pi - g.frozen["reference"])[:2].sum(-1)
    implicit = s["tau"] * (np.exp(h) + h)
    gap, p = implicit[0] - implicit[1], g.P[0, 1]
    if abs(gap) >= 2 * s["bound"]:
        return scores(g, {})
    slope = s["tau"] * (-p * logistic(-gap) + (1 - p) * logistic(gap))
    return scores(g, {i: (-1) ** (i + 1) * slope * (np.exp(h[i]) + 1) for i in (0, 1)})


def wpo(g, s):
    """Zhou et al. 2024: DPO times how much both responses are the policy's own."""
    relative = np.where(g.mask, g.log_pi - g.log_collision, 0.0)
    means = relative.sum(-1) / g.mask.sum(-1)
    weight = np.exp(means[0] + means[1])
    return {"policy": weight * dpo(g, s)["policy"]}


# --- Rows: who writes, and what the group teaches.

POLICY_ALONE, ITERATE, DATA = {"policy": 1.0}, {"iterate": 1.0}, {"data": 1.0}
PAPERS = {
    "rl": ([POLICY_ALONE] * 2, rl),
    "rloo": ([POLICY_ALONE] * 3, rloo),
    "ppo": ([POLICY_ALONE], ppo),
    "grpo": ([POLICY_ALONE] * 3, group_relative(True, True)),
    "dr_grpo": ([POLICY_ALONE] * 3, group_relative(False, False)),
    "reinforce_plus_plus": ([POLICY_ALONE], reinforce_plus_plus),
    "dpo": ([DATA] * 2, dpo),
    "chi_po": ([DATA] * 2, chi_po),
    "wpo": ([DATA] * 2, wpo),
    "kto": ([DATA], kto),
    "preference_degree": ([DATA] * 4, preference_degree),
    "simpo": ([DATA] * 2, simpo),
    "cpo": ([DATA] * 2, cpo),
    "orpo": ([DATA] * 2, orpo),
    "iterative_rpo": ([ITERATE] * 3, iterative_rpo),
    "raft": ([ITERATE] * 3, raft),
    "tr_dpo": ([DATA] * 2, dpo),
    "tr_dpo_hard": ([DATA] * 2, dpo),
    "self_rewarding": ([DATA] * 2, dpo),
    "mcts_dpo": ([DATA] * 2, dpo),
    "online_ipo": ([POLICY_ALONE] * 2, online_ipo),
    "self_play_pg": ([POLICY_ALONE] * 2, nash_pg),
    "nash_ema_pg": ([POLICY_ALONE, {"average": 1.0}], nash_pg),
    "spo": ([POLICY_ALONE] * 4, spo),
    "egpo": ([POLICY_ALONE] * 2 + [{"ahead": 1.0}], egpo),
    "nash_mirror_prox": ([ITERATE] * 2 + [{"rival": 1.0}], nash_mirror_prox),
    "mixed_po": ([POLICY_ALONE], ppo),
}


# Where all that is their own is at work.
_PPO = {"tau": 0.3, "clip": 0.2, "trace": 0.7, "value": 0.4, "num_epochs": 3}
SETTINGS = token_game.SETTINGS | {
    "ppo": _PPO,
    "mixed_po": _PPO,
    "chi_po": {"tau": 0.2, "bound": 3.0},
    "preference_degree": {"tau": 0.7, "degree": 0.3, "num_degrees": 4},
}


def configured(name):
    return algorithms.configure(name, **SETTINGS[name])


def is_the_papers(name, method):
    """Whether a method does with a group what the paper of this name says."""
    writers, slopes = taught(method)
    expected_writers, formula = PAPERS[name]
    settings = configured(name).settings
    papers = [formula(group(b), settings) for b in range(BATCH)]
    expected = {part: np.stack([p[part] for p in papers]) for part in papers[0]}
    assert all(np.abs(slope).max() > 0.05 for slope in expected.values())
    if writers != expected_writers or not expected.keys() <= slopes.keys():
        return False
    # What the paper does not train through is read, and has no slope.
    if any(slopes[p].any() for p in slopes.keys() - expected.keys()):
        return False
    return all(np.abs(slopes[p] - expected[p]).max() < 1e-12 for p in expected)


@pytest.mark.parametrize("name", PAPERS)
def test_a_row_learns_from_a_group_what_its_paper_says(name):
    assert is_the_papers(name, configured(name))


def test_the_fixed_numbers_reach_every_branch_of_ppo():
    found = [ppo(group(b), configured("ppo").settings) for b in range(BATCH)]
    for slopes in zip(*(f.values() for f in found), strict=True):
        stopped = [s[0][MASK[b, 0]] == 0 for b, s in enumerate(slopes)]
        assert 0 < np.concatenate(stopped).mean() < 1


@pytest.mark.parametrize(
    "name, relative, settings",
    [
        ("rl", "rloo", {"num_responses": 2}),
        ("rloo", "rl", {}),
        ("ppo", "rl", {}),
        ("ppo", "ppo", {"trace": 1.0}),
        ("ppo", "ppo", {"value": 0.0}),
        ("preference_degree", "dpo", {}),
        ("preference_degree", "preference_degree", {"degree": 0.0}),
        ("grpo", "dr_grpo", {}),
        ("dr_grpo", "rloo", {}),
        ("dr_grpo", "grpo", {}),
        ("dr_grpo", "dr_grpo", {"clip": 0.3}),
        ("reinforce_plus_plus", "ppo", {"trace": 1.0, "value": 0.0}),
        ("wpo", "dpo", {}),
        ("dpo", "wpo", {}),
        ("chi_po", "dpo", {}),
        ("kto", "kto", {"undesirable": 0.9, "desirable": 1.3}),
        ("spo", "self_play_pg", {}),
        ("self_play_pg", "spo", {"num_responses": 2}),
        ("nash_ema_pg", "self_play_pg", {}),
        ("egpo", "online_ipo", {}),
        ("nash_mirror_prox", "online_ipo", {}),
        ("nash_mirror_prox", "egpo", {}),
        ("online_ipo", "self_play_pg", {}),
    ],
)
def test_a_row_with_the_same_resting_place_learns_something_else(
    name, relative, settings
):
    own = algorithms.TABLE[relative].defaults
    shared = {k: v for k, v in SETTINGS[name].items() if k in own}
    values = SETTINGS[relative] | shared | settings
    assert not is_the_papers(name, algorithms.configure(relative, **values))
