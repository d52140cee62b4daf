"""The objective of every row as its paper defines it, by sums over all responses.

In numpy, for a token game, as a function of a policy's log-probabilities. Nothing here
knows groups, samplers or losses: differentiated by finite differences, it is what the
expected update is held against. `view` has the policy in training and the frozen ones
as log-probabilities `[B, Y]` of all responses to each prompt; `at(level)` is the policy
in training where a level is appended to the prompt; `told` is what heads say, before
each token of every response `[B, Y, T, ...]`.

Of some methods nobody here has the paper's formula. Their definitions only repeat the
row's own reading: that row and definition agree shows that the row is what it says, not
that it is the paper's.

- `sequential_po`: the margin that retains earlier dimensions is from memory of the
  equation, and one `retain` for all of them is ours.
- `self_prompting`: the schedule of the gap, and that writers are mixtures token by
  token.
- `optune`: the weight, a logistic function of the gap of rewards.
- `osp`: the strength of a pair, by Bradley-Terry's model of both against the baseline.
- `onpo`: the loss on pairs; the step that it is to take is the paper's.
- `soft_po_weighted`: the weight, a power of the pair's likelihood over its mean.
- `preference_degree`: what is taken out of the winner, its degree, and how that is
  told.
- `mixed_po`: the split into easy and difficult pairs (`rounds_test`,
  `experiments/fixed_points`).

`mcts_dpo` and `self_rewarding` are DPO by definition, and the last stage of `mixed_po`
PPO: what is their own is between rounds.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable

import numpy as np

from nashalign import algorithms
from tests import token_game

P = token_game.preference()
R = token_game.rewards()
HARD = np.where(np.isclose(P, 0.5), 0.5, P > 0.5)
RANKED = np.where(R[:, None] == R, 0.5, R[:, None] > R)
SIZE = len(R)


@dataclasses.dataclass(frozen=True)
class View:
    """What an objective may look at."""

    method: algorithms.Method
    log_pi: np.ndarray
    frozen: dict[str, np.ndarray]
    at: Callable[[int], np.ndarray]
    frozen_at: Callable[[str, int], np.ndarray]
    told: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def settings(self):
        return self.method.settings

    def mass(self, name):
        return np.exp(self.frozen[name])

    def ratio(self, **anchor):
        """Log-ratios from a geometric mixture; weights by name."""
        return self.log_pi - sum(w * self.frozen[n] for n, w in anchor.items())


def softplus(x):
    return np.logaddexp(0, x)


def logistic(x):
    return 1 / (1 + np.exp(-x))


def dpo(margin, preferred, tau):
    return preferred * softplus(-tau * margin) + (1 - preferred) * softplus(
        tau * margin
    )


def ipo(margin, preferred, tau):
    win, lose = (margin - 1 / (2 * tau)) ** 2, (margin + 1 / (2 * tau)) ** 2
    return preferred * win + (1 - preferred) * lose


def slic(margin, preferred, tau):
    win, lose = np.maximum(0, 1 - tau * margin), np.maximum(0, 1 + tau * margin)
    return preferred * win + (1 - preferred) * lose


def margins(values):
    """Differences `[B, Y, Y]`, first response minus second."""
    return values[:, :, None] - values[:, None, :]


def over_pairs(first, second, values):
    """Mean over prompts and over independent writers' pairs."""
    return (first[:, :, None] * second[:, None, :] * values).sum((1, 2)).mean()


def over_tuples(writers, value):
    """Mean over prompts of `value(b, indices)` over independent writers' responses."""
    total = 0.0
    for indices in itertools.product(range(SIZE), repeat=len(writers)):
        mass = np.prod([w[:, i] for w, i in zip(writers, indices, strict=True)], 0)
        total += np.mean([m * value(b, indices) for b, m in enumerate(mass)])
    return total


def pairs(loss, writer="policy", labels=P, anchor=(("reference", 1.0),), tau=None):
    """A row on pairs of one writer: `loss(margin, preferred, tau)`."""

    def objective(view):
        weights = dict(anchor(view.settings) if callable(anchor) else anchor)
        strength = view.settings["tau"] if tau is None else tau(view.settings)
        values = loss(margins(view.ratio(**weights)), labels, strength)
        mass = writer(view) if callable(writer) else view.mass(writer)
        return over_pairs(mass, mass, values)

    return objective


