"""Learned judges: a preference model and a reward model, from the same hard votes.

The start policy writes a few responses to each prompt. They are paired up, and each
pair is voted on; no vote is read twice. Both models start from the start policy.
Accuracy is the expected one on votes about validation prompts, next to that of knowing
the voters' probabilities.
"""

import dataclasses
import functools
import itertools
import json
import pathlib
from collections.abc import Callable, Collection
from typing import Literal

import numpy as np

from nashalign import games, preferences, terminal, training
from nashalign.alignment import asking, at_once, fitting, votes
from nashalign.alignment import task as tasks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judges:
    """How the preference model and the reward model are learnt from votes."""

    num_prompts: int = 1536
    """Training prompts, to each of which the start policy writes four responses."""
    num_held_out: int = 256
    """Validation prompts on which accuracy is measured."""
    num_pairings: Literal[1, 2, 3] = 2
    """Ways in which the four are paired up; each gives two pairs a prompt."""
    num_voters: int = 5
    """Voters drawn for each pair."""
    batch_size: int = 16
    """Prompts of a training step, each with all of its pairs."""
    learning_rate: float = 4e-4
    """Peak of Adam's schedule."""

    def check(self) -> None:
        """Requires two batches of votes or more.

        Raises:
          ValueError: naming the options and their values.
        """
        if self.num_prompts < 2 * self.batch_size:
            raise ValueError(
                f"--judges.batch-size is {self.batch_size}; a judge is trained for two "
                f"batches or more, and --judges.num-prompts is {self.num_prompts}."
            )


Judge = preferences.PairwiseModel | preferences.RewardModel
# Makes a task, and those who vote on what its start policy writes.
MakeTask = Callable[[], tuple[tasks.Task, votes.Voters]]


def learn(
    task: tasks.Task,
    voters: votes.Voters,
    settings: Judges,
    wanted: Collection[str],
    seed: int,
    folder: pathlib.Path,
    make_task: MakeTask | None = None,
    processes: int | None = None,
) -> dict[str, Judge]:
    """Returns judges by what methods read: `"preference"` or `"reward"`.

    Votes and fits are kept in `folder`, and not made twice; what is not among `wanted`
    is not fitted. `report.json` holds accuracies and the share of intransitive triples.

    Args:
      task: the start policy and the prompts.
      voters: who votes on what it writes.
      settings: how many prompts, votes and updates.
      wanted: kinds of judges, of `preferences.JUDGES`.
      seed: of every draw.
      folder: where everything is kept.
      make_task: makes task and voters again in another process; without it the judges
        are fitted one after another.
      processes: judges that are fitted at the same time; see `training.at_once`.

    Raises:
      ValueError: a split has fewer prompts than are voted on.
    """
    task.require("train", "judges.num-prompts", settings.num_prompts)
    task.require("validation", "judges.num-held-out", settings.num_held_out)
    say, report = functools.partial(terminal.console().print, markup=False), {}
    train, held_out = _voted(task, voters, settings, seed, folder)
    for split, found in (("train", train), ("validation", held_out)):
        share = float(games.intransitive_share(found.preference).mean())
        report[f"intransitive_share_{split}"] = share
        say(
            f"voters: {share:.1%} of the triples of sampled responses ({split}) are "
            "intransitive"
        )
    if make_task is not None:
        _fit_at_once(make_task, settings, wanted, seed, folder, processes)
    judges = _fitted(task, settings, wanted, train, seed, folder)
    best = preferences.best_attainable_accuracy(_of_pairs(held_out.preference))
    report["best_attainable_accuracy"] = best
    for kind, judge in judges.items():
        accuracy = expected_accuracy(judge, held_out)
        say(
            f"{kind} model: held-out accuracy {accuracy:.3f} "
            f"(best attainable {best:.3f}, coin 0.500)"
        )
        report[f"{kind}_model_accuracy"] = accuracy
    training.write_text(folder / "report.json", json.dumps(report, indent=2) + "\n")
    return judges


def read(
    task: tasks.Task,
    voters: votes.Voters,
    settings: Judges,
    wanted: Collection[str],
    seed: int,
    folder: pathlib.Path,
) -> dict[str, Judge]:
    """Returns judges as `learn` does, of which nothing is said or measured.

    Those that `learn` has fitted are read; others are fitted.

    Args:
      task: the start policy and the prompts.
      voters: who votes on what it writes.
      settings: how many prompts, votes and updates.
      wanted: kinds of judges, of `preferences.JUDGES`.
      seed: of every draw.
      folder: where everything is kept.
    """
    train, _ = _voted(task, voters, settings, seed, folder)
    return _fitted(task, settings, wanted, train, seed, folder)


def _fitted(
    task, settings: Judges, wanted, train: votes.Votes, seed, folder
) -> dict[str, Judge]:
    """The judges of votes, fitted or read."""
    return {
        kind: fitting.fit(
            task.start,
            kind,
            train,
            tuple(itertools.chain(*votes.PAIRINGS[: settings.num_pairings])),
            fitting.Fitting(
                batch_size=settings.batch_size, learning_rate=settings.learning_rate
            ),
            eos_id=task.tokenizer.closing_id,
            key=tasks.stage_key(seed, 10 + number),
            folder=folder / kind,
        )
        for number, kind in enumerate(preferences.JUDGES)
        if kind in wanted
    }


def _voted(task, voters, settings: Judges, seed, folder) -> list[votes.Votes]:
    """The votes on training prompts, and those on held-out ones."""
    return [
        votes.collect(task, voters, ballot, seed, folder)
        for ballot in votes.ballots(
            settings.num_prompts, settings.num_held_out, settings.num_voters
        )
    ]


def _fit_at_once(
    make_task: MakeTask, settings: Judges, wanted, seed, folder, processes
) -> None:
    """Fits in processes what has not had all its updates."""
    at_once.train(
        functools.partial(_fits, make_task, settings, seed, folder),
        {kind: folder / kind for kind in preferences.JUDGES if kind in wanted},
        settings.num_prompts // settings.batch_size,
        processes,
        folder,
        "judges",
    )


def _fits(
    make_task: MakeTask, settings: Judges, seed: int, folder: pathlib.Path
) -> Callable[[str], None]:
    """What fits a judge, given its kind; made once in a process."""
    task, voters = make_task()

    def fit(kind: str) -> None:
        read(task, voters, settings, {kind}, seed, folder)

    return fit


def expected_accuracy(
    judge: preferences.PreferenceAnnotator, voted: votes.Votes
) -> float:
    """Returns the expected accuracy of a judge on votes drawn by their probabilities.

    Args:
      judge: whom to ask.
      voted: responses, with the voters' probabilities.
    """
    said = asking.compare_all(judge, voted.prompts, voted.responses)
    preferred = _of_pairs(voted.preference)
    right = np.where(_of_pairs(said) > 0.5, preferred, 1 - preferred)
    return float(right.mean())


def _of_pairs(preference):
    """Of preferences `[B, N, N]`, those `[B, M]` of every two different responses."""
    first, second = np.triu_indices(preference.shape[-1], 1)
    return preference[:, first, second]
