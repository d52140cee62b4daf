"""Records as examples of a TFDS data set, of texts and lists, and back, exactly."""

import json
from collections.abc import Mapping
from typing import Any

from nashalign.data.records import Record


def as_example(record: Record) -> dict[str, Any]:
    """Returns a record as the features that it is stored as; absent ones are empty.

    Args:
      record: its other fields are JSON.
    """
    answers = [own for own in (record.chosen, record.rejected) if own is not None]
    return {
        "prompt": _bytes(record.prompt),
        "messages": [
            {name: _bytes(text) for name, text in own.items()}
            for own in record.messages or ()
        ],
        "responses": [_bytes(own) for own in answers],
        "scores": [repr(own) for own in record.scores or ()],
        "votes": [repr(own) for own in record.votes or ()],
        "authors": [_bytes(own) for own in record.authors or ()],
        "others": json.dumps(dict(record.others)),
    }


def as_record(example: Mapping[str, Any]) -> Record:
    """Returns the record that `as_example` was given.

    Args:
      example: as the data source returns it: texts as bytes, messages as lists.
    """
    said = example["messages"]
    messages = tuple(
        {"role": _text(role), "content": _text(content)}
        for role, content in zip(said["role"], said["content"], strict=True)
    )
    chosen, rejected = (*map(_text, example["responses"]), None, None)[:2]
    scores = tuple(float(own) for own in example["scores"])
    authors = tuple(map(_text, example["authors"]))
    return Record(
        prompt=_text(example["prompt"]),
        messages=messages or None,
        chosen=chosen,
        rejected=rejected,
        scores=(scores[0], scores[1]) if scores else None,
        votes=tuple(float(own) for own in example["votes"]) or None,
        authors=(authors[0], authors[1]) if authors else None,
        others=json.loads(example["others"]),
    )


# JSON can spell halves of characters, which UTF-8 has no bytes for.
def _bytes(text: str) -> bytes:
    """A text as it is stored."""
    return text.encode("utf-8", "surrogatepass")


def _text(stored: bytes) -> str:
    """A text as it was."""
    return stored.decode("utf-8", "surrogatepass")
