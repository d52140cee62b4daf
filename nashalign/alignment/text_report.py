"""What a contest of texts leaves: tables, ratings, the game, and samples to read."""

import json
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nashalign import data, evaluation, terminal, training, writing
from nashalign.alignment import evidence, report
from nashalign.alignment.contest import Pages
from nashalign.alignment.text_contest import TextContest, Verdicts

NUM_DRAWS = 1000
"""Of every bootstrap."""


def write(
    folder: pathlib.Path,
    contest: TextContest,
    verdicts: Verdicts,
    *,
    judge: str,
    baseline: str,
    num_samples: int,
    seed: int = 0,
) -> list[evaluation.Summary]:
    """Writes tables, figures, samples and all preferences to a folder, and prints.

    Args:
      folder: where the files go.
      contest: what policies have answered.
      verdicts: what the judge has said of it.
      judge: its name.
      baseline: the policy that win rates are against, by name.
      num_samples: prompts that are shown.
      seed: of the bootstrap's draws.

    Returns:
      The summaries, in the order of the policies.
    """
    names, clusters = contest.names, contest.clusters
    over = _over(contest, verdicts)
    table = verdicts.table()
    matrix = evaluation.win_rate_matrix(table, clusters=clusters)
    tally = evaluation.tally_table(table, clusters)
    drawn = evaluation.game_draws(tally, num_draws=NUM_DRAWS, seed=seed)
    rated = evaluation.rate(tally, num_draws=NUM_DRAWS, seed=seed, names=names)
    place = names.index(baseline)
    lines, confused = _summaries(contest, verdicts, matrix, drawn, rated, place)
    pages = Pages(response="answer")
    report.write_matrix(
        folder / "win_rates", judge, matrix, names, over, pages, drawn_over="prompts"
    )
    caption = evaluation.summary_caption(
        over, judge=judge, opponent=f"answers of {baseline}", rating=True
    )
    caption += _regularised(rated) + _confused(confused)
    report.write_summary(folder, lines, caption, pages)
    write_game(folder, names, matrix, drawn, over="the prompts")
    title = f"{len(names)} policies, judged by {judge}"
    figure = evaluation.rating_figure(lines, title=title)
    with writing.replacing(folder / "ratings.png") as path:
        evaluation.save_figure(figure, path)
    samples = _samples(contest, table, place, num_samples)
    description = (
        f"The first {len(samples)} of {len(contest.prompts)} prompts, unselected. "
        f"Judged by {judge}: the share is the probability that an answer is preferred "
        f"to that of {baseline}."
    )
    report.write_samples(folder, samples, description, pages, opponent=baseline)
    _save(folder, contest, table)
    return lines


def write_game(
    folder: pathlib.Path,
    names: Sequence[str],
    matrix: evaluation.Interval,
    drawn: np.ndarray,
    *,
    over: str,
) -> evaluation.Transitivity:
    """Writes whether the game is transitive, as a paragraph and as JSON, and prints it.

    Args:
      folder: where the files go.
      names: of the policies.
      matrix: the win rates.
      drawn: `[D, M, M]` bootstrap draws of them.
      over: what was drawn.
    """
    found = evaluation.transitivity(drawn)
    said = evaluation.transitivity_sentences(names, found, matrix, over=over)
    terminal.console().print(said)
    training.write_text(folder / "game.md", f"{said}\n")
    numbers: Mapping[str, Any] = {
        "acyclic": found.acyclic,
        "winner": dict(zip(names, found.winner.tolist(), strict=True)),
        "ranking": [names[own] for own in found.ranking],
        "ranking_share": found.ranking_share,
        "cycle": [names[own] for own in found.cycle],
        "cycle_share": found.cycle_share,
        "certain_cycles": [
            [names[own] for own in cycle] for cycle in evaluation.certain_cycles(matrix)
        ],
    }
    training.write_text(folder / "game.json", json.dumps(numbers, indent=1) + "\n")
    return found