def mixed(view):
    """The token-level mixture of the policy, where it stands, and the reference."""
    return token_game.tree().mixture(
        view.mass("policy"), view.mass("reference"), view.method.mix
    )


def regularised(view, values, tau=None):
    """Minus the policy's mean value, plus tau KL; values are detached, `[B, Y]`."""
    tau = view.method.tau if tau is None else tau
    ratio = view.ratio(reference=1.0)
    return (np.exp(view.log_pi) * (tau * ratio - values)).sum(1).mean()


def reward(view):
    return regularised(view, R[None])


def win_rate_over(opponent):
    def objective(view):
        mass = opponent(view) if callable(opponent) else view.mass(opponent)
        return regularised(view, mass @ P.T)

    return objective


# --- Rewards.


def token_log_probs(log_policy):
    """Log-probabilities `[B, Y, T]` of each response's tokens, zero behind its end."""
    strings = token_game.strings()
    found = np.zeros((*log_policy.shape, max(map(len, strings))))
    for b, table in enumerate(conditionals(log_policy)):
        for y, string in enumerate(strings):
            for t, token in enumerate(string):
                found[b, y, t] = table[string[:t]][token]
    return found


def generalised_advantages(log_pi, log_reference, values, settings):
    """Schulman et al. 2015, with rewards of tokens as Ouyang et al. 2022 have them."""
    found = np.zeros_like(values)
    for y, string in enumerate(token_game.strings()):
        end = len(string)
        reward = -settings["tau"] * (log_pi - log_reference)[:, y, :end]
        reward[:, -1] += R[y]
        after = np.append(values[:, y, 1:end], np.zeros((len(values), 1)), 1)
        error = reward + after - values[:, y, :end]
        for t in range(end):
            powers = settings["trace"] ** np.arange(end - t)
            found[:, y, t] = error[:, t:] @ powers
    return found


def proximal_policy(view, old_log_pi=None, old_values=None, values=None):
    """Schulman et al. 2017: the clipped surrogate, and the clipped error of the critic.

    Of all responses, by the policy that wrote them. What is old is that policy and what
    the critic said then; before the first step it is where both stand.
    """
    settings = view.settings
    written = view.frozen["policy"] if old_log_pi is None else old_log_pi
    old = view.told["values"] if old_values is None else old_values
    now = view.told["values"] if values is None else values
    before, clip = token_log_probs(written), settings["clip"]
    reference = token_log_probs(view.frozen["reference"])
    advantage = generalised_advantages(before, reference, old, settings)
    ratio = np.exp(token_log_probs(view.log_pi) - before)
    clipped = np.clip(ratio, 1 - clip, 1 + clip)
    surrogate = -np.minimum(ratio * advantage, clipped * advantage)
    near, aim = old + np.clip(now - old, -clip, clip), old + advantage
    error = np.maximum((now - aim) ** 2, (near - aim) ** 2) / 2
    per_token = surrogate + settings["value"] * error
    own = np.array([[t < len(s) for t in range(2)] for s in token_game.strings()])
    return (np.exp(written) * (per_token * own).sum(-1)).sum(1).mean()


def selected(view, writer, value, number=3, last=None):
    """Mean of `value(b, best, worst)` over K responses of a writer, by reward."""

    def of(b, indices):
        best = max(indices, key=lambda i: R[i])
        return value(b, best, min(indices, key=lambda i: R[i]))

    return over_tuples([writer] * number, of)


def bonbon(view):
    number, share = 3, view.settings["likelihood"]
    tau = 1 / (2 * (number - 1) * sum(1 / k for k in range(1, number)))
    ratio = view.ratio(reference=1.0)

    def value(b, best, worst):
        margin = ratio[b, best] - ratio[b, worst]
        squared = (margin - 1 / (2 * tau)) ** 2
        return -share * view.log_pi[b, best] + (1 - share) * squared

    return selected(view, view.mass("reference"), value)


def bond(view):
    """Sessa et al. 2024, eq. 17 and algorithm 2; tau is the paper's gamma.

    A response is worse than both of two samples with the square of the chance that it
    is worse than one.
    """
    weight, anchor, forward = view.settings["backward"], view.mass("reference"), 0.0
    for i, j in itertools.product(range(SIZE), repeat=2):
        best = i if R[i] >= R[j] else j
        forward -= (anchor[:, i] * anchor[:, j] * view.log_pi[:, best]).mean()
    values = -np.log(16) * (anchor @ (R[:, None] > R)) ** 2
    backward = regularised(view, values, tau=1.0)
    return (
        (1 - weight) * forward + weight * backward + regularised(view, np.zeros(SIZE))
    )


