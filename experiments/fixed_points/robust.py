"""Where rows rest that ask less of a data set than DPO does."""

import jax.numpy as jnp
import numpy as np
import scipy.optimize
import scipy.special

from experiments.fixed_points import game, theory
from experiments.fixed_points.entry import Entry

TAU = 0.7


def chi_optimum(seen):
    """Huang et al. 2024: reference phi^-1(r / tau + c), phi(x) = x + log x."""

    def policy(constant):
        # Wright's omega is what phi makes of it.
        return seen.reference * scipy.special.wrightomega(
            seen.rewards / seen.tau + constant
        )

    constant = scipy.optimize.brentq(
        lambda c: policy(c).sum() - 1, -50.0, 50.0, xtol=1e-14
    )
    return policy(constant)


def by_own_likelihood(seen):
    """Zhou et al. 2024: DPO, where a pair counts by how much it is the policy's."""

    def weights(standing):
        table = theory.per_prefix(jnp.log(standing))
        means = [
            jnp.mean(
                jnp.stack(
                    [
                        table[s[:t]][v] - jnp.log(jnp.sum(jnp.exp(2 * table[s[:t]])))
                        for t, v in enumerate(s)
                    ]
                )
            )
            for s in game.STRINGS
        ]
        return jnp.exp(jnp.stack(means))

    def objective(log_pi, standing):
        h = theory.margins(log_pi - np.log(seen.reference))
        weight = weights(standing)
        losses = theory.dpo(h, seen.preference, seen.tau)
        return theory.over_pairs(seen.data * weight, seen.data * weight, losses)

    return theory.stationary(objective, seen.reference)


# Of four reviewers two, three or all find a response desirable.
_DESIRABLE = np.arange(4)[:, None] < 2 + np.arange(game.SIZE) % 3
WANTED = game.game(rewards=np.where(_DESIRABLE, 0.5, -0.5))


def prospects(seen):
    """Ethayarajh et al. 2024: values relative to what the data set gains on average."""
    s, data, log_reference = seen.settings, seen.data, np.log(seen.reference)
    share = (seen.game.rewards > s["threshold"]).mean(0)

    def objective(log_pi, standing):
        gained = jnp.sum(data * (jnp.log(standing) - log_reference))
        gain = s["tau"] * (log_pi - log_reference - jnp.maximum(gained, 0.0))
        wanted = s["desirable"] * share * (1 - theory.logistic(gain))
        others = s["undesirable"] * (1 - share) * (1 - theory.logistic(-gain))
        return jnp.sum(data * (wanted + others))

    return theory.stationary(objective, seen.reference)


ENTRIES = (
    Entry(
        row="chi_po",
        settings={"tau": 0.3, "bound": 20.0},
        game=game.SCORED,
        prediction="reference phi^-1(r / tau + c), phi(x) = x + log x",
        predict=chi_optimum,
    ),
    Entry(
        row="wpo",
        settings={"tau": TAU},
        game=game.CYCLIC,
        prediction="where DPO rests whose pairs weigh as they are the policy's own",
        predict=by_own_likelihood,
    ),
    Entry(
        row="kto",
        settings={"tau": 0.5, "desirable": 1.5, "undesirable": 1.0, "threshold": 0.0},
        game=WANTED,
        prediction="where values rest, relative to what the data set has gained",
        predict=prospects,
        note="there is a place to rest only while each response is worth more than it "
        "costs: reviewers disagree",
    ),
)