def _over(contest: TextContest, verdicts: Verdicts) -> str:
    """What intervals are over, and how the judge was asked."""
    over = f"{len(contest.prompts)} prompts"
    if contest.clusters is not None:
        over += f" of {len(set(contest.clusters))} clusters"
    number = verdicts.preferences.shape[-1]
    if number > 1:
        over += f", the mean of {number} answers each"
    if verdicts.shown_first is not None:
        over += (
            "; asked in both orders, and the answer shown first is preferred with "
            f"probability {verdicts.shown_first:.3f}"
        )
    return over


def _confused(names: Sequence[str]) -> str:
    """What is to be said of policies whose answers differ in length on one side."""
    if not names:
        return ""
    return (
        " One side's answers are almost always the longer ones, so that length and "
        f"policy can hardly be told apart, of {', '.join(names)}."
    )


def _regularised(rated: evaluation.Ratings) -> str:
    """What had to be done for the ratings to be finite."""
    if not rated.prior:
        return ""
    return (
        " Some policy wins or loses every comparison, of the data or of a "
        f"draw: {rated.prior:g} tie is added to each pair, which draws the ratings "
        "together."
    )


def _summaries(
    contest: TextContest,
    verdicts: Verdicts,
    matrix: evaluation.Interval,
    drawn: np.ndarray,
    rated: evaluation.Ratings,
    baseline: int,
) -> tuple[list[evaluation.Summary], list[str]]:
    """What was found of each policy; names of those that length is all the same as."""
    game = evaluation.empirical_game(matrix.mean)
    shares = evaluation.shares_of(drawn)
    characters = contest.characters()
    found, confused = [], []
    for place, name in enumerate(contest.names):
        controlled = None
        if place != baseline:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always", UserWarning)
                controlled = evaluation.length_controlled_win_rate(
                    verdicts.preferences[:, place, baseline],
                    characters[place],
                    characters[baseline],
                    clusters=contest.clusters,
                ).win_rate
            confused += [name] if told else []
        found.append(
            evaluation.Summary(
                method=name,
                win_rate=evaluation.Interval(
                    float(matrix.mean[place, baseline]),
                    float(matrix.half_width[place, baseline]),
                ),
                length_controlled=controlled,
                rating=evaluation.Interval(*(float(x[place]) for x in rated.ratings)),
                characters=evaluation.mean_interval(
                    characters[place].mean(axis=-1), clusters=contest.clusters
                ),
                exploitability=float(game.exploitability[place]),
                unbeaten=float(shares.unbeaten[place]),
                nash=float(game.nash[place]),
                nash_share=float(shares.nash[place]),
            )
        )
    return found, confused


def _samples(
    contest: TextContest, table: np.ndarray, baseline: int, number: int
) -> list[evaluation.Sample]:
    """The first prompts, with the first answer of every policy."""
    return [
        evaluation.Sample(
            prompt=prompt,
            responses={name: own[row][0] for name, own in contest.answers.items()},
            preferred={
                name: float(table[row, place, baseline])
                for place, name in enumerate(contest.names)
                if place != baseline
            },
        )
        for row, prompt in enumerate(contest.prompts[:number])
    ]


def _save(folder: pathlib.Path, contest: TextContest, table: np.ndarray) -> None:
    """Every answer and every preference, to be counted again."""
    ids = [data.prompt_hash(prompt) for prompt in contest.prompts]
    clusters = ids if contest.clusters is None else contest.clusters
    path = folder / "preferences.npz"
    evidence.save_arrays(path, contest.names, ids, clusters, {"exact": table})
    lines = [
        {
            "id": own,
            "prompt": prompt,
            "responses": {name: a[row] for name, a in contest.answers.items()},
        }
        for row, (own, prompt) in enumerate(zip(ids, contest.prompts, strict=True))
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    training.write_text(folder / "responses.jsonl", text)
