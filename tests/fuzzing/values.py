"""Values that are none of what an argument must be, by kind of argument.

A kind is a function `(random, good) -> (what, bad)`: a seeded generator and a value
that is right become the name of a mutation and the mutated value.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Kind = Callable[[np.random.Generator, Any], tuple[str, Any]]


def one_of(random, choices: dict[str, Callable[[], Any]]) -> tuple[str, Any]:
    """A mutation by name."""
    name = str(random.choice(sorted(choices)))
    return name, choices[name]()


def _spoilt(random, array, value) -> np.ndarray:
    """A copy with one entry replaced."""
    copy = np.array(array, float)
    copy[tuple(random.integers(0, n) for n in copy.shape)] = value
    return copy


def preference(random, good):
    """No matrix of probabilities, with complements, of one response over another."""
    good = np.asarray(good, float)
    size = good.shape[-1]
    pair = np.triu_indices(size, 1)
    pick = random.integers(len(pair[0]))
    row, column = pair[0][pick], pair[1][pick]

    def beyond():
        copy = good.copy()
        copy[..., row, column], copy[..., column, row] = 1.2, -0.2
        return copy

    def lopsided():
        copy = good.copy()
        copy[..., row, column] = copy[..., column, row] = random.choice([0.1, 0.6, 1.0])
        return copy

    return one_of(
        random,
        {
            "the same value everywhere": lambda: np.full_like(
                good, random.choice([0.0, 0.3, 0.6, 1.0])
            ),
            "in percent": lambda: good * 100,
            "payoffs": lambda: good - 0.5,
            "NaN in it": lambda: _spoilt(random, good, np.nan),
            "infinity in it": lambda: _spoilt(random, good, np.inf),
            "beyond 1": beyond,
            "not complementary": lopsided,
            "not square": lambda: good[..., :-1, :],
            "a vector": lambda: good.reshape(-1, size)[0],
            "a number": lambda: 0.5,
            "empty": lambda: np.zeros((0, 0)),
            "text": lambda: "preference",
            "None": lambda: None,
        },
    )


def distribution(random, good):
    """No distribution of the length that is asked for."""
    good = np.asarray(good, float)
    return one_of(
        random,
        {
            "NaN in it": lambda: _spoilt(random, good, np.nan),
            "a negative share": lambda: _spoilt(random, good, -0.3),
            "too much of it": lambda: good * random.choice([1.5, 2.0, 100.0]),
            "too little of it": lambda: good * random.choice([0.0, 0.5, 0.9]),
            "logits": lambda: random.normal(size=good.shape) * 3,
            "too short": lambda: np.full(len(good) - 1, 1 / (len(good) - 1)),
            "too long": lambda: np.full(len(good) + 1, 1 / (len(good) + 1)),
            "a matrix": lambda: np.full((len(good), len(good)), 0.5),
            "text": lambda: "policy",
        },
    )


def alone(kind: Kind) -> Kind:
    """The same kind without what is wrong beside another argument alone."""

    def own(random, good):
        while True:
            name, bad = kind(random, good)
            if name not in ("too short", "too long", "a matrix"):
                return name, bad

    return own


def _no_number(random):
    """What no setting can be."""
    return {
        "NaN": lambda: float("nan"),
        "text": lambda: str(random.choice(["0.1", "ten", ""])),
        "a list": lambda: [0.1, 0.2, 0.3, 0.4, 0.5],
        "None": lambda: None,
    }


def number(random, good):
    """No finite number."""
    return one_of(random, _no_number(random) | {"infinite": lambda: float("inf")})


def positive(random, good):
    """No number above 0."""
    return one_of(
        random,
        _no_number(random)
        | {
            "zero": lambda: 0.0,
            "negative": lambda: -abs(good) * random.uniform(0.1, 3),
            "infinite": lambda: float("inf"),
        },
    )


def not_negative(random, good):
    """No number that is 0 or above."""
    return one_of(
        random,
        _no_number(random)
        | {
            "negative": lambda: -abs(good) * random.uniform(0.1, 3) - 0.01,
            "infinite": lambda: float("inf"),
        },
    )


def share(random, good):
    """No number between 0 and 1."""
    return one_of(
        random,
        _no_number(random)
        | {
            "negative": lambda: -random.uniform(0.01, 3),
            "above 1": lambda: 1 + random.uniform(0.01, 100),
            "infinite": lambda: float("inf"),
        },
    )


def count(random, good):
    """No whole number above 0."""
    return one_of(
        random,
        {
            "zero": lambda: 0,
            "negative": lambda: -int(random.integers(1, 100)),
            "a fraction": lambda: good + 0.5,
            "NaN": lambda: float("nan"),
            "text": lambda: "many",
            "None": lambda: None,
        },
    )


def probabilities(random, good):
    """An array with what is no probability in it."""
    return one_of(
        random,
        {
            "NaN in it": lambda: _spoilt(random, good, np.nan),
            "below 0": lambda: _spoilt(random, good, -random.uniform(0.01, 2)),
            "above 1": lambda: _spoilt(random, good, 1 + random.uniform(0.01, 2)),
            "in percent": lambda: np.asarray(good, float) * 100 + 1.5,
            "text": lambda: "preferred",
        },
    )


def finite(random, good):
    """An array that is not finite, or is text."""
    return one_of(
        random,
        {
            "NaN in it": lambda: _spoilt(random, good, np.nan),
            "infinity in it": lambda: _spoilt(random, good, np.inf),
            "text": lambda: "numbers",
            "None": lambda: None,
        },
    )


def shaped(random, good):
    """An array of another shape, which cannot be meant."""
    good = np.asarray(good, float)
    return one_of(
        random,
        {
            "one entry too few": lambda: good[..., :-1],
            "another axis": lambda: np.stack([good] * 3),
            "text": lambda: "numbers",
            "None": lambda: None,
        },
    )
