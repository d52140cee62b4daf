"""Makes the golden outputs of the encoder-decoders, as `make.py` those of decoders.

    python tests/policies/golden/make_t5.py t5         # transformers 5.24.0
    python tests/policies/golden/make_t5.py t5_gated   # transformers 5.24.0

`t5` is version 1.0: an MLP without a gate, and the embedding for an output matrix.
`t5_gated` is 1.1: a gate, and a matrix of its own, which transformers 5 ties in every
model that it makes, and leaves apart in one that it loads. Prompts and responses are
longer than the distance from which on all share one bucket.
"""

import pathlib
import sys

import numpy as np
import torch
import transformers

COMMON = {
    "vocab_size": 23,
    "d_model": 16,
    "d_kv": 3,
    "d_ff": 20,
    "num_layers": 2,
    "num_heads": 4,
    "decoder_start_token_id": 0,
    "attn_implementation": "eager",
}
MODELS = {
    "t5": {"num_decoder_layers": 3},
    "t5_gated": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
}
PROMPTS, RESPONSES = (150, 9, 1), (140, 6, 1)


def make(name: str) -> None:
    """Writes one model's folder, and its logits for prompts padded on either side."""
    if not transformers.__version__.startswith("5."):
        raise SystemExit(f"{name} is made with transformers 5")
    torch.manual_seed(0)
    config = transformers.T5Config(**COMMON | MODELS[name])
    model = transformers.T5ForConditionalGeneration(config).float().eval()
    if not MODELS[name].get("tie_word_embeddings", True):
        matrix = torch.empty_like(model.lm_head.weight)
        model.lm_head.weight = torch.nn.Parameter(matrix)
    with torch.no_grad():
        for tensor in model.parameters():
            centre = 1.0 if tensor.ndim == 1 else 0.0
            tensor.copy_(centre + 0.3 * torch.randn_like(tensor))
        if MODELS[name].get("tie_word_embeddings", True):
            # Divided by the root of the width, logits would be too flat to tell by.
            model.shared.weight.mul_(4)
    folder = pathlib.Path(__file__).parent / name
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)

    generator = np.random.default_rng(0)
    arrays, masks = {}, {}
    for text, lengths in (("prompt", PROMPTS), ("response", RESPONSES)):
        shape = (len(lengths), max(lengths))
        tokens = generator.integers(1, COMMON["vocab_size"], shape)
        masks[text] = np.arange(max(lengths)) < np.array(lengths)[:, None]
        arrays[text] = tokens.astype(np.int32)
    arrays["response"][:, 0] = 0
    arrays["response_mask"] = masks["response"]
    for side in ("right", "left"):
        mask = masks["prompt"][:, :: -1 if side == "left" else 1]
        given = {
            "input_ids": arrays["prompt"],
            "attention_mask": mask,
            "decoder_input_ids": arrays["response"],
            "decoder_attention_mask": masks["response"],
        }
        with torch.no_grad():
            output = model(
                **{n: torch.tensor(own.astype(np.int64)) for n, own in given.items()}
            )
        arrays |= {f"{side}_mask": mask, f"{side}_logits": output.logits.numpy()}
    np.savez_compressed(folder / "logits.npz", **arrays)


if __name__ == "__main__":
    make(sys.argv[1])
