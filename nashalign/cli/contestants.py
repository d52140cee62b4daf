"""Contestants on the command line: folders of policies, and files of answers.

NAME=PATH, or PATH alone, whose folder or file then gives the name
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping, Sequence

from nashalign import alignment, conventions, data, json_file, options


@dataclasses.dataclass(frozen=True)
class Contestant:
    """Who is compared.

    Attributes:
      name: in tables and files.
      path: folder of a policy, or file of answers.
    """

    name: str
    path: pathlib.Path

    @property
    def is_policy(self) -> bool:
        """Whether it is a policy, which answers; a file has answered."""
        return self.path.is_dir()

    def seed(self, seed: int) -> int:
        """Returns the seed of its answers, another one for every name.

        P(y beats z) is over independent answers: of one seed two policies that are
        alike would say the same, and look more equal than they are.

        Args:
          seed: of the whole comparison.
        """
        own = hashlib.sha256(f"{seed} {self.name}".encode()).digest()
        return int.from_bytes(own[:4], "big") % options.SEEDS


def parse(texts: Sequence[str]) -> list[Contestant]:
    """Returns the contestants that a command line names.

    Args:
      texts: `NAME=PATH` or `PATH` each.

    Raises:
      ValueError: there are fewer than two, a name is not one of a file or is there
        twice, or a path leads nowhere.
    """
    found = [_parsed(text) for text in texts]
    if len(found) < 2:
        raise ValueError(
            f"{len(found)} policies are given; a comparison needs two or more, each "
            "the folder of a policy or a file of answers."
        )
    names = [own.name for own in found]
    for own in found:
        if names.count(own.name) > 1:
            raise ValueError(
                f"{names.count(own.name)} policies are called {own.name!r}, such as "
                f"{own.path}; give them as NAME=PATH."
            )
    return found


def read_answers(
    path: pathlib.Path, records: Sequence[data.Record], num_responses: int
) -> list[list[str]]:
    """Returns the answers that a file has to prompts, found by the prompts' text.

    Args:
      path: JSON lines with a `prompt` or `messages`, and `responses`, a list of texts,
        each; what `nashalign generate` writes.
      records: the prompts.
      num_responses: answers to each prompt; the first ones are taken.

    Raises:
      ValueError: a line is no answer, or a prompt has none, or too few; names the file,
        and the line or the prompt.
      OSError: the file cannot be read.
    """
    written: dict[str, list[str]] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            prompt, responses = _answer(json_file.parse(line))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
        written.setdefault(prompt, []).extend(responses)
    for number, record in enumerate(records, 1):
        has = len(written.get(record.prompt, ()))
        if has < num_responses:
            raise ValueError(
                f"{path} has {has} answers to prompt {number} of {len(records)}, "
                f"{record.prompt!r:.80}, and {num_responses} to each are compared; "
                "answer all prompts, or leave this one out of --prompts."
            )
    return [written[record.prompt][:num_responses] for record in records]


def fingerprints(contestants: Sequence[Contestant]) -> dict[str, str]:
    """Returns what stands for the content of every contestant, by name.

    Raises:
      ValueError: a folder holds no policy.
    """
    found = {}
    for own in contestants:
        if own.is_policy:
            if not _holds_policy(own.path):
                raise ValueError(
                    f"{own.path} is a folder without a config.json or an "
                    "adapter_config.json: give the folder of a policy, or a file of "
                    "answers."
                )
            found[own.name] = alignment.folder_fingerprint(own.path)
        else:
            found[own.name] = data.fingerprint(own.path)
    return found


def _holds_policy(folder: pathlib.Path) -> bool:
    """Whether a folder is that of a model, or of adapters of one."""
    base = conventions.base_folder(folder)
    return base is not None or (folder / "config.json").is_file()


def _parsed(text: str) -> Contestant:
    """One contestant."""
    name, equals, rest = text.partition("=")
    path = pathlib.Path(text)
    if equals and "/" not in name and not path.exists():
        path = pathlib.Path(rest)
    else:
        own = path if path.name not in ("", "..") else path.resolve()
        name = own.name if own.is_dir() else own.stem
    if not path.exists():
        raise ValueError(
            f"{path} is not there; give the folder of a policy, or a file of answers."
        )
    if not name.strip() or name.startswith(".") or "/" in name or "\0" in name:
        raise ValueError(
            f"{text!r:.80} has the name {name!r:.60}, which cannot be that of a file; "
            "give it as NAME=PATH."
        )
    return Contestant(name, path)


def _answer(line: Mapping) -> tuple[str, list[str]]:
    """The prompt and the answers of a line."""
    prompt = data.find_format("records").parse(line).prompt
    responses = line.get("responses")
    if not isinstance(responses, list) or not all(
        isinstance(text, str) for text in responses
    ):
        shown = "missing" if responses is None else f"{responses!r:.60}"
        raise ValueError(f"`responses` is {shown}; it must be a list of texts")
    return prompt, responses
