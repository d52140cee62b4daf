"""The table of published formats, made of `data.FORMATS`, as a Sphinx extension.

The page `how_to/data.md` says `{formats}` where it belongs.
"""

from typing import Any

from nashalign import data


def setup(app: Any) -> dict[str, bool]:
    """Lets Sphinx fill the page when it reads it."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True}


def page(text: str) -> str:
    """Returns the page with the table of formats in the place of its mark."""
    rows = [
        "| `--format` | what is written so | fields of a line | what a record has |",
        "|---|---|---|---|",
        *map(row, data.FORMATS.values()),
    ]
    return text.replace("{formats}", "\n".join(rows))


def row(own: data.Format) -> str:
    """Returns what there is to say of a format, as a row of the table."""
    fields = ", ".join(f"`{name}`" for name in own.fields)
    return f"| `{own.name}` | {own.about} | {fields} | {own.gives} |"


def _fill(app: Any, name: str, source: list[str]) -> None:
    """Fills the page, if it is this one."""
    del app
    if name == "how_to/data":
        source[0] = page(source[0])
