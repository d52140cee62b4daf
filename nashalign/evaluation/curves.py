"""Learning curves: what training logs, as a mean over seeds with an interval.

A curve is a mean over prompts and over seeds. A record holds, beside a metric, half of
its 95% interval over prompts; how far seeds scatter is pooled over methods, step by
step. What a log lacks is left out of its band, and the legend says what bands are over.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.figure
import matplotlib.ticker
import numpy as np

from nashalign.evaluation import figures, seeds
from nashalign.evaluation.intervals import Interval, Variance

HALF_WIDTH = "_half_width"
"""What is added to a metric's name for the half-width of its interval over prompts."""


class _Curve(NamedTuple):
    """One method's records of one metric.

    Attributes:
      steps: `[num_steps]`, rising.
      values: for each step, those of the seeds that have it.
      half_widths: `[num_steps]` over prompts; 0 where none was logged.
    """

    steps: np.ndarray
    values: Sequence[np.ndarray]
    half_widths: np.ndarray


def learning_curves_figure(
    curves: Mapping[str, Sequence[Mapping[str, float]]],
    metrics: Mapping[str, str],
    *,
    step: str = "step",
    window: int = 9,
) -> matplotlib.figure.Figure:
    """A panel for each metric, a line for each method, within a band.

    The thin line is what was logged, the thick one its running mean; where there are
    too few records for one, each is marked. Records of several seeds at one step are
    averaged. The band is the 95% interval of the thick line, over prompts by the
    half-widths in the records, which are taken to be independent from step to step
    where the line is a running mean, and over seeds by their variance, which is not. A
    method that has no such metric has no line; records that lack it are passed over.

    Args:
      curves: records of each method, as read from its metrics file: mappings from the
        names of metrics to numbers, one a step and seed. Half of a metric's interval
        over prompts is beside it, under its name and `_half_width`, if it was logged.
      metrics: label of the axis for each metric drawn, in the order of the panels.
      step: name of the record's entry that holds the step.
      window: records that the running mean spans, centred.

    Returns:
      The figure.
    """
    num_columns = min(3, len(metrics))
    num_rows = -(-len(metrics) // num_columns)
    figure = figures.Figure(
        figsize=(3.7 * num_columns, 2.6 * num_rows + 0.7), layout="constrained"
    )
    panels = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    styles, over = figures.styles(list(curves)), set()
    for axes, (metric, label) in zip(panels, metrics.items(), strict=False):
        found = {name: _curve(own, step, metric) for name, own in curves.items()}
        found = {name: curve for name, curve in found.items() if len(curve.steps)}
        variances = _seed_variances(found.values())
        over |= {"seeds"} if variances else set()
        for name, curve in found.items():
            over |= {"prompts"} if curve.half_widths.any() else set()
            _draw(axes, curve, variances, styles[name].color, name, window)
        figures.finish_axes(axes, step, label)
        axes.xaxis.set_major_locator(
            matplotlib.ticker.MaxNLocator(integer=True, steps=[1, 2, 5, 10])
        )
    for axes in panels[len(metrics) :]:
        axes.set_axis_off()
    _legend_below(figure, panels, " and ".join(sorted(over)))
    return figure


def _curve(records, step, metric) -> _Curve:
    """The records of one metric, step by step."""
    found = {}
    for record in records:
        if record.get(metric) is not None:
            half_width = record.get(metric + HALF_WIDTH) or 0.0
            found.setdefault(record[step], []).append((record[metric], half_width))
    groups = [np.array(found[key], float) for key in sorted(found)]
    return _Curve(
        np.array(sorted(found), float),
        [own[:, 0] for own in groups],
        # Seeds share the prompts, so that their mean is no surer of them than one is.
        np.array([math.sqrt(np.mean(own[:, 1] ** 2)) for own in groups]),
    )


def _seed_variances(curves) -> dict[float, Variance]:
    """Variance of one run over seeds at each step where some method has several."""
    groups = {}
    for curve in curves:
        for key, values in zip(curve.steps, curve.values, strict=True):
            groups.setdefault(key, []).append(values)
    pooled = {key: seeds.pooled_variance(own) for key, own in groups.items()}
    return {key: variance for key, variance in pooled.items() if variance}


def _draw(axes, curve, variances, color, name, window):
    """One method's line, smoothed if it is long, else with a mark for each record."""
    values = np.array([own.mean() for own in curve.values])
    if len(values) < 3 * window:
        window = 1
        axes.plot(
            curve.steps, values, color=color, marker="o", markersize=3, label=name
        )
    else:
        axes.plot(curve.steps, values, color=color, linewidth=0.6, alpha=0.35)
        values = _running_mean(values, window)
        axes.plot(curve.steps, values, color=color, label=name)
    reach = _reach(curve, variances, window)
    if reach.any():
        shade = {"color": color, "alpha": 0.12, "linewidth": 0}
        axes.fill_between(curve.steps, values - reach, values + reach, **shade)


def _reach(curve, variances, window):
    """Half-width `[num_steps]` of the interval of a running mean."""
    spans = _window_sum(np.ones_like(curve.steps), window)
    over_prompts = np.sqrt(_window_sum(curve.half_widths**2, window)) / spans
    pooled = [variances.get(key) for key in curve.steps]
    per_run = np.array([0.0 if own is None else own.value for own in pooled])
    per_run = _running_mean(per_run, window)
    found = []
    for half_width, own, variance, values in zip(
        over_prompts, pooled, per_run, curve.values, strict=True
    ):
        if own is not None:
            own = seeds.of_mean(Variance(variance, own.degrees), len(values))
        found.append(seeds.widen(Interval(0.0, half_width), own).half_width)
    return np.array(found)


def _running_mean(values, window):
    """Centred mean over a window that shrinks at the ends."""
    return _window_sum(values, window) / _window_sum(np.ones_like(values), window)


def _window_sum(values, window):
    """Centred sum over a window that shrinks at the ends."""
    return np.convolve(values, np.ones(min(window, len(values))), "same")


def _legend_below(figure, panels, over):
    """One legend for all panels, each name once, and what bands are over."""
    handles = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=max(len(handles), 1),
        frameon=False,
        title=f"bands: 95% intervals over {over}" if over else None,
        title_fontsize="small",
    )
