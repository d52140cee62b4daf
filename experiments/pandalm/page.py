"""The page of results: tables of people's votes, and what they say of transitivity."""

import dataclasses
import os
import pathlib
import platform
import time
from collections.abc import Sequence

import numpy as np
import scipy.special

from experiments.pandalm import votes
from nashalign import alignment, evaluation, training, writing

NAME = "pandalm.md"


@dataclasses.dataclass(frozen=True)
class _Found:
    """What some votes say of the models."""

    matrix: evaluation.Interval
    drawn: np.ndarray
    rated: evaluation.Ratings
    transitivity: evaluation.Transitivity


def write(folder: pathlib.Path, own: votes.Ballot, *, num_draws: int) -> None:
    """Writes the page, its tables as CSV, and its figures.

    Args:
      folder: where they go.
      own: the votes.
      num_draws: of the bootstrap.
    """
    found = _find(own, own.pairs(), num_draws)
    lines = _summaries(own.names, found)
    with writing.replacing(folder / "win_rates.csv") as path:
        evaluation.write_win_rate_csv(path, own.names, found.matrix)
    with writing.replacing(folder / "summary.csv") as path:
        evaluation.write_summary_csv(path, lines)
    alignment.write_game(
        folder, own.names, found.matrix, found.drawn, over="the instructions"
    )
    figures = {
        "win_rates": evaluation.win_rate_figure(
            own.names,
            found.matrix,
            title="PandaLM's test set, mean of three people's votes",
            over="instructions",
        ),
        "ratings": evaluation.rating_figure(
            lines, title="Five models of 7B by people's votes (PandaLM's test set)"
        ),
    }
    for name, figure in figures.items():
        with writing.replacing(folder / f"{name}.png") as path:
            evaluation.save_figure(figure, path)
    voters = [
        _find(own, own.pairs(voter), num_draws) for voter in range(own.votes.shape[1])
    ]
    training.write_text(
        folder / NAME, _page(own, found, lines, voters, num_draws=num_draws)
    )


def _find(own: votes.Ballot, pairs: evaluation.Pairs, num_draws: int) -> _Found:
    """What comparisons say of the models."""
    number = len(own.names)
    tally = evaluation.tally_pairs(pairs, number)
    drawn = evaluation.game_draws(tally, num_draws=num_draws)
    return _Found(
        matrix=evaluation.win_rates_of_pairs(pairs, number),
        drawn=drawn,
        rated=evaluation.rate(tally, num_draws=num_draws, names=own.names),
        transitivity=evaluation.transitivity(drawn),
    )


def _summaries(names: Sequence[str], found: _Found) -> list[evaluation.Summary]:
    """A line a model, best first."""
    game = evaluation.empirical_game(found.matrix.mean)
    shares = evaluation.shares_of(found.drawn)
    return [
        evaluation.Summary(
            method=names[place],
            rating=evaluation.Interval(
                float(found.rated.ratings.mean[place]),
                float(found.rated.ratings.half_width[place]),
            ),
            exploitability=float(game.exploitability[place]),
            unbeaten=float(shares.unbeaten[place]),
            nash=float(game.nash[place]),
            nash_share=float(shares.nash[place]),
        )
        for place in _order(found)
    ]


def _order(found: _Found) -> list[int]:
    """The models' numbers, best first."""
    ratings = found.rated.ratings.mean
    return sorted(range(len(ratings)), key=lambda place: -ratings[place])


def _page(
    own: votes.Ballot,
    found: _Found,
    lines: Sequence[evaluation.Summary],
    voters: Sequence[_Found],
    *,
    num_draws: int,
) -> str:
    """The page's text."""
    over = f"{len(set(own.clusters))} instructions"
    said = evaluation.transitivity_sentences(
        own.names, found.transitivity, found.matrix, over="the instructions"
    )
    return _PAGE.format(
        date=time.strftime("%d %B %Y").lstrip("0"),
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        pairs=f"{len(own.first):,}",
        clusters=len(set(own.clusters)),
        people=own.votes.shape[1],
        models=len(own.names),
        num_draws=f"{num_draws:,}",
        win_rates=evaluation.win_rate_markdown(
            own.names, found.matrix, caption=evaluation.win_rate_caption(over)
        ),
        summary=evaluation.summary_markdown(lines, caption=_caption(over)),
        fit=_fit(own.names, found),
        said=said,
        beats=_beats(own.names, found.drawn),
        voters=_voters(own.names, voters),
        agreement=_agreement(votes.agreement(own)),
    )


