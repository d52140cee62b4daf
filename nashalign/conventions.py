"""What a Hugging Face folder says of its texts: how they begin, and how they end.

The model was trained with these conventions, so they are read and obeyed, and what
contradicts itself is refused by name. They are spread over four files: `tokenizer.json`
itself, `tokenizer_config.json`, and the model's `config.json` and
`generation_config.json`, either of which may be absent.
"""

import pathlib
from typing import Any

import tokenizers

from nashalign import json_file

TOKENIZER, SETTINGS = "tokenizer.json", "tokenizer_config.json"
CONFIG, GENERATION = "config.json", "generation_config.json"
# What an adapter has, beside which the model itself is in another folder.
ADAPTER = "adapter_config.json"
# Where a chat template may lie outside of `SETTINGS`.
TEMPLATES = ("chat_template.jinja", "chat_template.json")


def base_folder(folder: pathlib.Path) -> pathlib.Path | None:
    """Returns the folder of the model that an adapter's folder belongs to.

    Args:
      folder: of a model, or of an adapter in PEFT's format.

    Returns:
      None where the folder is a model's own.

    Raises:
      ValueError: the adapter names no base, or one that is no folder here.
    """
    path = folder / ADAPTER
    if not path.is_file():
        return None
    named = json_file.read_object(path).get("base_model_name_or_path")
    if not isinstance(named, str) or not named or not pathlib.Path(named).is_dir():
        raise ValueError(
            f"{path}: base_model_name_or_path is {named!r:.200}, which is no folder "
            "here; write the folder of the model that the adapter belongs to."
        )
    return pathlib.Path(named)


def read_tokenizer(
    folder: pathlib.Path,
) -> tuple[tokenizers.Tokenizer, dict[str, Any]]:
    """Returns what `tokenizer.json` and `tokenizer_config.json` hold.

    Args:
      folder: with both.

    Raises:
      FileNotFoundError: if one is missing.
      ValueError: if one is unreadable.
    """
    base = base_folder(folder)
    if base is not None and not (folder / TOKENIZER).exists():
        return read_tokenizer(base)
    for name in (TOKENIZER, SETTINGS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} has no {name}; the folder of a tokenizer needs {TOKENIZER} "
                f"and {SETTINGS}."
            )
    path = folder / TOKENIZER
    text = json_file.read_text(path)
    try:
        backend = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # The tokenizers library raises bare exceptions.
        raise ValueError(f"{path} is unreadable ({error}); copy it again.") from error
    return backend, json_file.read_object(folder / SETTINGS)


def num_ids(backend: tokenizers.Tokenizer) -> int:
    """Returns one more than the largest id: the embeddings that a model needs.

    The number of entries is less where ids have a gap.

    Args:
      backend: what `tokenizer.json` holds.
    """
    return 1 + max(backend.get_vocab(with_added_tokens=True).values(), default=-1)


def special_id(
    backend: tokenizers.Tokenizer,
    settings: dict[str, Any],
    role: str,
    folder: pathlib.Path,
) -> int | None:
    """Returns the id of the special token of a role, None where none is named.

    Args:
      backend: what `tokenizer.json` holds.
      settings: what `tokenizer_config.json` holds, where tokens are named as strings
        or as dictionaries with a `content`.
      role: `bos`, `eos` or `pad`.
      folder: of both, for the errors.

    Raises:
      ValueError: if what is named is no text, or not in the vocabulary.
    """
    named = settings.get(f"{role}_token")
    text = named.get("content") if isinstance(named, dict) else named
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(
            f"{folder / SETTINGS}: {role}_token is {named!r:.60}, not the name of a "
            "token."
        )
    found = backend.token_to_id(text)
    if found is None:
        raise ValueError(
            f"{folder / SETTINGS} names {text!r} as its {role}_token, but {TOKENIZER} "
            "has no such token."
        )
    return found


