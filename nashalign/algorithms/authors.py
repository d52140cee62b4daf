"""The policies that rows name: who writes, what is measured from, who moves when.

A row names policies by their weights in a geometric mixture, a function of its
settings. Besides the trained `policy` there are frozen ones: the `reference`; the
`iterate`, the policy as it was at the last refresh, and the `previous` one before it;
the `average`, a running mean of the policy's parameters; the `rival`, an opponent with
a refresh of its own; and `ahead`, where an extragradient step looked. Responses of a
data set are written by `data`.

A name with a bar, `"policy|better"`, is the policy before the bar with a condition
appended to its prompt: the last (`better`) or first (`worse`) of `Setup.levels`.
"""

import dataclasses

import jax.numpy as jnp

from nashalign.algorithms.columns import Settings
from nashalign.types import Array, Numeric

NAMES = (
    "policy",
    "reference",
    "iterate",
    "previous",
    "average",
    "rival",
    "ahead",
    "data",
)
"""The policies that any row may name; another one needs a refresh."""

# A temperature of one in a million is greedy decoding.
_GREEDY = 1e6


def base(name: str) -> str:
    """The policy that a conditioned name stands for."""
    return name.partition("|")[0]


@dataclasses.dataclass(frozen=True)
class Alone:
    """One policy writes, or is measured from, alone.

    Attributes:
      name: of the policy.
    """

    name: str

    @property
    def formula(self) -> str:
        """The policy's name."""
        return self.name

    def __call__(self, settings: Settings, /) -> dict[str, Numeric]:
        """Returns the policy's weight."""
        del settings
        return {self.name: 1.0}


policy = Alone("policy")
"""The trained policy."""

reference = Alone("reference")
"""The reference."""

iterate = Alone("iterate")
"""The policy at the last refresh,."""

previous = Alone("previous")
"""The iterate before the last refresh,."""

average = Alone("average")
"""The running mean of the policy's parameters,."""

rival = Alone("rival")
"""The opponent with a refresh of its own,."""

ahead = Alone("ahead")
"""Where the extragradient step looked; the policy itself in the first half."""

data = Alone("data")
"""A response of the data set; the k-th such author is the k-th response."""


def nothing(settings: Settings) -> dict[str, Numeric]:
    """No policy: margins are those of log-probabilities."""
    del settings
    return {}


def greedy(settings: Settings) -> dict[str, Numeric]:
    """The iterate's most probable token at each place."""
    del settings
    return {"iterate": _GREEDY}


def mixture(settings: Settings) -> dict[str, Numeric]:
    """The token-level geometric mixture, with weight `mix` on the reference."""
    return {"policy": 1 - settings["mix"], "reference": settings["mix"]}


def better(settings: Settings) -> dict[str, Numeric]:
    """The policy pushed by `gap(t)` towards its answer to a prompt for a good one."""
    share = _gap(settings)
    return {"policy": 1 - share, "policy|better": share}


def worse(settings: Settings) -> dict[str, Numeric]:
    """The policy pushed by `gap(t)` towards its answer to a prompt for a bad one."""
    share = _gap(settings)
    return {"policy": 1 - share, "policy|worse": share}


def _gap(settings):
    """The optimality gap at a step: halved every `half_life` updates."""
    return settings["gap"] * 0.5 ** (settings["step"] / settings["half_life"])


def proximal(settings: Settings) -> dict[str, Numeric]:
    """The anchor of a mirror-descent step: reference eta tau, iterate 1 - eta tau."""
    weight = settings["eta"] * settings["tau"]
    return {"iterate": 1 - weight, "reference": weight}


def following(settings: Settings) -> dict[str, Numeric]:
    """The geometric mixture of iterate, with weight `follow`, and reference."""
    return {"iterate": settings["follow"], "reference": 1 - settings["follow"]}


def historical(settings: Settings) -> dict[str, Numeric]:
    """Reference eta tau; the iterate (`recent`) and the previous one share the rest."""
    weight, recent = settings["eta"] * settings["tau"], settings["recent"]
    return {
        "iterate": (1 - weight) * recent,
        "reference": weight,
        "previous": (1 - weight) * (1 - recent),
    }


def extrapolated(settings: Settings) -> dict[str, Numeric]:
    """The iterate, moved on by `retain` times its log-ratio from the reference."""
    return {"iterate": 1 + settings["retain"], "reference": -settings["retain"]}


def every_period(
    settings: Settings, step: Array, frozen: Array, source: Array
) -> Array:
    """Moves every `period` steps."""
    return jnp.where(step % settings["period"] == 0, source, frozen)


def every_other_period(
    settings: Settings, step: Array, frozen: Array, source: Array
) -> Array:
    """Moves every second period."""
    return jnp.where(step % (2 * settings["period"]) == 0, source, frozen)


def every_stage(settings: Settings, step: Array, frozen: Array, source: Array) -> Array:
    """Moves every `num_inner` periods."""
    length = settings["period"] * settings["num_inner"]
    return jnp.where(step % length == 0, source, frozen)


def partly_every_period(
    settings: Settings, step: Array, frozen: Array, source: Array
) -> Array:
    """Moves by a `share` of the way, in parameters, every `period` steps.

    All of the way is bit for bit a copy, and none of it stays.
    """
    share = settings["share"]
    moved = share * source + (1 - share) * frozen
    return jnp.where(step % settings["period"] == 0, moved, frozen)


def decaying(settings: Settings, step: Array, frozen: Array, source: Array) -> Array:
    """Moves by a share 1 - `decay` of the way."""
    del step
    return frozen + (1 - settings["decay"]) * (source - frozen)
