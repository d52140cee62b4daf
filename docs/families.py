"""What is read of each family of models, made of the registry, as a Sphinx extension.

The page `how_to/checkpoint.md` says `{families}` where it belongs. Each family has its
classes, the options of `config.json` that its folders must or may have, what those of
its own mean, and the options that may have one value alone.
"""

import dataclasses
import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from nashalign import policies
from nashalign.policies import config_file
from nashalign.policies.families import Family, option_names, refused, rope


def setup(app: Any) -> dict[str, bool]:
    """Lets Sphinx fill the page when it reads it."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True}


def page(text: str) -> str:
    """Returns the page with what is known of families in the place of their mark."""
    shown = [*map(entry, policies.known_families()), _shared()]
    return text.replace("{families}", "\n".join(shown))


def entry(family: Family) -> str:
    """Returns what there is to say of a family, as Markdown."""
    said = family.config.__doc__ or ""
    named = re.match(r"Shape of an? (.+?)(?: model\b|[,:])", said)
    title = named[1] if named else family.architecture
    classes = f"`{family.architecture}`"
    if family.scorer:
        classes += f"; reward models `{family.scorer}`"
    needed = [f"`{name}`" for name in family.required]
    parts = [
        f"### {title[0].upper()}{title[1:]}: `{family.model_type}`",
        f"{classes}.",
        f"Needed: {', '.join(needed)}.",
        f"Read: {', '.join(_read(family))}.",
        "\n".join(_own(family)),
        f"Refused with any other value: {'; '.join(_only(family))}.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _read(family: Family) -> Iterator[str]:
    """Options that a file may have, with what is taken where it does not."""
    defaults = {own.name: own.default for own in dataclasses.fields(family.config)}
    for own, name in option_names(family.config).items():
        if name not in family.required:
            value = defaults[own]
            known = value is not dataclasses.MISSING
            yield f"`{name}` ({_value(value)})" if known else f"`{name}`"
    yield from (f"`{name}`" for name in family.known)


def _own(family: Family) -> Iterator[str]:
    """What a family's fields of its own mean, a line each."""
    for kind in family.config.__mro__:
        if kind.__module__ == family.config.__module__:
            for name, meaning in _attributes(kind):
                yield f"- `{name}`: {re.sub('; see `[^`]*`', '', meaning)}"


def _attributes(kind: type) -> Iterator[tuple[str, str]]:
    """The attributes that a docstring lists, and what it says of each."""
    _, _, listed = (inspect.getdoc(kind) or "").partition("\nAttributes:\n")
    for found in re.finditer(r"^  (\w+): (.*(?:\n    .*)*)", listed, re.M):
        yield found[1], " ".join(found[2].split())


def _only(family: Family) -> Iterator[str]:
    """Options that are refused, by name, with all but these values."""
    for name, values in family.only.items():
        shown = [_value(value) for value in values if value is not None]
        yield f"`{name}` {' or '.join(shown) or '`null`'}"


def _value(value: Any) -> str:
    """A value as `config.json` spells it."""
    return f"`{json.dumps(value)}`"


def _shared() -> str:
    """What is the same for all families, and what none of them can be."""
    kinds: dict[str, list[str]] = {}
    for name, why in refused.REFUSED.items():
        kinds.setdefault(why, []).append(f"`{name}`")
    missing = "\n".join(f"- {', '.join(own)}: {why}." for why, own in kinds.items())
    scalings = ", ".join(f"`{name}`" for name in ("default", *rope.SCALINGS))
    passed = sorted(config_file.WITHOUT_EFFECT - {"architectures", "model_type"})
    ignored = ", ".join(f"`{name}`" for name in passed)
    return (
        "### All families\n\n"
        f"Scalings of rotary positions (`rope_type`): {scalings}.\n\n"
        "Passed over, since logits do not depend on it: what begins with `_`, and "
        f"{ignored}. Every other option is refused by its name, with the nearest one "
        "that is known.\n\n"
        f"Refused by their `model_type`, with what is missing:\n\n{missing}\n"
    )


def _fill(app: Any, name: str, source: list[str]) -> None:
    """Fills the page, if it is this one."""
    del app
    if name == "how_to/checkpoint":
        source[0] = page(source[0])
