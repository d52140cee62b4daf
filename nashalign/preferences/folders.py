"""Learned judges as folders: a checkpoint, the head, and which kind of judge it is."""

import json
import pathlib

import numpy as np
import safetensors
import safetensors.numpy

from nashalign import json_file, policies
from nashalign.preferences.models import PairwiseModel, RewardModel

JUDGES = {"preference": PairwiseModel, "reward": RewardModel}
"""The kinds of judges, by what methods read."""

_RECORD, _HEAD = "judge.json", "head.safetensors"


def save_judge(
    folder: pathlib.Path,
    judge: PairwiseModel | RewardModel,
    config: policies.Config,
    tokenizer_folder: pathlib.Path,
) -> None:
    """Writes a judge as a Hugging Face folder with a head beside it.

    Args:
      folder: made if need be.
      judge: the model.
      config: shape of its language model.
      tokenizer_folder: of the tokenizer whose tokens it reads, which goes along.
    """
    policies.save_pretrained(
        folder, judge.params["policy"], config, tokenizer_folder=tokenizer_folder
    )
    head = {"head": np.asarray(judge.params["head"])}
    safetensors.numpy.save_file(head, folder / _HEAD)
    kind = next(name for name, own in JUDGES.items() if isinstance(judge, own))
    record = {"kind": kind, "eos_id": np.atleast_1d(judge.eos_id).tolist()}
    # The record comes last: a folder that was not finished has none, and is no judge.
    (folder / _RECORD).write_text(json.dumps(record) + "\n", "utf-8")


def is_judge(folder: pathlib.Path) -> bool:
    """Returns whether a folder holds a judge."""
    return (folder / _RECORD).is_file()


def load_judge(
    folder: pathlib.Path, tokenizer_folder: pathlib.Path
) -> PairwiseModel | RewardModel:
    """Returns the judge of a folder.

    Args:
      folder: what `save_judge` has written.
      tokenizer_folder: of the policy that is judged, whose tokens the judge reads.

    Raises:
      ValueError: it holds no judge, is damaged, or reads the tokens of another
        tokenizer.
    """
    if not is_judge(folder):
        raise ValueError(f"{folder} holds no judge: there is no {_RECORD} in it.")
    record = json_file.read_object(folder / _RECORD)
    if record.get("kind") not in JUDGES or "eos_id" not in record:
        raise ValueError(
            f"{folder / _RECORD} names no kind of judge of {list(JUDGES)}."
        )
    own, other = (
        (place / "tokenizer.json").read_bytes() for place in (folder, tokenizer_folder)
    )
    if own != other:
        raise ValueError(
            f"the judge in {folder} reads other tokens than {tokenizer_folder} writes: "
            "their tokenizer.json differ. Train a judge that begins with this policy."
        )
    start = policies.load_pretrained(folder)
    try:
        head = safetensors.numpy.load_file(folder / _HEAD)["head"]
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise ValueError(f"{folder / _HEAD} is damaged ({error}).") from error
    if head.shape != (start.policy.width,):
        raise ValueError(
            f"{folder / _HEAD} has shape {list(head.shape)}, and the model a width of "
            f"{start.policy.width}."
        )
    eos_id = tuple(record["eos_id"])
    return JUDGES[record["kind"]](
        params={"policy": start.params, "head": head},
        policy=start.policy,
        eos_id=eos_id[0] if len(eos_id) == 1 else eos_id,
    )