def end_ids(
    backend: tokenizers.Tokenizer, settings: dict[str, Any], folder: pathlib.Path
) -> tuple[int, ...]:
    """Returns the ids of all tokens that end a response, the tokenizer's own first.

    None, where no file names one. A chat model may end its turns with one token and
    texts with another: the lists `eos_token_id` of the model's files name them all.

    Args:
      backend: what `tokenizer.json` holds.
      settings: what `tokenizer_config.json` holds.
      folder: of the tokenizer; the model's files are read where they are.

    Raises:
      ValueError: if something is named that is no id of the tokenizer.
    """
    own = special_id(backend, settings, "eos", folder)
    found = [] if own is None else [own]
    for path in ((base_folder(folder) or folder) / CONFIG, folder / GENERATION):
        if path.is_file():
            named = json_file.read_object(path).get("eos_token_id")
            for token in named if isinstance(named, list) else [named]:
                if token is not None:
                    found.append(_checked(token, backend, path))
    return tuple(dict.fromkeys(found))


def begin_id(
    backend: tokenizers.Tokenizer, settings: dict[str, Any], folder: pathlib.Path
) -> int | None:
    """Returns the id of the token that is put before a text, None where none is.

    That a `bos_token` is named does not say that texts begin with it. What says so is
    `add_bos_token`; else the template in `tokenizer.json`; else the kind of tokenizer,
    where a folder of the Llama architecture that names none means Llama's.

    Args:
      backend: what `tokenizer.json` holds.
      settings: what `tokenizer_config.json` holds.
      folder: of both, for the errors.

    Raises:
      ValueError: if `add_bos_token` is neither true nor false, if it is true and no
        token is named, or if the template begins texts with several tokens.
    """
    own = special_id(backend, settings, "bos", folder)
    asked = settings.get("add_bos_token")
    if asked is not None and not isinstance(asked, bool):
        raise ValueError(
            f"{folder / SETTINGS}: add_bos_token is {asked!r:.60}, not true or false."
        )
    if asked and own is None:
        raise ValueError(
            f"{folder / SETTINGS}: add_bos_token is true, but no bos_token is named."
        )
    if asked is not None:
        return own if asked else None
    written, _ = _templated(backend)
    if len(written) > 1:
        raise ValueError(
            f"{folder / TOKENIZER} begins texts with "
            f"{[backend.id_to_token(token) for token in written]}; only one token is "
            f"supported. Set add_bos_token in {SETTINGS} to say whether it is there."
        )
    if written:
        return written[0]
    kind = settings.get("tokenizer_class")
    return own if kind is None or "Llama" in str(kind) else None


def behind_id(
    backend: tokenizers.Tokenizer, settings: dict[str, Any], folder: pathlib.Path
) -> int | None:
    """Returns the id of the token that is put behind a prompt, None where none is.

    The template in `tokenizer.json` says so, as that of T5 does, unless `add_eos_token`
    is false.

    Args:
      backend: what `tokenizer.json` holds.
      settings: what `tokenizer_config.json` holds.
      folder: of both, for the errors.

    Raises:
      ValueError: if `add_eos_token` is neither true nor false, or if the template ends
        texts with several tokens.
    """
    asked = settings.get("add_eos_token")
    if not isinstance(asked, bool | None):
        raise ValueError(
            f"{folder / SETTINGS}: add_eos_token is {asked!r:.60}, not true or false."
        )
    _, written = _templated(backend)
    if asked is False or not written:
        return None
    if len(written) > 1:
        raise ValueError(
            f"{folder / TOKENIZER} ends texts with "
            f"{[backend.id_to_token(token) for token in written]}; only one token is "
            f"supported. Set add_eos_token in {SETTINGS} to false for none."
        )
    return written[0]


def _templated(backend):
    """The ids that the template in `tokenizer.json` puts before and behind a text."""
    text = backend.encode("a", add_special_tokens=False).ids
    whole = backend.encode("a", add_special_tokens=True).ids
    for n in range(len(whole) - len(text) + 1):
        if whole[n:][: len(text)] == text:
            return whole[:n], whole[n + len(text) :]
    return [], []


def _checked(token, backend, path):
    """An id of the tokenizer; anything else is refused."""
    if isinstance(token, bool) or not isinstance(token, int):
        raise ValueError(f"{path}: eos_token_id is {token!r:.60}, not an id.")
    if not 0 <= token < 2**32 or backend.id_to_token(token) is None:
        raise ValueError(
            f"{path}: eos_token_id is {token}, which {TOKENIZER} beside it does not "
            "have; use the tokenizer that the model was trained with."
        )
    return token
