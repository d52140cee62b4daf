r"""The tabular figure of EGPO (Zhou et al. 2025, arXiv:2503.08942).

Ten games of ten responses, pairs drawn uniformly, references with normal logits, every
run started at the reference; the regularised duality gap, mean and range over games, at
three strengths of regularisation. Iterations and learning rates are the paper's.

The paper's methods descend on a loss over uniform ordered pairs with a learning rate l.
Its gradient is 4/n (log pi/mu - P/tau, centred), so that the mirror-descent step is
eta = 4 l / (tau n); the paper's own conversion, used in Nash-MD's mixture alone, has a
2. Online IPO and Nash-MD-PG, whose responses come from the policy, take l as it is.
"""

from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import matplotlib.figure
import matplotlib.ticker
import numpy as np
import scipy.special

from nashalign import evaluation, games

NUM_GAMES, NUM_RESPONSES, MIX = 10, 10, 0.125
# tau, number of iterations and learning rate of each panel.
PANELS = ((0.001, 100_000, 2e-4), (0.01, 5_000, 0.02), (0.1, 1_000, 0.1))
FLOOR = 1e-6
_DASHED = "mirror descent"


def solvers(tau: float, learning_rate: float) -> dict[str, games.Solver]:
    """Returns the methods of the figure by name."""
    eta = 4 * learning_rate / (tau * NUM_RESPONSES)
    return {
        "EGPO": games.extragradient(tau=tau, eta=eta),
        "mirror descent": games.mirror_descent(tau=tau, eta=eta),
        "Nash-MD": games.nash_md(tau=tau, eta=eta),
        "online IPO": games.online_ipo(tau=tau, learning_rate=learning_rate),
        "Nash-MD-PG": games.nash_md_pg(tau=tau, mix=MIX, learning_rate=learning_rate),
    }


def curves(
    seed: int = 0, progress: Callable[[Iterable], Iterable] = iter
) -> dict[tuple[float, str], np.ndarray]:
    """Runs every method; returns gaps `[101, NUM_GAMES]` by tau and method.

    In float64: float32 does not see gaps below 1e-7.
    """
    preference = games.random_preference(seed, (NUM_GAMES, NUM_RESPONSES))
    logits = np.random.default_rng(seed).normal(size=preference.shape[:-1])
    reference = scipy.special.softmax(logits, axis=-1)
    runs = [
        (tau, name, solver, num_steps)
        for tau, num_steps, learning_rate in PANELS
        for name, solver in solvers(tau, learning_rate).items()
    ]
    found = {}
    with jax.enable_x64(True):
        for tau, name, solver, num_steps in progress(runs):
            _, gaps = games.sweep(
                lambda solver=solver: solver,
                {},
                preference,
                reference,
                num_steps=num_steps,
                every=num_steps // 100,
                measure=lambda state, preference, tau=tau: games.duality_gap(
                    jnp.exp(state.log_policy),
                    preference,
                    jnp.exp(state.log_reference),
                    tau,
                ),
            )
            first = games.duality_gap(reference, preference, reference, tau)
            found[tau, name] = np.concatenate([first[None], gaps[:, 0]])
    return found


def draw(found: dict[tuple[float, str], np.ndarray]) -> matplotlib.figure.Figure:
    """Draws a panel a tau: the mean gap of each method, and its range over games.

    Mirror descent is drawn last and dashed: the lines that it lies on stay visible.
    """
    figure = evaluation.Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, (tau, num_steps, rate) in zip(panels, PANELS, strict=True):
        steps = np.linspace(0, num_steps, 101)
        names = list(solvers(tau, rate))
        styles = evaluation.styles(names)
        for name in sorted(names, key=lambda name: name == _DASHED):
            gaps = np.maximum(found[tau, name], FLOOR)
            color, dashes = styles[name].color, "--" if name == _DASHED else "-"
            axes.plot(
                steps, gaps.mean(axis=1), color=color, linestyle=dashes, label=name
            )
            axes.fill_between(
                steps,
                gaps.min(axis=1),
                gaps.max(axis=1),
                color=color,
                alpha=0.1,
                linewidth=0,
            )
        axes.axhline(FLOOR, color="0.5", linewidth=0.8, linestyle=":", zorder=0)
        axes.set(yscale="log", title=f"tau = {tau}", ylim=(FLOOR / 3, 2))
        evaluation.finish_axes(axes, "iteration", "")
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
        axes.xaxis.set_major_formatter("{x:,.0f}")
    panels[0].set_ylabel("regularised duality gap")
    panels[0].text(
        0.02,
        FLOOR / 1.25,
        "dotted: floor of the figure; gaps below are drawn on it",
        fontsize=7,
        va="top",
        transform=panels[0].get_yaxis_transform(),
    )
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=5,
        frameon=False,
    )
    return figure
