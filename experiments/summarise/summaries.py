"""What the comparison finds out of every policy, as means over its training seeds.

All runs of a method that differ by their seed alone are one policy in the tables. Every
number has an interval over clusters of prompts and over seeds; the start policy has no
seed.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from experiments import docstrings
from experiments.summarise import sweep
from experiments.summarise import task as tasks
from nashalign import evaluation, preferences


@dataclasses.dataclass(frozen=True, kw_only=True)
class Written:
    """What `R` runs have written, those of a method beside each other.

    Attributes:
      names: of the `M` policies, the start policy the last.
      owners: `[R]` the number of each run's policy; the start policy's run is the last.
      written: what each run has written to the test prompts.
      utilities: of each run's responses, `[kinds, num_prompts]`.
      clusters: `[num_prompts]` name of each prompt's cluster.
      halves: `[num_prompts]` whose code each prompt is.
    """

    names: Sequence[str]
    owners: Sequence[int]
    written: Sequence[tasks.Written]
    utilities: Sequence[np.ndarray]
    clusters: np.ndarray
    halves: np.ndarray

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
        self, between_runs: np.ndarray, known: evaluation.Variance | None = None
    ) -> tuple[np.ndarray, evaluation.Variance | None]:
        """Preferences between policies, and the variance of their seeds."""
        start = len(self.names) - 1
        return evaluation.average_runs(
            between_runs, self.owners, fixed={start}, known=known
        )

    def intervals(self, values: Sequence[np.ndarray]) -> list[evaluation.Interval]:
        """Mean and interval of each policy from each run's `[num_prompts]` values."""
        *trained, start = self._grouped(values)
        found = evaluation.seed_intervals(trained, clusters=self.clusters)
        return [*found, evaluation.mean_interval(start[0], clusters=self.clusters)]

    def length_controlled(
        self, preferred: np.ndarray
    ) -> list[evaluation.Interval | None]:
        """Win rates over the start policy at equal lengths; None for that itself.

        Args:
          preferred: `[R, num_prompts]` each run's preference over the start policy.
        """
        lengths = [own.responses.mask.sum(-1)[:, 0] for own in self.written]
        *preferred, _ = self._grouped(preferred)
        *lengths, [start] = self._grouped(lengths)

        def controlled(wins, own):
            opponent = np.broadcast_to(start, own.shape)
            return evaluation.length_controlled_win_rate(
                wins.T, own.T, opponent.T, clusters=self.clusters
            ).win_rate

        both = list(zip(preferred, lengths, strict=True))
        alone = [
            [controlled(*one).mean for one in zip(w[:, None], n[:, None], strict=True)]
            for w, n in both
            if len(w) > 1
        ]
        variance = evaluation.pooled_variance(alone) or sweep.WIN_RATE_VARIANCE
        found = [
            evaluation.widened(controlled(w, n), evaluation.of_mean(variance, len(w)))
            for w, n in both
        ]
        return [*found, None]

    def _grouped(self, values):
        """Values of each policy's runs, `[S_m, num_prompts]`."""
        owners = np.asarray(self.owners)
        values = np.asarray(values)
        return [values[owners == number] for number in range(len(self.names))]


def summaries(
    population: preferences.Population,
    runs: Written,
    between_runs: np.ndarray,
    learned: Mapping[tuple[int, int], np.ndarray],
) -> dict[str, dict]:
    """Fields of each policy's summary that are found on test prompts.

    Args:
      population: the reviewers.
      runs: what was written.
      between_runs: `[num_prompts, R, R]` the population's preferences.
      learned: the learned model's preference `[num_prompts]` of each run over the last.
    """
    table, seeds = runs.average(between_runs, sweep.WIN_RATE_VARIANCE)
    spread = {"clusters": runs.clusters, "seeds": seeds}
    matrix = evaluation.win_rate_matrix(table, **spread)
    game = evaluation.empirical_game(matrix.mean)
    shares = evaluation.game_shares(table, **spread)
    last = len(runs.written) - 1
    tie = np.full(len(table), 0.5)
    verdicts = [population.verdicts(own, runs.utilities[-1]) for own in runs.utilities]
    by_kind = {
        kind: runs.intervals([verdict[number] for verdict in verdicts])
        for number, kind in enumerate(population.kinds)
    }
    columns = {
        "win_rate": _over_start(matrix),
        "length_controlled": runs.length_controlled(between_runs[..., -1].T),
        "learned_win_rate": runs.intervals(
            [learned.get((run, last), tie) for run in range(last + 1)]
        ),
        "kinds": [
            dict(zip(by_kind, own, strict=True))
            for own in zip(*by_kind.values(), strict=True)
        ],
        "parts": _by_half(runs, between_runs),
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


def _over_start(matrix: evaluation.Interval) -> list[evaluation.Interval]:
    """Each policy's win rate over the last one, the start policy."""
    cells = zip(matrix.mean[:, -1], matrix.half_width[:, -1], strict=True)
    return [evaluation.Interval(*cell) for cell in cells]


def _by_half(
    runs: Written, between_runs: np.ndarray
) -> list[dict[str, evaluation.Interval]]:
    """Each policy's win rates over the start policy, by whose code the prompts are.

    A half with fewer than two clusters, of a small job, has none.
    """
    found = {}
    for half in docstrings.HALVES:
        own = runs.halves == half
        if len(set(runs.clusters[own])) > 1:
            table, seeds = runs.average(between_runs[own], sweep.WIN_RATE_VARIANCE)
            matrix = evaluation.win_rate_matrix(
                table, clusters=runs.clusters[own], seeds=seeds
            )
            found[half] = _over_start(matrix)
    return [
        {half: column[number] for half, column in found.items()}
        for number in range(len(runs.names))
    ]


def _writing(runs: Written) -> dict[str, list[evaluation.Interval]]:
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


def described(runs: Written) -> str:
    """What intervals are over, to be said below every table."""
    counts = np.bincount(runs.owners)[:-1]
    clusters = len(set(runs.clusters))
    over = f"{len(runs.clusters)} prompts of {clusters} clusters"
    if (counts > 1).any():
        seeds = f"{counts.max()} training seeds"
        if len(set(counts)) > 1:
            seeds = f"{counts.min()} to {seeds}"
        over = f"{over} and {seeds} a method, whose variance is pooled over methods"
    else:
        deviation = np.sqrt(sweep.WIN_RATE_VARIANCE.value)
        over = (
            f"{over}. There is one training seed a method: intervals of win rates "
            "under the exact population, also at equal lengths, include the standard "
            f"deviation over seeds in the sweep, {deviation:.3f}; other columns' do not"
        )
    return f"{over} (the judges were fitted once)"
