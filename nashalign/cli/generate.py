"""Write a policy's answers to a file of prompts.

    nashalign generate --policy FOLDER --prompts FILE.jsonl --output ANSWERS.jsonl

A line of the prompts is a JSON object with a `prompt`; its other fields are kept. A
line of the answers has them, and `responses`, a list of texts.
"""

import dataclasses
import json
import pathlib

import tyro

from nashalign import alignment, command_line, terminal, training
from nashalign.cli import prompts

_NAME = "nashalign generate"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(alignment.Drawing):
    """A run of `nashalign generate`."""

    policy: pathlib.Path = tyro.MISSING
    """Hugging Face folder of the policy, with its tokenizer."""
    prompts: pathlib.Path = tyro.MISSING
    """JSON lines with a `prompt` or `messages` each, or what --format says; or a folder
    of such files, or a data set that data.build_dataset has made of them: its FOLDER,
    or FOLDER/SPLIT."""
    format: str = "records"
    """How the prompts are written: a published format, such as `hh`, by its name."""
    skip_malformed: bool = False
    """Whether to leave out lines that are not of the format, instead of ending."""
    output: pathlib.Path = tyro.MISSING
    """File of answers, JSON lines; it must not exist yet."""
    text: alignment.Text = alignment.Text()


def main(config: Config) -> None:
    """Loads the policy, answers every prompt and writes the answers.

    Raises:
      ValueError: a setting is out of its range, or the output is there.
    """
    config.require()
    prompts.check_format(config.format)
    if config.output.exists():
        raise ValueError(f"{config.output} is there; give another --output.")
    records = prompts.read(config.prompts, config.format, config.skip_malformed)
    written = dict(alignment.answers(config.policy, records, config.text, config))
    lines = [
        json.dumps(records[index].shown() | {"responses": texts})
        for index, texts in sorted(written.items())
    ]
    training.write_text(config.output, "".join(line + "\n" for line in lines))
    terminal.console().print(f"{len(lines)} prompts answered in {config.output}")


command = command_line.command(main, Config, name=_NAME, about=__doc__)