def _caption(over: str) -> str:
    """What is to be said below the summary."""
    return (
        f"± is half of the 95% interval over {over}. Ratings are those of Bradley and "
        "Terry, in nats of log-odds, of mean 0: one more by 1 wins .73 of the time. "
        "Exploitability and the weight in the Nash mixture are within these models; of "
        "the bootstrap draws, the shares in which a model is unbeaten by the others, "
        "and in the Nash mixture."
    )


def _fit(names: Sequence[str], found: _Found) -> str:
    """How far ratings explain the win rates."""
    ratings = found.rated.ratings.mean
    predicted = scipy.special.expit(np.subtract.outer(ratings, ratings))
    off = np.abs(found.matrix.mean - predicted)
    i, j = np.unravel_index(off.argmax(), off.shape)
    pairs = evaluation.pairs_of(len(names))
    outside = sum(bool(off[pair] > found.matrix.half_width[pair]) for pair in pairs)
    return (
        f"Ratings alone predict every win rate to {off.max():.3f} ({names[i]} and "
        f"{names[j]}), and {outside} of the {len(pairs)} outside its interval."
    )


def _beats(names: Sequence[str], drawn: np.ndarray) -> str:
    """In which share of the draws a row beats a column, as a Markdown table."""
    shares = (drawn > 0.5).mean(axis=0)
    text = [[f"{own:.1%}" for own in row] for row in shares]
    for place, row in enumerate(text):
        row[place] = "–"
    rows = [[f"**{name}**", *row] for name, row in zip(names, text, strict=True)]
    return evaluation.markdown_table(["", *names], rows)


def _voters(names: Sequence[str], voters: Sequence[_Found]) -> str:
    """Each person's own game, as a Markdown table."""
    rows = []
    for number, found in enumerate(voters, 1):
        own = found.transitivity
        best = int(own.winner.argmax())
        rows.append(
            [
                str(number),
                f"{own.acyclic:.1%}",
                f"{names[best]}, {own.winner[best]:.1%}",
                " > ".join(names[place] for place in _order(found)),
            ]
        )
    head = ["person", "no cycle", "beats every other", "order of ratings"]
    return evaluation.markdown_table(head, rows)


def _agreement(found: votes.Agreement) -> str:
    """How far people agree, in sentences."""
    pairs = ", ".join(
        f"{i + 1} and {j + 1} {_share(own)}" for (i, j), own in found.agreed.items()
    )
    return (
        f"All say the same of {_share(found.unanimous)} of the pairs; of two, {pairs}. "
        f"Above chance that is a kappa of {found.kappa:.2f}. {found.ties:.1%} of the "
        "votes are ties."
    )


def _share(own: evaluation.Interval[float]) -> str:
    """A share with its half-width."""
    return evaluation.share(float(own.mean), float(own.half_width))


_PAGE = """# Five models, three people: is the game transitive?

`python -m experiments.pandalm --data testset-v1.json`, {date}, {machine}.

PandaLM's test set (Wang and others 2023, arXiv:2306.05087; Apache 2.0): {pairs} pairs
of answers of {models} models to {clusters} instructions, all pairings, {people} votes
a pair; a pair's preference is their mean, with a tie as one half. Intervals are over
instructions, and {num_draws} bootstrap draws are of them. Numbers and figures only.

{said}

A share of draws is no p-value: models that are equal beat each other either way from
draw to draw. How often a row beats a column:

{beats}
{win_rates}
![Win rates](win_rates.png)

{summary}
{fit}

![Ratings](ratings.png)

Each person's votes alone:

{voters}
{agreement}
"""
