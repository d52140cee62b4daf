"""The page of results: what the judge was told, and what became of the policies."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.oaif.config import Config
from experiments.oaif.instructions import (
    INSTRUCTIONS,
    Instruction,
    arguments,
    arguments_named,
    words,
)
from nashalign import evaluation, training, writing

_MEASURES = {"words": words, "arguments named": arguments_named}
_COLOURS = {"online": "#0072B2", "offline": "#D55E00", "start": "#666666"}


def write(
    folder: pathlib.Path,
    config: Config,
    accuracy: Mapping[str, evaluation.Calibration],
    written: Mapping[tuple[str, str], Any],
    codes: Sequence[str],
    clusters: np.ndarray | None,
) -> None:
    """Writes tables, a figure, and the page.

    Args:
      folder: of the results.
      config: of the experiment.
      accuracy: of the judge, by instruction.
      written: summaries, by kind and instruction.
      codes: of the test prompts.
      clusters: of the test prompts.
    """
    measured = {
        name: dict(
            zip(
                written,
                evaluation.seed_intervals(
                    [own.measured(codes, number) for own in written.values()],
                    clusters=clusters,
                ),
                strict=True,
            )
        )
        for name, number in _MEASURES.items()
    }
    cut = {key: float(own.cut.mean()) for key, own in written.items()}
    games = {own.name: _game(own, written, codes, clusters) for own in INSTRUCTIONS}
    with writing.replacing(folder / "oaif.png") as partial:
        evaluation.save_figure(_figure(measured), partial)
    lines = {
        name: {" ".join(key).strip(): list(value) for key, value in own.items()}
        for name, own in measured.items()
    }
    training.write_text(folder / "measured.json", json.dumps(lines, indent=2) + "\n")
    have = [len(arguments(code)) for code in codes]
    training.write_text(
        folder / "oaif.md",
        _PAGE.format(
            seeds=config.seeds,
            steps=config.training.num_steps,
            batch=config.training.batch_size,
            tau=config.tau,
            judged=config.num_judged,
            held=config.num_held_out,
            test=len(codes),
            clusters=len(set(clusters)) if clusters is not None else len(codes),
            have=np.mean(have),
            judge=_judge_table(accuracy),
            policies=_policy_table(measured, cut),
            games=_game_table(games),
        ),
    )


def _game(own: Instruction, written, codes, clusters) -> list[evaluation.Interval]:
    """How often online wins over offline, ties and loses, by the letter."""
    one, other = (
        own.sign * written[kind, own.name].measured(codes, own.measure)
        for kind in ("online", "offline")
    )
    difference = np.sign(one[:, None] - other[None])
    shares = [(difference == sign).mean(1) for sign in (1, 0, -1)]
    return [
        evaluation.seed_intervals([share], clusters=clusters)[0] for share in shares
    ]


def _judge_table(accuracy) -> str:
    """How often the judge does as it is told."""
    lines = ["| told | instruction | does so | pairs |", "| :-- | :-- | --: | --: |"]
    for own in INSTRUCTIONS:
        found = accuracy[own.name]
        pairs = sum(part.number for part in found.bins)
        lines.append(
            f"| {own.name} | {own.text} | {_percent(found.accuracy)} | {pairs:,} |"
        )
    return "\n".join(lines)


def _policy_table(measured, cut) -> str:
    """What policies write, by what their judge was told."""
    lines = [
        f"| policy | {' | '.join(measured)} | cut |",
        f"| :-- |{' --: |' * (len(measured) + 1)}",
    ]
    for key in next(iter(measured.values())):
        kind, told = key
        values = " | ".join(_number(own[key]) for own in measured.values())
        label = f"{kind} DPO, told **{told}**" if told else "start policy"
        lines.append(f"| {label} | {values} | {cut[key]:.0%} |")
    return "\n".join(lines)


def _game_table(games) -> str:
    """Online against offline, with the paper's numbers."""
    lines = [
        "| online against offline DPO | online wins | tie | offline wins |",
        "| :-- | --: | --: | --: |",
    ]
    for name, shares in games.items():
        values = " | ".join(_percent(own) for own in shares)
        lines.append(f"| ours, told **{name}** | {values} |")
    for name, *shares in _PAPER:
        values = " | ".join(f"*{own:.1f}%*" for own in shares)
        lines.append(f"| *paper, {name}, people judge* | {values} |")
    return "\n".join(lines)


_PAPER = (
    ("TL;DR", 63.74, 28.57, 7.69),
    ("helpfulness", 58.60, 21.20, 20.20),
    ("harmlessness", 60.26, 35.90, 3.84),
)
"""Guo et al. 2024, table 1: DPO online against its offline twin, in per cent."""


def _figure(measured) -> evaluation.Figure:
    """What policies write, a panel a measure, with intervals."""
    figure = evaluation.Figure(figsize=(9.0, 3.6), layout="constrained")
    panels = figure.subplots(1, len(measured))
    names = [own.name for own in INSTRUCTIONS]
    for axes, (name, own) in zip(panels, measured.items(), strict=True):
        start = own["start", ""]
        axes.axhline(start.mean, color=_COLOURS["start"], linestyle="--", linewidth=1)
        axes.axhspan(
            start.mean - start.half_width,
            start.mean + start.half_width,
            color=_COLOURS["start"],
            alpha=0.15,
            linewidth=0,
            label="start policy",
        )
        for shift, kind in ((-0.1, "online"), (0.1, "offline")):
            found = [own[kind, told] for told in names]
            axes.errorbar(
                np.arange(len(names)) + shift,
                [value.mean for value in found],
                yerr=[value.half_width for value in found],
                color=_COLOURS[kind],
                marker="o",
                linestyle="none",
                capsize=4,
                label=f"{kind} DPO",
            )
        axes.set_xticks(range(len(names)), names)
        axes.set_ylim(bottom=0)
        evaluation.finish_axes(axes, "what the judge was told to prefer", name)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        frameon=False,
    )
    return figure


def _number(found: evaluation.Interval) -> str:
    """A mean with half of its interval."""
    return f"{found.mean:.2f} ± {found.half_width:.2f}"


def _percent(found: evaluation.Interval) -> str:
    """A share with half of its interval."""
    return f"{found.mean:.1%} ± {found.half_width:.1%}"


_PAGE = """# Feedback that is steered by its instruction alone

One judge, a pairwise preference model that begins with the start policy, reads an
instruction behind the code. It was trained on the start policy's summaries of those of
{judged} functions of which an instruction decides a pair, as many for each instruction,
with verdicts by its letter. Whether it does as it is told, on summaries of {held} other
functions that do not tie by the letter:

{judge}

Then only the instruction changes between runs: DPO at tau {tau}, {steps} updates of
{batch} prompts, seeds of each: {seeds}; online (`oaif_dpo`) on pairs that the policy
itself has just written, and offline (`dpo`) on as many pairs that the start policy has
written, with verdicts of the same judge. What the policies write to {test} test prompts
of {clusters} clusters; a function has {have:.2f} arguments on average:

{policies}

![What policies write](oaif.png)

± is half of the 95% interval over clusters of prompts and training seeds; the judge was
trained once.

{games}

Ours is decided by the letter of the instruction, not by a person. Below, in italics,
Guo et al. 2024 (arXiv:2402.04792), table 1: other models, other tasks, and people who
judge quality; the numbers are beside each other, and not to be compared as sizes.
"""
