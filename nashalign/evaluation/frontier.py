"""Win rate against KL: what each method pays for what it wins, over a sweep.

One strength of regularisation ranks nothing, since each method means something else by
tau. Drawn against the KL divergence they all spent, methods can be compared: the higher
line wins more at the same distance from the reference (Gao et al. 2023,
arXiv:2210.10760).
"""

from collections.abc import Mapping, Sequence

import matplotlib.figure
import numpy as np

from nashalign.evaluation import figures, layout


def pool_seeds(
    records: Sequence[Mapping[str, float | str]],
) -> dict[str, dict[str, np.ndarray]]:
    """Mean and spread over seeds for each method and tau.

    Args:
      records: one a run, with `method`, `tau`, `kl` (nats) and `win_rate` (against the
        start policy, in [0, 1]); runs that differ in nothing but the seed are pooled.

    Returns:
      For each method, in the order of tables, arrays `[num_taus]` by name, tau rising:
      `tau`, and mean and sample standard deviation over seeds (0 for one seed) as `kl`,
      `kl_std`, `win_rate`, `win_rate_std`.
    """
    names = list(dict.fromkeys(str(record["method"]) for record in records))
    return {names[i]: _by_tau(records, names[i]) for i in layout.order(names)}


def _by_tau(records, name):
    """One method's line."""
    mine = [record for record in records if record["method"] == name]
    taus = sorted({record["tau"] for record in mine})
    line = {"tau": np.array(taus)}
    for axis in ("kl", "win_rate"):
        groups = [[r[axis] for r in mine if r["tau"] == tau] for tau in taus]
        line[axis] = np.array([np.mean(group) for group in groups])
        line[axis + "_std"] = np.array(
            [np.std(group, ddof=1) if len(group) > 1 else 0.0 for group in groups]
        )
    return line


def frontier_figure(
    records: Sequence[Mapping[str, float | str]], *, title: str = ""
) -> matplotlib.figure.Figure:
    """All methods in one panel, and each by itself with its tau beside the points.

    Points are means over seeds, bars their standard deviation in both directions, lines
    connect the taus of a method in their order. The start policy is at (0, 1/2).

    Args:
      records: see `pool_seeds`.
      title: head of the figure: annotator, prompts, seeds.

    Returns:
      The figure.
    """
    lines = pool_seeds(records)
    styles = figures.styles(list(lines))
    num_columns = min(2, max(len(lines), 1))
    num_rows = max(-(-len(lines) // 2), 1)
    height = 1.9 * max(num_rows, 2) + 0.9
    figure = figures.Figure(figsize=(12, height), layout="constrained")
    figure.suptitle(title, fontsize=11)
    [[left, right]] = figure.subfigures(1, 2, squeeze=False, width_ratios=[1.1, 1])
    left.suptitle("mean over seeds, bars: their standard deviation", fontsize=10)
    overview = left.subplots()
    for name, line in lines.items():
        _draw_line(overview, line, styles[name], label=name)
    _draw_start(overview, label=layout.START)
    figure.legend(
        *overview.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=len(lines) + 1,
        frameon=False,
    )
    figures.finish_axes(overview, _HORIZONTAL, "win rate against the start policy")
    panels = right.subplots(
        num_rows, num_columns, sharex=True, sharey=True, squeeze=False
    )
    for axes in panels.flat[len(lines) :]:
        axes.set_axis_off()
    # The last panel of each column has the numbers of the axis.
    for axes in panels.flat[max(len(lines) - num_columns, 0) : len(lines)]:
        axes.tick_params(labelbottom=True)
    for axes, name in zip(panels.flat, lines, strict=False):
        _draw_alone(axes, lines, name, styles[name])
    right.suptitle("each by itself, tau beside its points", fontsize=10)
    right.supxlabel(_HORIZONTAL, fontsize=10)
    return figure


_HORIZONTAL = "KL to the start policy (nats a response)"


def _draw_alone(axes, lines, name, style):
    """One method in colour with its taus, the others in grey behind it."""
    for other in lines:
        if other != name:
            axes.plot(lines[other]["kl"], lines[other]["win_rate"], color="#cccccc")
    line = lines[name]
    _draw_line(axes, line, style, label=name)
    _draw_start(axes, label=None)
    for tau, kl, win_rate in zip(
        line["tau"], line["kl"], line["win_rate"], strict=True
    ):
        axes.annotate(
            f"{tau:g}",
            (kl, win_rate),
            xytext=(5, -6),
            textcoords="offset points",
            ha="left",
            va="center",
            fontsize=7,
        )
    figures.finish_axes(axes, "", "")
    axes.set_title(name, fontsize=9, color=style.color)


def _draw_line(axes, line, style, label):
    """Points over tau, connected, with bars in both directions."""
    axes.errorbar(
        line["kl"],
        line["win_rate"],
        xerr=line["kl_std"],
        yerr=line["win_rate_std"],
        color=style.color,
        marker=style.marker,
        markersize=5,
        linewidth=1.4,
        elinewidth=0.8,
        label=label,
    )


def _draw_start(axes, label):
    """Where every method begins."""
    axes.axhline(0.5, color="#999999", linewidth=0.8, linestyle="--", zorder=0)
    axes.plot(0, 0.5, "*", color="#666666", markersize=9, zorder=4, label=label)