def group_relative(in_deviations, per_token):
    """Shao et al. 2024, eq. 3 and 4, and Liu et al. 2025, of three responses."""

    def objective(view):
        tau, clip = view.settings["tau"], view.settings["clip"]
        now, old, reference = (
            token_log_probs(x)
            for x in (view.log_pi, view.frozen["policy"], view.frozen["reference"])
        )
        ratio, other = np.exp(now - old), np.exp(reference - now)
        bounded = np.clip(ratio, 1 - clip, 1 + clip)
        lengths = np.array([len(s) for s in token_game.strings()])

        def value(b, indices):
            rewards, total = R[list(indices)], 0.0
            for i, reward in zip(indices, rewards, strict=True):
                advantage = reward - rewards.mean()
                if in_deviations:
                    advantage = advantage / (rewards.std(ddof=1) + 1e-4)
                won = np.minimum(ratio[b, i] * advantage, bounded[b, i] * advantage)
                k3 = other[b, i] - np.log(other[b, i]) - 1
                own = (won - tau * k3)[: lengths[i]]
                total += own.mean() if per_token else own.sum()
            return -total / len(indices)

        return over_tuples([view.mass("policy")] * 3, value)

    return objective


def reinforce_plus_plus(view):
    """Hu 2025: returns in standard deviations over the tokens of a large batch."""
    tau, clip = view.settings["tau"], view.settings["clip"]
    old, mass = token_log_probs(view.frozen["policy"]), view.mass("policy")
    reference = token_log_probs(view.frozen["reference"])
    own = np.array([[t < len(s) for t in range(2)] for s in token_game.strings()])
    later = np.cumsum((old - reference)[..., ::-1], -1)[..., ::-1]
    returns = R[None, :, None] - tau * later
    share = own * mass[..., None] / (own * mass[..., None]).sum()
    mean = (share * returns).sum()
    deviation = np.sqrt((share * (returns - mean) ** 2).sum())
    advantage = (returns - mean) / (deviation + 1e-4)
    ratio = np.exp(token_log_probs(view.log_pi) - old)
    bounded = np.clip(ratio, 1 - clip, 1 + clip)
    won = np.minimum(ratio * advantage, bounded * advantage)
    return -(mass * (own * won).sum(-1)).sum(1).mean()


# --- Data sets.


def likelihood(weights):
    """Minus the mean log-likelihood under detached weights `[B, Y]`."""
    return lambda view: -(weights(view) * view.log_pi).sum(1).mean()


def best_of_data(view):
    """The law of the best of three independent responses of the data set."""
    order = np.argsort(R)
    up_to = view.mass("data")[:, order].cumsum(1) ** 3
    law = np.diff(up_to, axis=1, prepend=0.0)
    return law[:, np.argsort(order)]


def flipped(sign):
    """cDPO (1) and rDPO (-1): a label is wrong with probability `flip`."""

    def objective(view):
        flip, tau = view.settings["flip"], view.settings["tau"]
        h = margins(view.ratio(reference=1.0))

        def of_winner(h):
            loss = (1 - flip) * softplus(-tau * h) + sign * flip * softplus(tau * h)
            return loss if sign > 0 else loss / (1 - 2 * flip)

        values = P * of_winner(h) + (1 - P) * of_winner(-h)
        return over_pairs(view.mass("data"), view.mass("data"), values)

    return objective


def slic_hf(view):
    delta, weight = view.settings["margin"], view.settings["likelihood"]
    h = margins(view.log_pi)
    hinge = P * np.maximum(0, delta - h) + (1 - P) * np.maximum(0, delta + h)
    said = -P * view.log_pi[:, :, None] - (1 - P) * view.log_pi[:, None, :]
    return over_pairs(view.mass("data"), view.mass("data"), hinge + weight * said)


