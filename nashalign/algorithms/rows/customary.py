"""What many rows have: settings with one meaning, and departures in one sentence."""

from nashalign.algorithms.settings import (
    COUNT,
    NOT_NEGATIVE,
    PAPER,
    POSITIVE,
    SEVERAL,
    SHARE,
    Setting,
)

CUSTOMARY = "customary"
"""The source of a default that implementations share, whatever papers say."""

FROM_MEMORY = "the paper's, from memory"
"""The source of a default that nobody here has read up."""

SECOND_HAND = "written from descriptions of the paper, whose formula is not public"
ONE_PROMPT_SET = "prompts come from one set; the paper takes new ones each iteration"
WRITES_EVERY_STEP = (
    "the iterate writes again at every step; the paper writes once an iteration"
)
SOFT_LABELS = "labels may be soft"


def tau(default: float, source: str = PAPER) -> Setting:
    """The strength of the regularisation, which may be 0."""
    return Setting(
        name="tau",
        meaning="strength of the regularisation",
        range=NOT_NEGATIVE,
        default=default,
        source=source,
    )


def dividing_tau(default: float, source: str = PAPER) -> Setting:
    """The strength of the regularisation, where the row divides by it."""
    return Setting(
        name="tau",
        meaning="strength of the regularisation, which the row divides by",
        range=POSITIVE,
        default=default,
        source=source,
    )


def eta(default: float, source: str = PAPER) -> Setting:
    """The step of mirror descent."""
    return Setting(
        name="eta",
        meaning="step of mirror descent",
        unit="nats for a win rate of 1 over 0",
        range=POSITIVE,
        default=default,
        source=source,
    )


def period(default: int, source: str = PAPER) -> Setting:
    """When the iterate moves."""
    return Setting(
        name="period",
        meaning="updates after which the iterate moves",
        range=COUNT,
        default=default,
        source=source,
    )


def clip(source: str = PAPER) -> Setting:
    """How far a clipped surrogate follows a ratio."""
    return Setting(
        name="clip",
        meaning="how far a ratio of probabilities may move from 1",
        range=POSITIVE,
        default=0.2,
        source=source,
    )


def num_epochs(default: int, source: str = PAPER) -> Setting:
    """How often a batch is learnt from."""
    return Setting(
        name="num_epochs",
        meaning="optimizer steps on a batch",
        range=COUNT,
        default=default,
        source=source,
    )


def num_responses(default: int, source: str = PAPER) -> Setting:
    """How many responses to a prompt are trained on, or chosen from."""
    return Setting(
        name="num_responses",
        meaning="responses to a prompt that are trained on, or chosen from",
        range=SEVERAL,
        default=default,
        source=source,
    )


def decay(default: float, source: str = PAPER) -> Setting:
    """How slowly a running mean of parameters moves."""
    return Setting(
        name="decay",
        meaning="share of the past in a running mean of parameters",
        range=SHARE,
        default=default,
        source=source,
    )


def follow(default: float, source: str = PAPER) -> Setting:
    """Where the anchor is, between reference and iterate."""
    return Setting(
        name="follow",
        meaning="weight on the iterate, the rest on the reference",
        range=SHARE,
        default=default,
        source=source,
    )


def mix(default: float, source: str = PAPER) -> Setting:
    """Where the mixture is, between policy and reference."""
    return Setting(
        name="mix",
        meaning="weight on the reference in the mixture",
        range=SHARE,
        default=default,
        source=source,
    )


def weight(name: str, of: str, default: float, source: str = PAPER) -> Setting:
    """How much a term of the loss weighs.

    Args:
      name: of the setting.
      of: what is weighed, in words.
      default: its value where none is given.
      source: where the default is from.
    """
    return Setting(
        name=name,
        meaning=f"weight of {of}",
        range=NOT_NEGATIVE,
        default=default,
        source=source,
    )


def share(name: str, meaning: str, default: float, source: str = PAPER) -> Setting:
    """A share of something, in [0, 1].

    Args:
      name: of the setting.
      meaning: what it is.
      default: its value where none is given.
      source: where the default is from.
    """
    return Setting(
        name=name, meaning=meaning, range=SHARE, default=default, source=source
    )
