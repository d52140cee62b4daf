"""The safetensors files of a folder: one, or shards that an index lists."""

import pathlib
import re
from typing import Any

import safetensors

from nashalign import json_file

NAME = "model.safetensors"
INDEX = "model.safetensors.index.json"
STORED_TYPES = {
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float64": "F64",
}
"""The format's names of the types that are read and written."""
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")


def weight_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the files that hold a folder's weights; every one of them exists.

    Raises:
      FileNotFoundError: the weights or one of the shards is absent.
      ValueError: the index is damaged, or names a file outside of the folder.
    """
    if (folder / NAME).is_file():
        return [folder / NAME]
    index = folder / INDEX
    if not index.is_file():
        others = sorted(path.name for path in folder.glob("*.bin"))
        hint = f"; {', '.join(others)} is of a format not read here" if others else ""
        raise FileNotFoundError(f"{folder} has no {NAME} and no {INDEX}{hint}.")
    names = _shards(index)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} lacks {', '.join(missing)} of the {len(names)} shards that "
            f"{INDEX} lists; copy what is missing."
        )
    return [folder / name for name in names]


def usual_files(folder: pathlib.Path) -> set[str]:
    """Returns the names of a folder's files that would be taken for weights of it."""
    names = {path.name for path in folder.glob("*")}
    return {name for name in names if name in (NAME, INDEX) or _SHARD.fullmatch(name)}


def open_file(path: pathlib.Path) -> Any:
    """Opens a weights file, of which only the header is read.

    Raises:
      ValueError: it is cut short, or no such file.
    """
    try:
        return safetensors.safe_open(path, framework="np")
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path} is cut short or no safetensors file ({error}); copy it again. A "
            "Git LFS pointer has to be fetched first."
        ) from error


def _shards(index):
    """The names of the files in an index, of which none lies outside of its folder."""
    places = json_file.read_object(index).get("weight_map")
    if not isinstance(places, dict):
        raise ValueError(f"{index} has no weight_map; copy it again.")
    for tensor, name in places.items():
        plain = isinstance(name, str) and name not in ("", ".", "..")
        if not plain or {"/", "\\", "\0"} & set(name):
            raise ValueError(
                f"{index}: the weight_map has {tensor:.60} in {name!r:.60}, which is "
                "not the name of a file in its folder."
            )
    return sorted(set(places.values()))
