"""What an evaluation found out about one policy, and what is to be said of it."""

import dataclasses
from collections.abc import Mapping

from nashalign.evaluation.intervals import Interval

_RATED = (
    "Ratings are those of Bradley and Terry, in nats of log-odds, of mean 0: one more "
    "by 1 wins .73 of the time. "
)


def summary_caption(
    over: str = "prompts",
    *,
    judge: str = "judge",
    voter: str = "",
    learned: str = "",
    opponent: str = "start policy",
    rating: bool = False,
) -> str:
    """What is to be said below the summary.

    Args:
      over: what its intervals are over.
      judge: under whom its win rates are.
      voter: what a member of the population is called in this task; empty where its
        kinds have no columns.
      learned: the judge beside the first; empty where it has no column.
      opponent: whom the win rates are against.
      rating: whether there are ratings.

    Returns:
      A few sentences.
    """
    columns = [f"under the {judge} (win)", "at equal lengths (LC)"]
    columns += [f"under the {learned} (model)"] if learned else []
    columns += [f"by kind of {voter}"] if voter else []
    return (
        f"± is half of the 95% interval over {over}. Win rates against the {opponent}: "
        f"{', '.join(columns[:-1])}, and {columns[-1]}. {_RATED if rating else ''}"
        "Exploitability and the weight in the Nash mixture are within the set of "
        "policies shown; of bootstrap draws, the shares in which a policy is unbeaten "
        "by the others (unb.), and in the Nash mixture (in)."
    )


CAPTION = summary_caption()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """What the evaluation found out about one policy. None is printed as a dash.

    Attributes:
      method: name of the policy, as in the tables.
      key: what a command line calls its method.
      tau: strength of the KL regularisation.
      mix: weight of the reference in the mixture.
      settings: what else the method leaves to choose, by name.
      win_rate: against the start policy, under the judge.
      length_controlled: the same at equal lengths.
      learned_win_rate: the same under the learned judge beside it.
      kinds: win rate against the start policy by kind of voter in the population.
      parts: the same under the judge on parts of the prompts, by their name.
      rating: Bradley-Terry rating among the policies, nats, of mean 0.
      kl: divergence from the reference, nats a response.
      length: tokens a response, EOS included.
      characters: of a response, where policies have different tokens.
      truncated: share of responses cut at the maximal length.
      exploitability: within the set of policies, in [0, 1/2].
      unbeaten: share of bootstrap draws in which no other policy beats it.
      nash: weight in the Nash mixture of the policies.
      nash_share: share of bootstrap draws in which it has weight there.
      seconds: training time.
      tokens_per_second: of responses, in training.
      optimizer_steps: taken in training; several an update, where a method does so.
      diverged: the update at which training was given up; then there is no policy.
    """

    method: str
    key: str | None = None
    tau: float | None = None
    mix: float | None = None
    settings: Mapping[str, float] = dataclasses.field(default_factory=dict)
    win_rate: Interval[float] | None = None
    length_controlled: Interval[float] | None = None
    learned_win_rate: Interval[float] | None = None
    kinds: Mapping[str, Interval[float]] = dataclasses.field(default_factory=dict)
    parts: Mapping[str, Interval[float]] = dataclasses.field(default_factory=dict)
    rating: Interval[float] | None = None
    kl: Interval[float] | None = None
    length: Interval[float] | None = None
    characters: Interval[float] | None = None
    truncated: Interval[float] | None = None
    exploitability: float | None = None
    unbeaten: float | None = None
    nash: float | None = None
    nash_share: float | None = None
    seconds: float | None = None
    tokens_per_second: float | None = None
    optimizer_steps: int | None = None
    diverged: int | None = None