def conditionals(log_policy):
    """Log-probabilities of the next token after every prefix, `[B]` dictionaries."""
    strings, tables = token_game.strings(), []
    for row in np.exp(log_policy):
        mass = {}
        for string, share in zip(strings, row, strict=True):
            for length in range(len(string) + 1):
                mass[string[:length]] = mass.get(string[:length], 0.0) + share
        tables.append(
            {
                prefix: np.log([mass[(*prefix, v)] / mass[prefix] for v in range(3)])
                for prefix in mass
                if (*prefix, 0) in mass
            }
        )
    return tables


def sequential_kl(log_p, log_q):
    """KL of next-token distributions of p from q, summed along each response."""
    found = []
    for p, q in zip(conditionals(log_p), conditionals(log_q), strict=True):
        per = {s: (np.exp(p[s]) * (p[s] - q[s])).sum() for s in p}
        found.append(
            [sum(per[s[:t]] for t in range(len(s))) for s in token_game.strings()]
        )
    return np.array(found)


def soft_term(view, weight=1.0):
    alpha = view.settings["alpha"]
    h = margins(view.log_pi)
    values = weight * dpo(h, P, alpha) / alpha
    return over_pairs(view.mass("data"), view.mass("data"), values)


def held(view):
    """tau times the KL along responses written by the policy where it stands."""
    along = sequential_kl(view.log_pi, view.frozen["reference"])
    return view.method.tau * (view.mass("policy") * along).sum(1).mean()


def soft_weighted(view):
    """The weight is the row's own reading: the paper's is not public in full.

    Of a large batch: less the mean of the log-weight over the data set and prompts.
    """
    both = view.frozen["policy"][:, :, None] + view.frozen["policy"][:, None, :]
    log_weight, data = view.settings["power"] * both, view.mass("data")
    mean = over_pairs(data, data, log_weight)
    return soft_term(view, np.exp(log_weight - mean)) + held(view)


def soft_ranked(view):
    alpha = view.settings["alpha"]

    def value(b, indices):
        chosen = np.exp(R[list(indices)])
        scaled = alpha * view.log_pi[b, list(indices)]
        modelled = scaled - np.log(np.exp(scaled).sum())
        return -(chosen / chosen.sum() * modelled).sum() / alpha

    return over_tuples([view.mass("data")] * 3, value) + held(view)


def tdpo(detached):
    def objective(view):
        tau, h = view.settings["tau"], margins(view.ratio(reference=1.0))
        along = sequential_kl(view.frozen["reference"], view.log_pi)
        standing = sequential_kl(view.frozen["reference"], view.frozen["policy"])
        of_winner = standing if detached else along
        alpha = view.settings["alpha"] if detached else 1.0
        y_wins = h - alpha * (along[:, None, :] - of_winner[:, :, None])
        z_wins = -h - alpha * (along[:, :, None] - of_winner[:, None, :])
        values = P * softplus(-tau * y_wins) + (1 - P) * softplus(-tau * z_wins)
        return over_pairs(view.mass("data"), view.mass("data"), values)

    return objective


def mean_log_likelihoods(view):
    """Of a token, `[B, Y]`: log pi(y) over the number of its tokens, the end's too."""
    return view.log_pi / np.array([len(s) for s in token_game.strings()])


def of_winners(values):
    """Minus the value of a pair's winner, in expectation over the label."""
    return -P * values[:, :, None] - (1 - P) * values[:, None, :]


def simpo(view):
    """Meng et al. 2024, eq. 6: -log sigma(beta / |y| log pi(y) - the loser's - gamma).

    Either may have won.
    """
    beta, gamma = view.settings["tau"], view.settings["gamma"]
    h = beta * margins(mean_log_likelihoods(view))
    values = P * softplus(gamma - h) + (1 - P) * softplus(gamma + h)
    return over_pairs(view.mass("data"), view.mass("data"), values)


def cpo(view):
    """Xu et al. 2024: DPO from a uniform reference, and the winner's likelihood."""
    preferred = dpo(margins(view.log_pi), P, view.settings["tau"])
    values = preferred + view.settings["likelihood"] * of_winners(view.log_pi)
    return over_pairs(view.mass("data"), view.mass("data"), values)


def orpo(view):
    """Hong et al. 2024: the winner's likelihood, and a ratio of odds.

    Odds are of a response whose probability is the geometric mean of its tokens'.
    """
    mean = mean_log_likelihoods(view)
    chance = np.exp(mean)
    h = margins(np.log(chance / (1 - chance)))
    values = of_winners(mean) + view.settings["odds"] * dpo(h, P, 1.0)
    return over_pairs(view.mass("data"), view.mass("data"), values)


