"""What a comparison finds out of every policy, as means over its training seeds.

All runs of a method that differ by their seed alone are one policy in the tables. Every
number has an interval over clusters of prompts and over seeds; the start policy has no
seed.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from nashalign import evaluation
from nashalign.alignment import task as tasks
from nashalign.types import Array

LEARNED = "learned preference model"
"""Name of the judge whose win rates have a column of their own beside the first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Runs:
    """What `R` runs have written, those of a method beside each other.

    Attributes:
      names: of the `M` policies, the start policy the last.
      owners: `[R]` the number of each run's policy; the start policy's run is the last.
      written: what each run has written to the test prompts.
      clusters: `[num_prompts]` name of each prompt's cluster; None, each its own.
      parts: `[num_prompts]` name of the part that each prompt is of; None without any.
      known: variance of a run's win rate over seeds, from elsewhere.
    """

    names: Sequence[str]
    owners: Sequence[int]
    written: Sequence[tasks.Written]
    clusters: np.ndarray | None
    parts: np.ndarray | None = None
    known: evaluation.Variance[float] | None = None

    @property
    def num_prompts(self) -> int:
        """Number of the test prompts."""
        return len(self.written[0].prompts.ids)

    def labels(self) -> list[str]:
        """Names of the runs: those of their policies, numbered where there are more."""
        owners = list(self.owners)
        return [
            self.names[owner]
            if owners.count(owner) == 1
            else f"{self.names[owner]} {place - owners.index(owner) + 1}"
            for place, owner in enumerate(owners)
        ]

    def average(
        self, between_runs: np.ndarray, known: evaluation.Variance[float] | None = None
    ) -> tuple[np.ndarray, evaluation.Variance[np.ndarray] | None]:
        """Preferences between policies, and the variance of their seeds."""
        start = len(self.names) - 1
        return evaluation.average_runs(
            between_runs, self.owners, fixed={start}, known=known
        )

    def matrix(
        self, between_runs: np.ndarray, known: evaluation.Variance[float] | None = None
    ) -> evaluation.Interval[np.ndarray]:
        """The win-rate matrix `[M, M]` of the policies, each a mean over its runs."""
        table, seeds = self.average(between_runs, known)
        return evaluation.win_rate_matrix(table, clusters=self.clusters, seeds=seeds)

    def intervals(
        self, values: Sequence[Array] | np.ndarray
    ) -> list[evaluation.Interval[float]]:
        """Mean and interval of each policy from each run's `[num_prompts]` values."""
        *trained, start = self._grouped(values)
        found = evaluation.seed_intervals(trained, clusters=self.clusters)
        return [*found, evaluation.mean_interval(start[0], clusters=self.clusters)]

    def length_controlled(
        self, preferred: np.ndarray
    ) -> list[evaluation.Interval[float] | None]:
        """Win rates over the start policy at equal lengths; None for that itself.

        Args:
          preferred: `[R, num_prompts]` each run's preference over the start policy.
        """
        lengths = [own.responses.mask.sum(-1)[:, 0] for own in self.written]
        *wins_of, _ = self._grouped(preferred)
        *lengths, [start] = self._grouped(lengths)

        def controlled(wins, own):
            opponent = np.broadcast_to(start, own.shape)
            return evaluation.length_controlled_win_rate(
                wins.T, own.T, opponent.T, clusters=self.clusters
            ).win_rate

        both = list(zip(wins_of, lengths, strict=True))
        alone = [
            np.array(
                [controlled(*o).mean for o in zip(w[:, None], n[:, None], strict=True)]
            )
            for w, n in both
            if len(w) > 1
        ]
        variance = evaluation.pooled_variance(alone) or self.known
        found = [
            evaluation.widen(controlled(w, n), evaluation.of_mean(variance, len(w)))
            for w, n in both
        ]
        return [*found, None]

    def _grouped(self, values):
        """Values of each policy's runs, `[S_m, num_prompts]`."""
        owners = np.asarray(self.owners)
        values = np.asarray(values)
        return [values[owners == number] for number in range(len(self.names))]


