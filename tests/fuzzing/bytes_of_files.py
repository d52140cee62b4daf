"""What disks, copies and editors do to a file."""

import json
import pathlib
from typing import Any

import numpy as np

_DEEP = 100_000


def damage(random: np.random.Generator, path: pathlib.Path) -> str:
    """Damages a file on a disk, and says how."""
    content = path.read_bytes()
    kinds = ["cut", "emptied", "one bit flipped", "zeroed", "other bytes", "deleted"]
    kind = str(random.choice(kinds if content else ["other bytes", "deleted"]))
    if kind == "deleted":
        path.unlink()
        return kind
    if kind == "cut":
        content = content[: random.integers(len(content))]
    elif kind == "emptied":
        content = b""
    elif kind == "one bit flipped":
        spoilt = bytearray(content)
        spoilt[random.integers(len(spoilt))] ^= 1 << int(random.integers(8))
        content = bytes(spoilt)
    elif kind == "zeroed":
        content = bytes(len(content))
    else:
        content = random.bytes(max(8, min(len(content), 64)))
    path.write_bytes(content)
    return kind


def flip(random: np.random.Generator, path: pathlib.Path) -> None:
    """Flips one bit of a file."""
    content = bytearray(path.read_bytes())
    content[random.integers(len(content))] ^= 1 << int(random.integers(8))
    path.write_bytes(bytes(content))


def not_json(random: np.random.Generator, path: pathlib.Path) -> str:
    """Puts what is not the JSON object that belongs there into a file."""
    text = path.read_text("utf-8")
    choices = {
        "cut": text[: len(text) // 2],
        "empty": "",
        "a list": "[1, 2]",
        "a number": "5",
        "null": "null",
        "text": '"text"',
        "brackets without end": "[" * _DEEP,
        "objects without end": '{"a":' * _DEEP,
        "not UTF-8": b"\xff\xfe{}",
        "binary": random.bytes(64),
    }
    kind = str(random.choice(sorted(choices)))
    content = choices[kind]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return kind


def no_value(random: np.random.Generator) -> tuple[str, Any]:
    """A JSON value that no option of a model or a run can have."""
    choices = {
        "infinity": float("inf"),
        "NaN": float("nan"),
        "negative": -int(random.integers(1, 1000)),
        "beyond every memory": 10 ** int(random.integers(12, 30)),
        "a list": [1, 2],
        "an object": {"a": 1},
        "text": "many",
        "a fraction": 2.5,
        "truth": True,
    }
    kind = str(random.choice(sorted(choices)))
    return kind, choices[kind]


def change_json(path: pathlib.Path, **values: Any) -> None:
    """Replaces values of a JSON object in a file."""
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")
