"""Options of rotary positions, as `config.json` spells them in two styles."""

import pathlib

from nashalign.policies.families.family import Options


def rope_theta(options: Options, path: pathlib.Path, default: float) -> float:
    """Returns the base of the rotary frequencies in either style.

    Args:
      options: the content of a `config.json`.
      path: of that file, to begin a message with.
      default: the base where the file names none.

    Raises:
      ValueError: the frequencies are scaled, or two bases are named.
    """
    theta = options.get("rope_theta")
    for style in ("rope_parameters", "rope_scaling"):
        given = options.get(style) or {}
        if not isinstance(given, dict):
            raise ValueError(f"{path}: {style} is {given!r:.60}, not an object.")
        rope = dict(given)
        kind = rope.pop("rope_type", rope.pop("type", "default"))
        rope.pop("type", None)
        if kind != "default":
            raise ValueError(
                f"{path}: {style} of type {kind!r:.60} is not supported, only "
                "'default'."
            )
        own = rope.pop("rope_theta", None)
        if own is not None and theta is not None and own != theta:
            raise ValueError(
                f"{path}: rope_theta is {theta!r:.60}, but {own!r:.60} in {style}; "
                "delete the wrong one."
            )
        theta = own if theta is None else theta
        rest = {name: value for name, value in rope.items() if value is not None}
        if rest.pop("partial_rotary_factor", 1.0) != 1.0 or rest:
            raise ValueError(
                f"{path}: {style} {given!r:.60} is not supported, only rope_theta "
                "and rope_type 'default'."
            )
    return default if theta is None else theta
