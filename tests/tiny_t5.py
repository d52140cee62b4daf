"""A tiny T5 with a tokenizer in the manner of T5's."""

import json
import pathlib

import jax
import tokenizers

from nashalign import policies

WORDS = ("round", "rock", "paper", "scissors", "summarize:")


def write_tokenizer(folder: pathlib.Path) -> pathlib.Path:
    """Writes a tokenizer of words and letters that ends every text, and no file else.

    Padding is 0, the end 1; there is no token to begin with.
    """
    letters = [chr(code) for code in range(33, 127)]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    pieces += [(f"\u2581{word}", -3.0) for word in WORDS]
    pieces += [(letter, -9.0) for letter in letters]
    backend = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=2))
    split = tokenizers.pre_tokenizers
    backend.pre_tokenizer = split.Sequence([split.WhitespaceSplit(), split.Metaspace()])
    backend.decoder = tokenizers.decoders.Metaspace()
    backend.add_special_tokens(["<pad>", "</s>", "<unk>"])
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    backend.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def write_policy(folder: pathlib.Path, **options) -> pathlib.Path:
    """Writes a random model of version 1.1, or of other options, with its tokenizer."""
    tokenizer = write_tokenizer(folder / "tokenizer")
    config = policies.T5Config(
        **{
            "vocab_size": 4 + len(WORDS) + 94,
            "d_model": 16,
            "d_kv": 6,
            "d_ff": 24,
            "num_layers": 1,
            "num_decoder_layers": 1,
            "num_heads": 2,
            "n_positions": 48,
            "feed_forward_proj": "gated-gelu",
            "tie_word_embeddings": False,
            **options,
        }
    )
    params = policies.family_of(config).build(config).init(jax.random.key(0))
    policies.save_pretrained(
        folder / "policy", params, config, tokenizer_folder=tokenizer
    )
    return folder / "policy"
