"""The tokenizer of a GGUF file, as a Hugging Face folder has it."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import tokenizers

_KEY = "tokenizer.ggml."
# Kinds of tokens.
_NORMAL, _CONTROL, _USER = 1, 3, 4
_ROLES = {"bos": "bos", "eos": "eos", "unknown": "unk", "padding": "pad"}
_KNOWN = frozenset(
    [
        *(f"{role}_token_id" for role in _ROLES),
        *"add_bos_token add_space_prefix merges model pre token_type tokens".split(),
        # Which token is most likely, of models of another kind.
        "scores",
    ]
)


def write_tokenizer(
    fields: Mapping[str, Any], folder: pathlib.Path, path: pathlib.Path
) -> None:
    """Writes `tokenizer.json`, `tokenizer_config.json` and `generation_config.json`.

    Args:
      fields: of the file, by name.
      folder: where they go; it exists.
      path: of the file, to begin a message with.

    Raises:
      ValueError: it is no byte-level BPE whose texts are split as SmolLM's are, or has
        an option that is not known; the option is named.
    """
    own = {
        name.removeprefix(_KEY): value
        for name, value in fields.items()
        if name.startswith(_KEY)
    }
    for name, read in (("model", ("gpt2",)), ("pre", ("smollm",))):
        if own.get(name) not in read:
            raise ValueError(
                f"{path}: {_KEY}{name} is {own.get(name)!r:.60}; read is {read[0]!r}."
            )
    unknown = sorted(name for name in own.keys() - _KNOWN if own[name])
    if own.get("add_space_prefix"):
        unknown.append("add_space_prefix")
    if unknown:
        raise ValueError(
            f"{path} has {', '.join(_KEY + name for name in unknown)}, which is not "
            "supported and may change what a text is."
        )
    names = own["tokens"]
    backend = _backend(names, own)
    backend.save(str(folder / "tokenizer.json"))
    ids = {
        role: int(own[f"{called}_token_id"])
        for called, role in _ROLES.items()
        if f"{called}_token_id" in own
    }
    settings = {f"{role}_token": names[token] for role, token in ids.items()}
    settings |= {
        "add_bos_token": bool(own.get("add_bos_token", False)),
        "clean_up_tokenization_spaces": False,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    if "tokenizer.chat_template" in fields:
        settings["chat_template"] = fields["tokenizer.chat_template"]
    _write(folder / "tokenizer_config.json", settings)
    generation = {f"{r}_token_id": own for r, own in ids.items() if r != "unk"}
    _write(folder / "generation_config.json", generation)


def _backend(names, own) -> tokenizers.Tokenizer:
    """The tokenizer: byte-level BPE, digits and special tokens by themselves."""
    kinds = own["token_type"]
    merges = [tuple(merge.split(" ")) for merge in own["merges"]]
    vocabulary = {name: place for place, name in enumerate(names)}
    rules = tokenizers.models.BPE(vocab=vocabulary, merges=merges)
    backend = tokenizers.Tokenizer(rules)
    steps = tokenizers.pre_tokenizers
    backend.pre_tokenizer = steps.Sequence(
        [steps.Digits(individual_digits=True), steps.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = tokenizers.decoders.ByteLevel()
    of_kind = {
        kind: [
            tokenizers.AddedToken(name, normalized=False, special=kind == _CONTROL)
            for name, own in zip(names, kinds, strict=True)
            if own == kind
        ]
        for kind in (_CONTROL, _USER)
    }
    backend.add_special_tokens(of_kind[_CONTROL])
    backend.add_tokens(of_kind[_USER])
    return backend


def _write(path, content):
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