def chi_po(view):
    """Huang et al. 2024: DPO's loss of the ratio and its logarithm, clipped."""
    tau, bound = view.settings["tau"], view.settings["bound"]
    ratio = np.exp(view.log_pi) / view.mass("reference")
    implicit = margins(tau * (ratio + np.log(ratio)))
    clipped = np.clip(implicit, -2 * bound, 2 * bound)
    values = P * softplus(-clipped) + (1 - P) * softplus(clipped)
    return over_pairs(view.mass("data"), view.mass("data"), values)


def wpo(view):
    """Zhou et al. 2024: DPO, a pair weighed by how much it is the policy's."""
    weight = np.ones_like(view.log_pi)
    for b, table in enumerate(conditionals(view.frozen["policy"])):
        for y, string in enumerate(token_game.strings()):
            relative = [
                table[string[:t]][v] - np.log((np.exp(table[string[:t]]) ** 2).sum())
                for t, v in enumerate(string)
            ]
            weight[b, y] = np.exp(np.mean(relative))
    values = dpo(margins(view.ratio(reference=1.0)), P, view.settings["tau"])
    values = weight[:, :, None] * weight[:, None, :] * values
    return over_pairs(view.mass("data"), view.mass("data"), values)


def kto(view):
    """Ethayarajh et al. 2024, eq. 8, of a large batch.

    Of three prompts the first two have each other's responses for mismatched ones, and
    the third has the second's.
    """
    s, data, others = view.settings, view.mass("data"), [1, 0, 1]
    standing = view.frozen["policy"] - view.frozen["reference"]
    baseline = max(0.0, (data[others] * standing).sum(1).mean())
    h = view.ratio(reference=1.0)
    gained = s["desirable"] * (1 - logistic(s["tau"] * (h - baseline)))
    lost = s["undesirable"] * (1 - logistic(s["tau"] * (baseline - h)))
    return (data * np.where(s["threshold"] < R, gained, lost)).sum(1).mean()


def level_of(reward):
    """Three levels from -1 to 1."""
    return int(np.clip(np.floor((reward + 1) / 2 * 3), 0, 2))


def conditional(view):
    told = np.stack([view.at(level_of(R[y]))[:, y] for y in range(SIZE)], 1)
    # Every response is an example of its own, and so weighs as much as the others.
    return -(view.mass("data") * told).sum(1).mean()


def reward_augmented(view):
    tau, data, total = view.settings["tau"], view.mass("data"), 0.0
    for y, z in itertools.product(range(SIZE), repeat=2):
        for goal in (R[y], R[z]):
            level = level_of(goal)
            ratio = view.at(level) - view.frozen_at("reference", level)
            nearer = abs(R[z] - goal) - abs(R[y] - goal)
            label = 0.5 if nearer == 0 else float(nearer > 0)
            value = dpo(ratio[:, y] - ratio[:, z], label, tau)
            total += (data[:, y] * data[:, z] * value).mean() / 2
    return total


def without_rarest(string, degree, number):
    """A response less degree / number of its tokens, rounded up, but for the last."""
    *inner, last = string
    gone = math.ceil(degree * len(inner) / number)
    order = sorted(range(len(inner)), key=lambda t: (-inner[t], t))
    return (*(inner[t] for t in sorted(order[gone:])), last)


def told_degree(view):
    """DPO, and the error of telling by how much a pair's winner was corrupted.

    The degree of an example is the prompt's number, and it is told from the state
    before the last token. What is taken out is the row's own reading.
    """
    strings, number = token_game.strings(), view.settings["num_degrees"]
    error = np.zeros((3, SIZE))
    for b, (y, string) in itertools.product(range(3), enumerate(strings)):
        *before, _ = without_rarest(string, b, number)
        # Any response that begins like this has been in this state.
        seen = [list(s[: len(before)]) == before for s in strings]
        own = [t and len(s) > len(before) for t, s in zip(seen, strings, strict=True)]
        logits = view.told["degrees"][b, own.index(True), len(before)]
        error[b, y] = np.log(np.exp(logits).sum()) - logits[b]
    of_winner = P * error[:, :, None] + (1 - P) * error[:, None, :]
    values = dpo(margins(view.ratio(reference=1.0)), P, view.settings["tau"])
    values = values + view.settings["degree"] * of_winner
    return over_pairs(view.mass("data"), view.mass("data"), values)


