"""A row of the table of methods with where it should come to rest, and how to see it.

The prediction of a row is a policy over all responses, computed by `games`, in closed
form, or as the minimiser of the objective of the paper. What is measured is the policy
that the row's expected updates have reached.

To rest where a method rests is necessary for a row that has its name, and does not
identify it: `relatives` are the rows that would pass in its place. What tells those
apart are their updates (`tests/algorithms/identity_test.py`), and where these agree in
expectation, what one group of responses teaches
(`tests/algorithms/group_gradients_test.py`).
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import jax
import numpy as np

from experiments.fixed_points import game as token_game
from experiments.fixed_points import training
from nashalign import algorithms
from nashalign.types import Array, Examples, Numeric


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a prediction may look at.

    Attributes:
      reference: `[Y]` the policy before the run.
      at_levels: `[L, Y]` the policies under each level, before the run.
      found_at_levels: `[L, Y]` the same after it, for rows whose writers are prompted.
      settings: the row's.
      game: what was played.
      later: what was played in the periods after the first, where it was another game.
    """

    reference: np.ndarray
    at_levels: np.ndarray
    found_at_levels: np.ndarray
    settings: Mapping[str, Numeric]
    game: token_game.Game
    later: tuple[token_game.Game, ...] = ()

    @property
    def preference(self) -> np.ndarray:
        """`[Y, Y]` of the reviewers, on average."""
        return np.asarray(self.game.preference).mean(0)

    @property
    def rewards(self) -> np.ndarray:
        """`[Y]` of the first reviewer."""
        return np.asarray(self.game.rewards)[0]

    @property
    def data(self) -> np.ndarray:
        """`[Y]` distribution of the data set."""
        return np.asarray(self.game.data)

    @property
    def tau(self) -> float:
        """The row's."""
        return float(self.settings["tau"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A row, the game it plays, and where theory says that it rests.

    Attributes:
      row: its name in `algorithms.TABLE`.
      prediction: in words.
      predict: `Seen -> [Y]`, or `[L, Y]` of the policies under each level.
      settings: of the row, far enough from its limits that others would be seen.
      game: what is played.
      later: what is played in the periods after the first, one each; the game where
        there is none.
      note: what is to be known about the row; findings.
      also: rows that would pass in its place, though elsewhere in this table they are
        held against something else; see `relatives`.
      under_levels: whether the policies under each level are predicted.
      from_examples: whether the row learns from weighted examples.
      in_rounds: whether the row's rounds are run, each on what it makes of weighted
        examples.
      num_periods: how often anchors move; each time the optimizer starts again.
      period: updates in a period, if it is not the run's length over `num_periods`.
      num_steps: expected updates.
      learning_rate: Adam's, for a transformer; a table's is five times as large.
      tolerance: total variation from the prediction that is allowed.
      families: of policies, those of which the prediction is.
    """

    row: str
    prediction: str
    predict: Callable[[Seen], Array]
    settings: Mapping[str, Numeric] = dataclasses.field(default_factory=dict)
    game: token_game.Game
    later: tuple[token_game.Game, ...] = ()
    note: str = ""
    also: tuple[str, ...] = ()
    under_levels: bool = False
    from_examples: bool = False
    in_rounds: bool = False
    num_periods: int = 1
    period: int | None = None
    num_steps: int = 2400
    learning_rate: float = 0.01
    tolerance: float = 1e-6
    families: tuple[str, ...] = tuple(token_game.FAMILIES)

    @property
    def method(self) -> algorithms.Method:
        """The row with its settings."""
        settings = dict(self.settings)
        if "period" in algorithms.TABLE[self.row].defaults:
            settings["period"] = self.period or self.num_steps // self.num_periods
        return algorithms.configure(self.row, **settings)

    @property
    def exactness(self) -> str:
        """How far the expected update of the row is exact."""
        return algorithms.TABLE[self.row].exactness

    @property
    def stages(self) -> list[tuple[algorithms.Method, Examples | None]]:
        """Each method that is run, and the examples that it is shown, if any."""
        with jax.enable_x64(True):
            examples = token_game.examples(self.game)
            if not self.in_rounds:
                return [(self.method, examples if self.from_examples else None)]
            rounds = algorithms.find(self.row).course(self.num_steps, **self.settings)
            context = token_game.context(rounds[0].method, examples)
            return [
                (own.method, own.make(context, None))
                if own.make is not None and own.method.num_data
                else (own.method, None)
                for own in rounds
            ]


@dataclasses.dataclass(frozen=True)
class Finding:
    """What came of an entry.

    Attributes:
      entry: the entry.
      distances: family of policies -> total variation from the prediction.
      moved: family of policies -> total variation from where it began.
      relatives: rows that would pass in the place of this one, as far as is known.
    """

    entry: Entry
    distances: Mapping[str, Numeric]
    moved: Mapping[str, Numeric]
    relatives: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every policy has moved, and has come to where it should."""
        near = all(d <= self.entry.tolerance for d in self.distances.values())
        return near and all(m > 1e-2 for m in self.moved.values())


def relatives(entry: Entry, entries: Iterable[Entry]) -> tuple[str, ...]:
    """Returns the rows that would pass in an entry's place, as far as is known.

    They are those that are predicted to rest at the same place of any rewards, or of
    the same preference; then those that the entry names. What is more, a row passes for
    each that it becomes at an end of its settings
    (`tests/algorithms/degeneracy_test.py`).
    """
    found = {
        other.row: None
        for other in entries
        if other.row != entry.row
        and other.predict is entry.predict
        and (
            other.method.annotation == "reward"
            or np.array_equal(_opinions(other.game), _opinions(entry.game))
        )
    }
    return (*found, *entry.also)


def _opinions(game):
    """The preferences of a game's reviewers, each once."""
    return np.unique(game.preference, axis=0)


def examine(
    entry: Entry,
    families: Sequence[str] = tuple(token_game.FAMILIES),
    relatives: tuple[str, ...] = (),
) -> Finding:
    """Runs a row with each family of policies, and measures how far it ends."""
    distances, moved = {}, {}
    for family in filter(entry.families.__contains__, families):
        before, after = training.train(
            entry.stages,
            (entry.game, *entry.later),
            family,
            num_steps=entry.num_steps,
            learning_rate=entry.learning_rate * {"tabular": 5}.get(family, 1),
            num_periods=entry.num_periods,
        )
        seen = Seen(
            before[0],
            before[1:],
            after[1:],
            entry.method.settings,
            entry.game,
            entry.later,
        )
        predicted = _predicted(entry, seen)
        measured = slice(1, None) if entry.under_levels else 0
        distances[family] = _distance(after[measured], predicted)
        moved[family] = _distance(after[measured], before[measured])
    return Finding(entry, distances, moved, relatives)


def _predicted(entry, seen):
    """The prediction in float64; not a number where theory finds no place to rest."""
    with jax.enable_x64(True):
        try:
            return np.asarray(entry.predict(seen))
        except ArithmeticError:
            return np.full_like(seen.reference, np.nan)


def _distance(policy, other):
    """The largest total variation."""
    return float(np.max(np.abs(policy - other).sum(-1) / 2))
