"""Options of rotary positions, as `config.json` spells them in two styles."""

import dataclasses
import pathlib
from typing import Any

from nashalign.policies import rotary
from nashalign.policies.families.family import Options

SCALINGS: dict[str, type] = {
    "linear": rotary.Linear,
    "llama3": rotary.Llama3,
    "yarn": rotary.Yarn,
}
"""The scalings that are read, by their names in files."""
# The context before scaling, which a file may say in several places.
_CONTEXT = "original_max_position_embeddings"
_SHARE = "partial_rotary_factor"
_STYLES = ("rope_parameters", "rope_scaling")
KNOWN = (_CONTEXT, *_STYLES)
"""Options that are read here, beside `rope_theta`."""


def read_rope(
    options: Options, path: pathlib.Path, default: float, *, base: str = "rope_theta"
) -> dict[str, Any]:
    """Returns base and scaling of the rotary frequencies, in either style.

    Args:
      options: the content of a `config.json`.
      path: of that file, to begin a message with.
      default: the base where the file names none.
      base: what it is called beside the objects.

    Returns:
      `rope_theta`, and `scaling`, None where there is none.

    Raises:
      ValueError: a scaling is not supported or lacks a number, or two bases or two
        scalings are named.
    """
    theta, scaling = options.get(base), None
    for style in _STYLES:
        given = options.get(style) or {}
        if not isinstance(given, dict):
            raise ValueError(f"{path}: {style} is {given!r:.60}, not an object.")
        rope = {name: value for name, value in given.items() if value is not None}
        own = rope.pop("rope_theta", None)
        if own is not None and theta is not None and own != theta:
            raise ValueError(
                f"{path}: {base} is {theta!r:.60}, but {own!r:.60} in {style}; "
                "delete the wrong one."
            )
        theta = own if theta is None else theta
        found = _scaling(rope, options, f"{path}: {style}")
        if scaling and found and scaling != found:
            raise ValueError(
                f"{path}: rope_parameters and rope_scaling ask for different scalings; "
                "delete the wrong one."
            )
        scaling = scaling or found
    return {"rope_theta": default if theta is None else theta, "scaling": scaling}


def read_partial_rope(
    options: Options,
    path: pathlib.Path,
    default: float,
    *,
    share: str,
    base: str = "rope_theta",
) -> dict[str, Any]:
    """Returns the same, and which share of a head's columns turns, if it is said.

    Args:
      options: the content of a `config.json`.
      path: of that file, to begin a message with.
      default: the base where the file names none.
      share: what the share is called beside the objects, and in what is returned.
      base: what the base is called there.

    Raises:
      ValueError: see `read_rope`; or two shares are named.
    """
    found, told = options.get(share), dict(options)
    for style in _STYLES:
        given = told.get(style)
        if isinstance(given, dict) and given.get(_SHARE) is not None:
            own = given[_SHARE]
            if found is not None and own != found:
                raise ValueError(
                    f"{path}: {share} is {found!r:.60}, but {own!r:.60} in {style}; "
                    "delete the wrong one."
                )
            found = own
            told[style] = {k: v for k, v in given.items() if k != _SHARE}
    rope = read_rope(told, path, default, base=base)
    return rope if found is None else {**rope, share: found}


def columns(head: int, share: float, name: str, path: pathlib.Path) -> int:
    """Returns how many of a head's columns turn.

    Args:
      head: its width.
      share: of its columns.
      name: of that option, to name it in a message.
      path: of the file, to begin a message with.

    Raises:
      ValueError: it is no even number of them.
    """
    width = int(head * share)
    if not 0 < share <= 1 or width % 2 or not width:
        raise ValueError(
            f"{path}: {name} {share} of the {head} columns of a head are {width}; "
            "rotary positions need an even number of them."
        )
    return width


def written_partial_rope(
    theta: float, scaling: rotary.Scaling | None, share: float
) -> dict[str, Any]:
    """Returns the options of rotary positions of a share of the columns."""
    told = written_rope(theta, scaling)
    return {**told, "rope_parameters": {**told["rope_parameters"], _SHARE: share}}


def written_rope(theta: float, scaling: rotary.Scaling | None) -> dict[str, Any]:
    """Returns the options of rotary positions, in both styles."""
    kinds = {own: kind for kind, own in SCALINGS.items()}
    if scaling is None:
        plain = {"rope_theta": theta, "rope_type": "default"}
        return {"rope_parameters": plain, "rope_scaling": None}
    own: Any = scaling  # a dataclass, as all of `SCALINGS` are
    values = {k: v for k, v in dataclasses.asdict(own).items() if v is not None}
    told = {"rope_type": kinds[type(scaling)], **values}
    return {"rope_parameters": {"rope_theta": theta, **told}, "rope_scaling": told}


def _scaling(rope, options, where):
    """The scaling that an object asks for; None if it asks for none."""
    kind = rope.pop("rope_type", rope.pop("type", "default"))
    rope.pop("type", None)
    if rope.pop("partial_rotary_factor", 1.0) != 1.0:
        raise ValueError(f"{where}: a partial_rotary_factor is not supported.")
    if kind == "default":
        if rope:
            raise ValueError(
                f"{where} {rope!r:.60} is not supported with rope_type 'default'."
            )
        return None
    if kind not in SCALINGS:
        names = ", ".join(map(repr, ("default", *SCALINGS)))
        raise ValueError(
            f"{where} of type {kind!r:.60} is not supported, only {names}."
        )
    return _made(SCALINGS[kind], rope, options, where)


def _made(made, rope, options, where):
    """A scaling of numbers that are there, and that it knows."""
    fields = {own.name: own for own in dataclasses.fields(made)}
    if _CONTEXT in fields:
        # Some files say it beside the object, others mean the whole context.
        whole = rope.get(_CONTEXT, options.get("max_position_embeddings"))
        length = options.get(_CONTEXT) or whole
        rope = rope | ({} if length is None else {_CONTEXT: length})
    unknown = sorted(rope.keys() - fields.keys())
    missing = [
        name
        for name, own in fields.items()
        if own.default is dataclasses.MISSING and name not in rope
    ]
    if unknown or missing:
        what = f"knows no {unknown[0]!r:.60}" if unknown else f"lacks {missing[0]}"
        raise ValueError(f"{where} {what}.")
    for name, value in rope.items():
        if name == "truncate":
            right, what = isinstance(value, bool), "true or false"
        else:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            right, what = number and 0 < value < 2**31, "a positive number"
        if not right:
            raise ValueError(f"{where}: {name} is {value!r:.60}, not {what}.")
    try:
        return made(**rope)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
