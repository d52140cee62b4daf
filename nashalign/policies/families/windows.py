"""Options of windows: how far back each layer sees."""

import pathlib
from typing import Any

from nashalign.policies.families.family import Options

SLIDING, FULL = "sliding_attention", "full_attention"
Windows = tuple[int | None, ...]
# A file that asks for more is damaged, and a list of its layers would fill the memory.
_MOST_LAYERS = 100_000


def read_windows(options: Options, path: pathlib.Path) -> Windows | None:
    """Returns the window of each layer; None where none has one.

    Args:
      options: the content of a `config.json`, in which `layer_types` say which layers
        have the `sliding_window`, or else those from `max_window_layers` on, and
        nothing where `use_sliding_window` is not true.
      path: of that file, to begin a message with.

    Raises:
      ValueError: an option is not what it must be.
    """
    number = num_layers(options, path)
    window = window_size(options, path)
    sliding = window is not None and options.get("use_sliding_window") is True
    types = options.get("layer_types")
    if types is None and not sliding:
        return None
    if types is None:
        begin = _whole(options, "max_window_layers", path, least=0)
        begin = 28 if begin is None else begin
        types = [SLIDING if layer >= begin else FULL for layer in range(number)]
    found = by_type(types, window, number, path)
    if found and not sliding:
        raise ValueError(
            f"{path}: layer_types have a window, and use_sliding_window is not true "
            "or sliding_window is null."
        )
    return found


def by_type(
    types: object, window: int | None, number: int, path: pathlib.Path
) -> Windows | None:
    """Returns the window of each of so many layers; None where none has one.

    Args:
      types: `layer_types` of a `config.json`.
      window: of those that slide.
      number: of layers.
      path: of the file, to begin a message with.

    Raises:
      ValueError: the types are not what they must be.
    """
    if (
        not isinstance(types, list)
        or len(types) != number
        or not all(kind in (SLIDING, FULL) for kind in types)
    ):
        raise ValueError(
            f"{path}: layer_types must be {number} times {SLIDING!r} or {FULL!r}, "
            f"not {types!r:.60}."
        )
    if SLIDING not in types:
        return None
    return tuple(window if kind == SLIDING else None for kind in types)


def num_layers(options: Options, path: pathlib.Path) -> int:
    """Returns `num_hidden_layers`.

    Raises:
      ValueError: it is no whole number, or more than any model has.
    """
    number = _whole(options, "num_hidden_layers", path) or 0
    if number > _MOST_LAYERS:
        raise ValueError(f"{path}: num_hidden_layers is {number}, more than any has.")
    return number


def window_size(options: Options, path: pathlib.Path) -> int | None:
    """Returns the `sliding_window`: 4096 where it is absent, None where it is null.

    Raises:
      ValueError: it is no whole number of at least one.
    """
    return _whole({"sliding_window": 4096, **options}, "sliding_window", path)


def pattern(options: Options, name: str, default: int, path: pathlib.Path) -> int:
    """Returns an option that says the how manieth layer each time is another.

    Raises:
      ValueError: it is no whole number of at least one.
    """
    found = _whole(options, name, path)
    return default if found is None else found


def written_windows(windows: Windows | None, number: int) -> dict[str, Any]:
    """Returns the options that say so, of so many layers."""
    own = windows or (None,) * number
    sizes = {window for window in own if window is not None}
    return {
        "use_sliding_window": bool(sizes),
        "sliding_window": max(sizes, default=None),
        "layer_types": [FULL if window is None else SLIDING for window in own],
    }


def _whole(options, name, path, least=1) -> int | None:
    """An option that is a whole number; None where it is absent or null."""
    value = options.get(name)
    if value is None:
        return None
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not least <= value < 2**31:
        raise ValueError(
            f"{path}: {name} is {value!r:.60}, not a whole number of at least {least} "
            "and of 32 bits."
        )
    return value
