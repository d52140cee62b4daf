"""What a family of models is: all that its Hugging Face folders have of their own.

A family is a value: its name, the shape that its `config.json` describes, the policy of
that shape, and the names under which its weights are stored. Reading, checking and
writing are the same for all of them (`config_file.py`, `weights.py`).
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from nashalign.policies.lora import Lora
from nashalign.policies.policy import Policy

Options = Mapping[str, Any]


def unnamed(default: Any = dataclasses.MISSING) -> Any:
    """Returns a field of a shape that is no option of `config.json`."""
    return dataclasses.field(default=default, metadata={"option": None})


def spelt(name: str, default: Any = dataclasses.MISSING) -> Any:
    """Returns a field of a shape that `config.json` calls by another name."""
    return dataclasses.field(default=default, metadata={"option": name})


def option_names(config: type) -> dict[str, str]:
    """Returns the fields of a shape that are options of `config.json`, and as which."""
    fields = dataclasses.fields(config)
    names = {own.name: own.metadata.get("option", own.name) for own in fields}
    return {own: name for own, name in names.items() if name is not None}


class Config(Protocol):
    """The shape of a model: a frozen dataclass of numbers, in Hugging Face's names."""

    @property
    def vocab_size(self) -> int:
        """How many embeddings there are."""
        ...

    @property
    def tie_word_embeddings(self) -> bool:
        """Whether the output matrix is the embedding."""
        ...


class Build(Protocol):
    """Makes the policy of a shape."""

    def __call__(self, config: Any, lora: Lora | None = None, /) -> Policy:
        """Returns the policy, with adapters if it is to have any.

        Args:
          config: the shape.
          lora: the adapters, beside the kernels of `lora.Linear`.
        """
        ...


class Gather(Protocol):
    """Finds the fields of the shape that a `config.json` spells in another way."""

    def __call__(self, options: Options, path: pathlib.Path) -> dict[str, Any]:
        """Returns those fields, not yet checked.

        Args:
          options: the content of the file.
          path: of the file, to begin a message with.

        Raises:
          ValueError: they cannot be read, or ask for another model.
        """
        ...


class Complete(Protocol):
    """Fills in what a `config.json` leaves out, and refuses what no model can be."""

    def __call__(self, values: dict[str, Any], path: pathlib.Path) -> Config:
        """Returns the shape.

        Args:
          values: its fields, as far as they are there, checked one by one.
          path: of the file, to begin a message with.

        Raises:
          ValueError: a value is missing, or does not fit the others.
        """
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where a leaf of the parameters, or one layer of it, is stored.

    Attributes:
      tensor: Hugging Face's name.
      turned: whether it is stored as `[outputs, inputs]`: a policy multiplies from the
        left.
      part: which one it is of the leaves that are stored in this tensor, side by side
        along their outputs.
      groups: into how many groups the outputs are divided, in each of which every part
        has its share: the number of heads, if each head has its query, key and value
        together; 1 if the parts follow one another.
    """

    tensor: str
    turned: bool = False
    part: int = 0
    groups: int = 1


class Stored(Protocol):
    """Where a family stores its parameters."""

    def __call__(self, config: Any, path: Sequence[str], layer: int | None) -> Place:
        """Returns the place of a leaf, or of one layer of it.

        Args:
          config: the shape.
          path: the leaf's, its own key last: `"kernel"`, `"bias"`, `"scale"` or
            `"embedding"`.
          layer: which layer's part of it, if `"layers"` is in the path.
        """
        ...


def unchanged(name: str) -> str:
    """Returns the name of a stored tensor as it is: files of all ages agree on it."""
    return name


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """A family of models.

    Its policy's parameters are nested dictionaries. Those below a key `"layers"`,
    wherever it is, hold one array for each layer and are stored layer by layer.

    Attributes:
      model_type: Hugging Face's name of it in `config.json`.
      architecture: that of its class.
      config: the dataclass of its shape, `Config`. A field that is `unnamed` is no
        option of `config.json`: `gather` makes it and `written` tells it.
      build: `(config, lora) -> policy`.
      gather: `(options, path) -> fields` that are spelt in another way.
      complete: `(fields, path) -> config`.
      required: fields of the shape that every file must have.
      only: option -> the values under which it means this model, the usual one first.
      written: `(config) -> options`, what a file says besides the shape's fields.
      stored: `(config, path, layer) -> Place`.
      output: name of the stored output matrix; absent where it is tied.
      embedding: name of the stored embedding.
      superfluous: ends of names of tensors that are passed over.
      copies: names of tensors that may be stored beside the embedding, and equal it.
      known: options that `gather` reads, which are no fields of the shape.
      renamed: `(name) -> name` of a stored tensor, for files that call it otherwise.
      scorer: Hugging Face's class of a model with a score in the place of logits; None
        where it is another than the body with one more row.
    """

    model_type: str
    architecture: str
    config: type
    build: Build
    gather: Gather
    complete: Complete
    required: tuple[str, ...]
    only: Mapping[str, tuple[Any, ...]]
    written: Callable[[Any], dict[str, Any]]
    stored: Stored
    output: str
    embedding: str
    superfluous: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    renamed: Callable[[str], str] = unchanged
    scorer: str | None = None
