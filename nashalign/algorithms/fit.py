"""That a row fits together: its columns with its settings, and with each other.

What can be said without tracing is said when a row is made; shapes are traced on groups
that are not there (`jax.eval_shape`), which costs milliseconds and no device.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from nashalign import policies, sampling
from nashalign.algorithms import authors
from nashalign.algorithms.columns import Counted, Draw, formula
from nashalign.algorithms.method import ANNOTATIONS, Method
from nashalign.algorithms.rounds import Round
from nashalign.algorithms.settings import Setting
from nashalign.algorithms.state import Setup
from nashalign.types import Groups, Prompts, Responses

_BATCH, _GROUPS, _PROMPT, _LENGTH, _VOCABULARY = 2, 3, 2, 3, 4


def require_settings(row: str, settings: tuple[Setting, ...]) -> None:
    """Requires a name, and settings that are some, each once.

    Raises:
      TypeError: a setting is something else.
      ValueError: the row's name is none, or a setting is there twice.
    """
    if not (isinstance(row, str) and row.isidentifier()):
        raise ValueError(f"a row's name must be a Python identifier, not {row!r}")
    for setting in _tuple(row, "settings", settings):
        if not isinstance(setting, Setting):
            raise TypeError(f"{row}: settings must be Setting values, not {setting!r}")
    names = [setting.name for setting in settings]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{row}: the setting {name!r} is there twice")


def require_sizes(row: str, method: Method, values: Mapping[str, Any]) -> None:
    """Requires draws and heads whose sizes are numbers, or settings of the row.

    Raises:
      TypeError: members or opponents are not draws.
      ValueError: a size is a setting that the row does not declare.
    """
    if not isinstance(method, Method):
        raise TypeError(f"{row}: method must be a Method, not {method!r:.60}")
    for column in ("members", "opponents"):
        for drawn in _tuple(row, column, getattr(method, column)):
            if not isinstance(drawn, Draw):
                raise TypeError(
                    f"{row}: {column} must be draws, such as draw(policy, 2), not "
                    f"{drawn!r:.60}"
                )
            with _Reading(row, column, values):
                drawn.counted(values)
    for name, head in method.heads:
        with _Reading(row, f"head {name!r}", values):
            head.counted(values) if isinstance(head, Counted) else None


def require_columns(row: str, method: Method) -> None:
    """Requires columns that know each other's names and the row's settings.

    Raises:
      ValueError: naming the row and the column.
    """
    if not method.members:
        raise ValueError(f"{row}: members is empty: nobody writes what is learnt from")
    for drawn in (*method.members, *method.opponents):
        if drawn.number < 1:
            raise ValueError(
                f"{row}: {drawn.number} responses of {formula(drawn.author)}: a draw "
                "has at least 1"
            )
    if method.annotation not in ANNOTATIONS:
        raise ValueError(
            f"{row}: annotation must be one of {', '.join(ANNOTATIONS)}, not "
            f"{method.annotation!r}"
        )
    if method.annotation == "data" and method.num_data < 2:
        raise ValueError(
            f"{row}: annotation 'data' compares a data set's responses, and the row "
            f"takes {method.num_data} of them"
        )
    if method.step.epochs is not None:
        with _Reading(row, "step", method.settings):
            method.settings[method.step.epochs]
    if method.conditioning is not None:
        with _Reading(row, "conditioning", method.settings):
            method.conditioning.in_order(method.settings)
    _require_policies(row, method)


def _require_policies(row, method):
    """Requires policies that there are, where authors, anchor and refresh name some."""
    moved = {name for name, _, _ in method.refresh}
    known = {*authors.NAMES, *moved}
    for author in dict.fromkeys(method.authors):
        for name in _weights(row, "author", author, method):
            _require_known(row, f"author {formula(author)}", authors.base(name), known)
    frozen = known - {"policy", "data"}
    for name in _weights(row, "anchor", method.anchor, method):
        _require_known(row, f"anchor {formula(method.anchor)}", name, frozen)
    for name in method.keeps:
        _require_known(row, "keeps", name, frozen)
    for name, source, _ in method.refresh:
        if name in ("policy", "data"):
            raise ValueError(f"{row}: refresh moves {name!r}, which is not frozen")
        _require_known(row, f"refresh of {name!r}", source, frozen | {"policy"})


def _weights(row, column, author, method):
    """The policies that an author, or the anchor, names."""
    with _Reading(row, f"{column} {formula(author)}", method.settings):
        return author(method.example_settings)


def _require_known(row, column, name, known):
    """Requires the name of a policy that the column may read."""
    if name not in known:
        raise ValueError(
            f"{row}: {column} names the policy {name!r}, which is none of: "
            f"{', '.join(sorted(known))}. One of your own needs an entry in refresh."
        )


def require_rounds(row: str, rounds: Sequence[Round], num_steps: int) -> None:
    """Requires rounds that make up a run.

    Raises:
      TypeError: one is something else.
      ValueError: one has no updates, or together they are not as many as the run's.
    """
    for found in rounds:
        if not isinstance(found, Round):
            raise TypeError(f"{row}: rounds must be Round values, not {found!r:.60}")
        if found.num_steps < 1:
            raise ValueError(
                f"{row}: a round has {found.num_steps} updates; give it at least 1"
            )
    if sum(found.num_steps for found in rounds) != num_steps:
        raise ValueError(
            f"{row}: rounds of {', '.join(str(own.num_steps) for own in rounds)} "
            f"updates do not make up a run of {num_steps}"
        )


def require_shapes(row: str, method: Method) -> None:
    """Requires columns that read what there is, and return the shapes they must.

    Label, selection, statistics, weight, regulariser, loss and refresh rules are traced
    in the order of an update, on a batch that is not there.

    Raises:
      ValueError: naming the row and the column.
    """
    jax.eval_shape(lambda *given: _traced(row, method, *given), *_given(method))


def _traced(row, method, settings, key, groups, extra):
    """Every column once, on groups of zeros; what they return must have its shape."""
    values = {**settings, "step": jnp.zeros((), jnp.int32)}
    method = dataclasses.replace(method, settings=values)
    setup = _setup()
    params = setup.policy.init(key)
    trained = {"policy": params}
    for name, head in method.heads:
        trained[name] = _ask(row, f"head {name!r}", method, head, key, setup.policy)
    for column in ("label", "select"):
        groups = _ask(row, column, method, getattr(method, column), method, groups)
        if not isinstance(groups, Groups):
            raise ValueError(f"{row}: {column} must return groups, not {groups!r:.60}")
    log_probs, hidden = extra
    frozen = {name: params for name in method.frozen}
    found = {
        name: _ask(
            row, f"statistic {name!r}", method, statistic, setup, trained, frozen,
            hidden, groups,
        )
        for name, statistic in method.statistics
    }  # fmt: skip
    if method.step.epochs is not None:
        old = {f"old_{name}": value for name, value in found.items()}
        found |= {**old, "old_log_probs": log_probs}
    groups = dataclasses.replace(groups, log_probs=log_probs, statistics=found)
    found = found | {
        name: _ask(
            row, f"batch {name!r}", method, statistic, method, groups, lambda x: x
        )
        for name, statistic in method.batch
    }
    groups = dataclasses.replace(groups, statistics=found)
    ratios = _ask(row, "ratio", method, method.ratio, log_probs, groups.responses.mask)
    _require_shape(row, "ratio", "a response, [B, N]", ratios, log_probs.shape[:2])
    for column in ("weight", "regulariser", "loss"):
        value = _ask(row, column, method, getattr(method, column), method, groups)
        shape = groups.members.shape[:2]
        _require_shape(row, column, "a group, [B, G]", value, shape)
    for name, _, rule in method.refresh:
        leaf = jnp.zeros((2,))
        moved = _ask(
            row, f"refresh of {name!r}", method, rule, method.settings, 1, leaf, leaf
        )
        _require_shape(row, f"refresh of {name!r}", "a parameter", moved, (2,))
    return groups.probability


def _require_shape(row, column, what, value, shape):
    """Requires one number for each of something."""
    if jnp.shape(value) != shape:
        raise ValueError(
            f"{row}: its {column} must be one number {what} = {list(shape)}, not of "
            f"shape {list(jnp.shape(value))}"
        )


def _ask(row: str, column: str, method: Method, function: Callable, *given: Any):
    """What a column returns; its errors name it."""
    with _Reading(row, f"{column} ({formula(function)})", method.settings):
        return function(*given)


class _Reading:
    """Turns the error of a column into a sentence that names it and its row."""

    def __init__(self, row, column, settings):
        self.row, self.column, self.settings = row, column, settings

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None or not isinstance(error, Exception):
            return
        where = f"{self.row}: {self.column}"
        if isinstance(error, KeyError):
            own = ", ".join(name for name in self.settings if name != "step")
            raise ValueError(
                f"{where} reads {error.args[0]!r}, which is neither a setting of the "
                f"row, nor a statistic or a policy that it names. Its settings: "
                f"{own or 'none'}."
            ) from error
        raise ValueError(f"{where} fails: {type(error).__name__}: {error}") from error


def _setup():
    """The smallest model family, whose parameters nobody makes."""
    return Setup(
        policy=policies.tabular(_VOCABULARY, _PROMPT + _LENGTH),
        optimizer=optax.sgd(1.0),
        decoding=sampling.Decoding(max_length=_LENGTH, eos_id=0, pad_id=0),
    )


def _given(method):
    """Settings, a key, groups, log-probabilities and states that are not there."""

    def array(*shape, dtype=jnp.float32) -> Any:
        return jax.ShapeDtypeStruct(shape, dtype)

    number = len(method.authors)
    table = (_BATCH, number, _LENGTH)
    groups = Groups(
        prompts=Prompts(
            tokens=array(_BATCH, _PROMPT, dtype=jnp.int32),
            mask=array(_BATCH, _PROMPT, dtype=bool),
            ids=array(_BATCH, dtype=jnp.int32),
        ),
        responses=Responses(
            tokens=array(*table, dtype=jnp.int32),
            mask=array(*table, dtype=bool),
            truncated=array(*table[:2], dtype=bool),
        ),
        frozen_log_probs={name: array(*table) for name in method.frozen},
        members=array(_BATCH, _GROUPS, method.num_members, dtype=jnp.int32),
        opponents=array(_BATCH, _GROUPS, number - method.num_members, dtype=jnp.int32),
        probability=array(_BATCH, _GROUPS),
        preference=array(_BATCH, number, number)
        if method.annotation in ("preference", "data")
        else None,
        rewards=array(*table[:2]) if method.annotation == "reward" else None,
    )
    settings = {name: array() for name in method.settings}
    key = jax.eval_shape(lambda: jax.random.key(0))
    return settings, key, groups, (array(*table), array(*table, _VOCABULARY))


def _tuple(row, column, value):
    """A column that must be a tuple."""
    if not isinstance(value, tuple):
        raise TypeError(f"{row}: {column} must be a tuple, not {value!r:.60}")
    return value