def beaten(winner, loser, **anchor):
    """A logistic loss whose winner is one writer's response, the loser another's."""

    def objective(view):
        weights = {n: w(view.settings) if callable(w) else w for n, w in anchor.items()}
        h = margins(view.ratio(**weights))
        first, second = (
            w(view) if callable(w) else view.mass(w) for w in (winner, loser)
        )
        return over_pairs(first, second, softplus(-view.settings["tau"] * h))

    return objective


# --- Online pairs.


def osp(view):
    """The strength of a pair is the row's own reading, not the paper's formula."""
    tau, policy, ratio = (
        view.settings["tau"],
        view.mass("policy"),
        view.ratio(reference=1.0),
    )
    odds = np.log(P) - np.log1p(-P)

    def value(b, indices):
        *members, baseline = indices
        found = [
            dpo(
                ratio[b, y] - ratio[b, z],
                logistic(odds[y, baseline] - odds[z, baseline]),
                tau,
            )
            for y, z in itertools.combinations(members, 2)
        ]
        return np.mean(found)

    return over_tuples([policy] * 4, value)


def conditioned_writer(level):
    """The policy, pushed by the gap towards what it writes under a level.

    The row's own reading: the paper's schedule is not public.
    """

    def writer(view):
        gap = view.settings["gap"]
        written = np.exp(view.frozen_at("policy", level))
        return token_game.tree().mixture(view.mass("policy"), written, gap)

    return writer


def optune(view):
    """DPO on rankings; the weight is the row's own reading, not the paper's formula."""
    gap = np.abs(R[:, None] - R)
    h = margins(view.ratio(reference=1.0))
    weight = logistic(view.settings["sharpness"] * gap)
    values = weight * dpo(h, RANKED, view.settings["tau"])
    return over_pairs(view.mass("data"), view.mass("data"), values)


def sail(kind):
    """With rho 1: the objective, differentiated through labels and writers too."""

    def objective(view):
        tau, share = view.settings["tau"], view.settings["share"]
        h = margins(view.ratio(reference=1.0))
        data, policy = view.mass("data"), np.exp(view.log_pi)
        label = HARD if kind == "dpr" else logistic(tau * h)
        fit = -dpo(h, label, tau)
        writer = data if kind == "ddp" else policy
        plain = over_pairs(data, data, dpo(h, HARD, tau))
        return -share * over_pairs(writer, writer, fit) + (1 - share) * plain

    return objective


def selm(view):
    tau, ratio = view.settings["tau"], view.ratio(iterate=1.0)
    strings = token_game.strings()

    def greedy(b):
        table, string = conditionals(view.frozen["iterate"])[b], ()
        while string in table:
            string = (*string, int(table[string].argmax()))
        return strings.index(string)

    own = [greedy(b) for b in range(len(ratio))]

    def value(b, indices):
        three = (own[b], *indices)
        scores = [sum(HARD[i, j] for j in three) for i in three]
        best, worst = three[np.argmax(scores)], three[np.argmin(scores)]
        pair = softplus(-tau * (ratio[b, best] - ratio[b, worst]))
        return pair + view.settings["alpha"] * tau * ratio[b, own[b]]

    return over_tuples([view.mass("data")] * 2, value)


def xpo(view):
    h = margins(view.ratio(reference=1.0))
    values = dpo(h, HARD, view.settings["tau"])
    values = values + view.settings["alpha"] * view.log_pi[:, None, :]
    return over_pairs(view.mass("policy"), view.mass("reference"), values)


def iterative_dpo(view):
    follow = view.settings["follow"]
    ratio = view.ratio(iterate=follow, reference=1 - follow)

    def value(b, best, worst):
        return softplus(-view.settings["tau"] * (ratio[b, best] - ratio[b, worst]))

    return selected(view, view.mass("iterate"), value)


def iterative_rpo(view):
    """Pang et al. 2024, eq. 1: DPO from the iterate, alpha times the winner's mean.

    Where no response is better than another there is no pair.
    """
    mean, ratio = mean_log_likelihoods(view), view.ratio(iterate=1.0)

    def value(b, best, worst):
        if best == worst:
            return 0.0
        pair = softplus(-view.settings["tau"] * (ratio[b, best] - ratio[b, worst]))
        return pair - view.settings["likelihood"] * mean[b, best]

    return selected(view, view.mass("iterate"), value)


