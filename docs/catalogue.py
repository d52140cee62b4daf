"""The entries of the catalogue, made of the table of methods, as a Sphinx extension.

The page `catalogue.md` says `{rows}` where they belong. Each row has
the formula of its loss, as the docstrings of the loss say it, its choices on every
axis, its settings, how exact its expected update is, where it departs from its paper,
and where it rests, if `experiments.fixed_points` predicts that.
"""

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from experiments.fixed_points import __main__ as fixed_points
from nashalign import algorithms
from nashalign.algorithms import __main__ as listing


def setup(app: Any) -> dict[str, bool]:
    """Lets Sphinx fill the page when it reads it."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True}


def page(text: str) -> str:
    """Returns the page with rows in the place of their mark."""
    return text.replace("{rows}", "\n".join(map(entry, algorithms.TABLE.values())))


def entry(row: algorithms.Row) -> str:
    """Returns what there is to say of a row, as Markdown."""
    parts = [
        f"### `{row.name}`",
        f"{_plain(row.title)}. {_plain(row.paper)}.",
        *_losses(row),
        _choices(row),
        _rounds(row),
        f"Expected update: {_plain(row.exactness)}.",
        _settings(row),
        _list("Departures from the paper:", map(_plain, row.departures)),
        _list("Rests at:", _predictions(row.name)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _rounds(row: algorithms.Row) -> str:
    """What a run is divided into; nothing where it is one."""
    if row.rounds is None:
        return ""
    return f"Rounds: {_plain(algorithms.columns.formula(row.rounds))}."


def _losses(row: algorithms.Row) -> Iterator[str]:
    """The formula of the loss, then that of each loss that it is made of."""
    yield f"Loss: {_plain(algorithms.columns.formula(row.method.loss))}"
    for leaf in dict.fromkeys(leaves(row.method.loss)):
        name = "" if isinstance(leaf, type) else f"*{_plain(_name(leaf))}*: "
        yield name + "\n\n".join(map(_markdown, _said(leaf)))


def _said(leaf: Callable) -> Iterator[str]:
    """The paragraphs of a docstring, up to its sections."""
    for paragraph in (inspect.getdoc(leaf) or "").split("\n\n"):
        if re.match(r"(Args|Attributes|Returns|Raises):\n", paragraph):
            return
        yield paragraph


def _markdown(paragraph: str) -> str:
    """A paragraph of a docstring, reStructuredText, as Markdown."""
    text, formula = " ".join(paragraph.split()), ".. math:: "
    if text.startswith(formula):
        return f"```{{math}}\n{text.removeprefix(formula)}\n```"
    parts = re.split(r":math:`([^`]*)`", text)
    return "".join(
        f"${part}$" if place % 2 else _plain(part) for place, part in enumerate(parts)
    )


def leaves(loss: Any) -> Iterator[Callable]:
    """Yields what has a docstring of its own among the losses that a loss is made of.

    They are functions of `losses` and `objectives`, and types of losses in one piece.
    """
    if not dataclasses.is_dataclass(loss):
        yield loss
        return
    found = False
    for name in ("pair_loss", "loss", "terms"):
        part = getattr(loss, name, ())
        for own in part if isinstance(part, tuple) else (part,):
            found = True
            yield from leaves(own)
    if not found:
        yield type(loss)


def _choices(row: algorithms.Row) -> str:
    """The choices that are not the usual ones, in a line."""
    shown = [
        f"{axis}: {_plain(choice)}".replace("\n", ", ")
        for axis, choice in listing.own_choices(row.method).items()
        if axis != "loss"
    ]
    line = f"{'; '.join(shown)}."
    return line[0].upper() + line[1:]


def _settings(row: algorithms.Row) -> str:
    """The settings as a table."""
    lines = []
    for own in row.settings:
        said = (own.meaning, own.unit or "-", _values(own), own.source)
        line = " | ".join((f"`{own.name}`", f"{own.default:.4g}", *map(_plain, said)))
        lines.append(f"| {line} |")
    head = "| setting | default | meaning | unit | values | the default is |\n"
    return head + "| :-- | --: | :-- | :-- | :-- | :-- |\n" + "\n".join(lines)


def _values(setting: algorithms.Setting) -> str:
    """What the values of a setting are, in words."""
    return setting.must.removeprefix("must be ")


def _predictions(name: str) -> Iterator[str]:
    """Where the row rests in the games of `experiments.fixed_points`."""
    for own in fixed_points.ENTRIES:
        if own.row != name:
            continue
        given = ", ".join(f"{key} {value:.4g}" for key, value in own.settings.items())
        at, note = (f", at {given}" if given else ""), (own.note and f" ({own.note})")
        yield _plain(f"{own.prediction}{at}{note}")


def _name(column: Callable) -> str:
    """A column's name, as the loss's formula has it."""
    return algorithms.columns.formula(column)


def _list(title: str, lines: Iterable[str]) -> str:
    """A list below its title; nothing where it is empty."""
    shown = [f"- {line}" for line in lines]
    return "\n".join([title, "", *shown]) if shown else ""


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, but for what is in backticks."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_<>|$\[\]])", r"\\\1", part)
        for part in parts
    )


def _fill(app: Any, name: str, source: list[str]) -> None:
    """Fills the page, if it is this one."""
    del app
    if name == "catalogue":
        source[0] = page(source[0])