def summaries(
    runs: Runs,
    between_runs: np.ndarray,
    *,
    learned: np.ndarray | None = None,
    kinds: Mapping[str, np.ndarray] | None = None,
) -> dict[str, dict]:
    """Returns the fields of each policy's summary that are found on test prompts.

    Args:
      runs: what was written.
      between_runs: `[num_prompts, R, R]` preferences of the first judge.
      learned: those of the learned judge; NaN where it was not asked.
      kinds: by kind of voter, `[R, num_prompts]` its preference for each run over the
        last.
    """
    table, seeds = runs.average(between_runs, runs.known)
    spread = {"clusters": runs.clusters, "seeds": seeds}
    matrix = evaluation.win_rate_matrix(table, **spread)
    game = evaluation.empirical_game(matrix.mean)
    shares = evaluation.game_shares(table, **spread)
    by_kind = {kind: runs.intervals(own) for kind, own in (kinds or {}).items()}
    nothing = [None] * len(runs.names)
    columns = {
        "win_rate": _over_start(matrix),
        "length_controlled": runs.length_controlled(between_runs[..., -1].T),
        "learned_win_rate": nothing
        if learned is None
        else runs.intervals(learned[..., -1].T),
        "kinds": [
            {kind: own[number] for kind, own in by_kind.items()}
            for number in range(len(runs.names))
        ],
        "parts": _by_part(runs, between_runs),
        **_writing(runs),
        "exploitability": game.exploitability.tolist(),
        "unbeaten": shares.unbeaten.tolist(),
        "nash": game.nash.tolist(),
        "nash_share": shares.nash.tolist(),
    }
    return {
        name: {field: column[number] for field, column in columns.items()}
        for number, name in enumerate(runs.names)
    }


def _over_start(
    matrix: evaluation.Interval[np.ndarray],
) -> list[evaluation.Interval[float]]:
    """Each policy's win rate over the last one, the start policy."""
    cells = zip(matrix.mean[:, -1], matrix.half_width[:, -1], strict=True)
    return [evaluation.Interval(*cell) for cell in cells]


def _by_part(
    runs: Runs, between_runs: np.ndarray
) -> list[dict[str, evaluation.Interval[float]]]:
    """Each policy's win rates over the start policy, by part of the prompts.

    A part with fewer than two clusters, of a small job, has none.
    """
    found = {}
    for part in () if runs.parts is None else sorted(set(runs.parts)):
        own = runs.parts == part
        clusters = None if runs.clusters is None else runs.clusters[own]
        if own.sum() > 1 and (clusters is None or len(set(clusters)) > 1):
            table, seeds = runs.average(between_runs[own], runs.known)
            matrix = evaluation.win_rate_matrix(table, clusters=clusters, seeds=seeds)
            found[part] = _over_start(matrix)
    return [
        {part: column[number] for part, column in found.items()}
        for number in range(len(runs.names))
    ]


def _writing(runs: Runs) -> dict[str, list[evaluation.Interval[float]]]:
    """What summaries say about a policy's responses alone."""
    own = [written.responses for written in runs.written]
    return {
        "kl": runs.intervals(
            [
                evaluation.prompt_log_ratios(
                    written.log_probs,
                    written.reference_log_probs,
                    written.responses.mask,
                )
                for written in runs.written
            ]
        ),
        "length": runs.intervals([r.mask.sum(-1).mean(-1) for r in own]),
        "truncated": runs.intervals([r.truncated.mean(-1) for r in own]),
    }


def describe(runs: Runs) -> str:
    """Returns what intervals are over, to be said below every table."""
    counts = np.bincount(runs.owners)[:-1]
    over = f"{runs.num_prompts} prompts"
    if runs.clusters is not None:
        over += f" of {len(set(runs.clusters))} clusters"
    if (counts > 1).any():
        seeds = f"{counts.max()} training seeds"
        if len(set(counts)) > 1:
            seeds = f"{counts.min()} to {seeds}"
        return f"{over} and {seeds} a method, whose variance is pooled over methods"
    over = f"{over}. There is one training seed a method"
    if runs.known is None:
        return f"{over}, whose variance no interval includes"
    deviation = np.sqrt(runs.known.value)
    return (
        f"{over}: intervals of win rates under the first judge, also at equal lengths, "
        "include the standard deviation over seeds that is known from elsewhere, "
        f"{deviation:.3f}; other columns' do not"
    )