def raft(view):
    """Dong et al. 2023: minus the log-likelihood of the best of K of the iterate's."""
    return selected(
        view, view.mass("iterate"), lambda b, best, _: -view.log_pi[b, best]
    )


def dice(view):
    tau, share = view.settings["tau"], view.settings["replay"]
    ratio = view.ratio(iterate=1.0)
    lengths = np.array([len(s) for s in token_game.strings()])
    own = view.frozen["iterate"] - view.frozen["previous"]
    own = own - view.settings["penalty"] * lengths

    ended = [s[-1] == token_game.EOS for s in token_game.strings()]

    def value(b, indices):
        left = [i for i in indices if ended[i]] or [0]
        best = max(left, key=lambda i: own[b, i])
        worst = min(left, key=lambda i: own[b, i])
        return softplus(-tau * (ratio[b, best] - ratio[b, worst]))

    old = over_pairs(view.mass("data"), view.mass("data"), dpo(margins(ratio), P, tau))
    new = over_tuples([view.mass("iterate")] * 3, value)
    return share * old + (1 - share) * new


def reward_regression(view):
    """Gao et al. 2024: (h - eta (r(y) - r(z)))^2, pairs from the iterate."""
    error = margins(view.ratio(iterate=1.0) - view.settings["eta"] * R)
    return over_pairs(view.mass("iterate"), view.mass("iterate"), error**2)


# --- Nash policies.


def win_rate_regression(view):
    """Wu et al. 2024, eq. 4.6, with win rates over five responses, itself included.

    Its mean over the other four: the square's mean is that at the mean win rate, plus
    a variance on which the policy has no influence.
    """
    writer = view.mass("iterate")
    estimate = (0.5 + 4 * writer @ P.T) / 5
    error = view.ratio(iterate=1.0) - view.settings["eta"] * (estimate - 0.5)
    return (writer * error**2).sum(1).mean()


def rspo(view):
    """Tang et al. 2025, their code: SPPO, and divergences both ways."""
    ratio = view.ratio(reference=1.0)
    pull, forward = view.settings["pull"], view.settings["forward"]
    held = pull * ratio**2 + forward * np.exp(np.minimum(-ratio, 10))
    return win_rate_regression(view) + (view.mass("iterate") * held).sum(1).mean()


def proximal(settings):
    weight = settings["eta"] * settings["tau"]
    return {"reference": weight, "iterate": 1 - weight}


def historical(settings):
    weight, recent = settings["eta"] * settings["tau"], settings["recent"]
    return {
        "reference": weight,
        "iterate": (1 - weight) * recent,
        "previous": (1 - weight) * (1 - recent),
    }


def inverse_eta(settings):
    return 1 / settings["eta"]


def dno(view):
    eta, writer = view.settings["eta"], view.mass("iterate")
    label = np.zeros((len(writer), SIZE, SIZE))
    for four in itertools.combinations_with_replacement(range(SIZE), 4):
        orders = len(set(itertools.permutations(four)))
        wins = P[:, list(four)].mean(1)
        mass = orders * writer[:, list(four)].prod(1)
        label += mass[:, None, None] * logistic(wins[:, None] - wins)
    h = margins(view.ratio(iterate=1.0))
    return over_pairs(writer, writer, dpo(h, label, 1 / eta))


def dno_prct(view):
    tau, ratio = view.settings["tau"], view.ratio(iterate=1.0)

    def value(b, indices):
        scores = [(sum(P[i, j] for j in indices) - 0.5) / 3 for i in indices]
        if max(scores) - min(scores) < view.settings["margin"]:
            return 0.0
        best, worst = indices[np.argmax(scores)], indices[np.argmin(scores)]
        return softplus(-tau * (ratio[b, best] - ratio[b, worst]))

    return over_tuples([view.mass("iterate")] * 3 + [view.mass("data")], value)


def gap_square(target, writer, anchor):
    """(h - target)^2 on pairs of a writer; `target(view)` are values `[B, Y]`."""

    def objective(view):
        weights = anchor(view.settings) if callable(anchor) else anchor
        error = margins(view.ratio(**weights) - target(view))
        return over_pairs(view.mass(writer), view.mass(writer), error**2)

    return objective


def wins(view, name):
    return view.mass(name) @ P.T


