"""The tabular figure of COMAL (Liu et al. 2024, arXiv:2410.23223).

Three responses that beat each other in a cycle; the duality gap without regularisation.
The paper gives neither step nor start: here every step is 0.3 and the start is
(.2, .5, .3). Iterative IPO solves IPO against the last iterate, anchored there, and
iterative DPO the same with DPO, which fits rewards to pairs of the last iterate.
"""

import jax
import jax.numpy as jnp
import matplotlib.figure
import numpy as np

from nashalign import evaluation, games

START = np.array([0.2, 0.5, 0.3])
TAU, ETA, NUM_INNER, NUM_STEPS = 0.1, 0.3, 200, 10_000

SOLVERS = {
    "iterative IPO": games.mirror_descent(tau=0.0, eta=ETA),
    "SPPO": games.sppo(eta=ETA),
    "INPO": games.inpo(tau=TAU, paper_eta=1 / ETA),
    "COMAL": games.comal(tau=TAU, eta=ETA, num_inner=NUM_INNER),
}


def curves() -> dict[str, np.ndarray]:
    """Runs every method; returns gaps `[NUM_STEPS + 1]` by name, in float64."""
    preference = games.three_cycle()
    found = {}
    with jax.enable_x64(True):
        gap = jax.jit(lambda policy: games.duality_gap(policy, preference))
        for name, solver in SOLVERS.items():
            run = jax.jit(
                lambda start, solver=solver: games.run(
                    solver,
                    start,
                    preference,
                    num_steps=NUM_STEPS,
                    measure=lambda state: gap(jnp.exp(state.log_policy)),
                )
            )
            gaps = run(solver.init(START))[1]
            found[name] = np.append(gap(START), gaps)
        found["iterative DPO"] = np.array([gap(p) for p in iterative_dpo(preference)])
    return found


def iterative_dpo(preference: np.ndarray) -> list[np.ndarray]:
    """Returns the policies of iterative DPO, the first 1,000 steps.

    The optimum of DPO on pairs of pi_t, anchored at pi_t, is pi_t exp(eta r), r being
    the Bradley-Terry rewards fitted to those pairs.
    """
    policies = [START]
    for _ in range(1000):
        rewards = games.fit_bradley_terry(preference, policies[-1]).rewards
        unnormalised = np.maximum(policies[-1] * np.exp(ETA * rewards), 1e-12)
        policies.append(unnormalised / unnormalised.sum())
    return policies


def draw(found: dict[str, np.ndarray]) -> matplotlib.figure.Figure:
    """Draws the gap of each method over its steps.

    Iterative IPO and SPPO take the same steps: one is dashed, on top of the other. The
    end of a run that is shorter than the others is marked.
    """
    figure = evaluation.Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.subplots()
    styles = evaluation.styles(list(found))
    longest = max(map(len, found.values()))
    for name in sorted(found, key=lambda name: name == "iterative IPO"):
        gaps, color = np.maximum(found[name], 1e-16), styles[name].color
        same = name == "iterative IPO"
        label = f"{name} (the same steps as SPPO)" if same else name
        if len(gaps) < longest:
            label = f"{name} (its first {len(gaps) - 1:,} steps)"
            axes.plot(len(gaps) - 1, gaps[-1], "|", color=color, markersize=14)
        axes.plot(
            np.arange(len(gaps)),
            gaps,
            color=color,
            label=label,
            linewidth=1.2,
            linestyle=(0, (4, 4)) if same else "-",
        )
    axes.set(yscale="log", xscale="symlog", xlim=(0, NUM_STEPS))
    evaluation.finish_axes(axes, "iteration", "duality gap without regularisation")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure
