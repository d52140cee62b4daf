"""Published formats of prompts and comparisons, each a value."""

import difflib

from nashalign.data.formats import abstracts, dialogues, judged, ultrafeedback
from nashalign.data.formats.format import Format
from nashalign.data.formats.generic import RECORDS

FORMATS = {
    own.name: own
    for own in (
        RECORDS,
        dialogues.HH,
        dialogues.HH_TEXT,
        abstracts.TLDR,
        abstracts.TLDR_PROMPTS,
        abstracts.XSUM,
        ultrafeedback.PROMPTS,
        ultrafeedback.BINARIZED,
        ultrafeedback.SCORED,
        judged.PANDALM,
        judged.LLMBAR,
    )
}
"""Every format, by its name; the generic one comes first."""


def find_format(name: str) -> Format:
    """Returns a format by its name.

    Raises:
      ValueError: there is none of this name; says which ones are near.
    """
    if name in FORMATS:
        return FORMATS[name]
    near = difflib.get_close_matches(name, FORMATS, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(
        f"{name!r:.60} is no format; {hint}Known are {', '.join(FORMATS)}."
    )


__all__ = ["FORMATS", "Format", "find_format"]