OBJECTIVES = {
    "rl": reward,
    "rloo": reward,
    "ppo": proximal_policy,
    "bonbon": bonbon,
    "bond": bond,
    "grpo": group_relative(in_deviations=True, per_token=True),
    "dr_grpo": group_relative(in_deviations=False, per_token=False),
    "reinforce_plus_plus": reinforce_plus_plus,
    "sft": likelihood(lambda view: view.mass("data")),
    "dpo": pairs(dpo, "data"),
    "cdpo": flipped(1),
    "rdpo": flipped(-1),
    "ipo": pairs(ipo, "data"),
    "slic_hf": slic_hf,
    "soft_po": lambda view: soft_term(view) + held(view),
    "soft_po_weighted": soft_weighted,
    "soft_po_ranked": soft_ranked,
    "tdpo1": tdpo(detached=False),
    "tdpo2": tdpo(detached=True),
    "simpo": simpo,
    "cpo": cpo,
    "orpo": orpo,
    "tr_dpo": pairs(dpo, "data"),
    "tr_dpo_hard": pairs(dpo, "data"),
    "chi_po": chi_po,
    "wpo": wpo,
    "kto": kto,
    "filtered": likelihood(best_of_data),
    "rwr": likelihood(
        lambda view: view.mass("data") * np.exp((R - R.max()) / view.method.tau)
    ),
    "conditional": conditional,
    "reward_augmented": reward_augmented,
    "preference_degree": told_degree,
    # The row's own reading: nobody here has the paper's formula.
    "sequential_po": pairs(
        dpo,
        "data",
        anchor=lambda s: {"iterate": 1 + s["retain"], "reference": -s["retain"]},
    ),
    "spin": beaten("data", "iterate", iterate=1.0),
    "alpha_spin": beaten(
        "data",
        "iterate",
        iterate=lambda s: s["follow"],
        reference=lambda s: 1 - s["follow"],
    ),
    "online_dpo": pairs(dpo),
    "online_slic": pairs(slic),
    "online_ipo": pairs(ipo),
    "ipo_md": pairs(ipo, mixed),
    "oaif_dpo": pairs(dpo, labels=HARD),
    "oaif_ipo": pairs(ipo, labels=HARD),
    "oaif_slic": pairs(slic, labels=HARD),
    "osp": osp,
    "self_prompting": beaten(
        conditioned_writer(2), conditioned_writer(0), reference=1.0
    ),
    "bpo": pairs(dpo, "iterate", labels=HARD, anchor=(("iterate", 1.0),)),
    "optune": optune,
    "sail_ddp": sail("ddp"),
    "sail_dpp": sail("dpp"),
    "sail_dpr": sail("dpr"),
    "selm": selm,
    "xpo": xpo,
    "iterative_dpo": iterative_dpo,
    "iterative_rpo": iterative_rpo,
    "raft": raft,
    "rebel": reward_regression,
    "dice": dice,
    "self_rewarding": pairs(dpo, "data"),
    "mcts_dpo": pairs(dpo, "data"),
    "nash_md_pg": win_rate_over(mixed),
    "self_play_pg": win_rate_over("policy"),
    "best_response_pg": win_rate_over("reference"),
    "nash_ema_pg": win_rate_over("average"),
    "spo": win_rate_over("policy"),
    "sppo": win_rate_regression,
    "dno": dno,
    "dno_prct": dno_prct,
    "inpo": pairs(ipo, "iterate", anchor=proximal, tau=inverse_eta),
    "rspo": rspo,
    "comal": pairs(ipo, "iterate", anchor=proximal, tau=inverse_eta),
    # The row's own reading of the loss; the paper has the step.
    "onpo": gap_square(
        lambda view: (
            view.settings["eta"] * (2 * wins(view, "iterate") - wins(view, "previous"))
        ),
        "iterate",
        {"iterate": 1.0},
    ),
    "egpo": gap_square(
        lambda view: wins(view, "ahead") / view.settings["tau"],
        "policy",
        {"reference": 1.0},
    ),
    "nash_mirror_prox": gap_square(
        lambda view: view.settings["eta"] * wins(view, "rival"), "iterate", proximal
    ),
    "mpo": win_rate_over("policy"),
    "mnpo": pairs(ipo, "iterate", anchor=historical, tau=inverse_eta),
    "mixed_po": proximal_policy,
}
