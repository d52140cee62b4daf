"""Makes a tiny reward model of `transformers`, a tokenizer for it, and its scores.

With torch and transformers 5.24.0, from the repository's root:

    python tests/preferences/golden/make.py

The end token is the padding as well, as in many published reward models: a score is
then read before a text's end token. Weights are drawn wide, so that every part matters.
"""

import json
import pathlib

import numpy as np
import tokenizers
import torch
import transformers

FOLDER = pathlib.Path(__file__).parent / "reward"
VOCABULARY, EOS, LENGTHS = 23, 1, (9, 7, 5, 4)


def main() -> None:
    """Writes the folder, and scores of texts padded on the right."""
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=20,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32,
        num_labels=1,
        eos_token_id=EOS,
        pad_token_id=EOS,
        attn_implementation="eager",
    )
    model = transformers.Qwen2ForSequenceClassification(config).float().eval()
    with torch.no_grad():
        for tensor in model.parameters():
            centre = 1.0 if tensor.ndim == 1 else 0.0
            tensor.copy_(centre + 0.3 * torch.randn_like(tensor))
    model.save_pretrained(FOLDER)
    words = {"<s>": 0, "</s>": EOS} | {f"w{n}": n for n in range(2, VOCABULARY)}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w2"))
    backend.save(str(FOLDER / "tokenizer.json"))
    settings = {"bos_token": None, "eos_token": "</s>", "pad_token": "</s>"}
    (FOLDER / "tokenizer_config.json").write_text(json.dumps(settings) + "\n")
    tokens = np.random.default_rng(0).integers(2, VOCABULARY, (len(LENGTHS), 9))
    mask = np.arange(9) < np.array(LENGTHS)[:, None]
    tokens = np.where(mask, tokens, EOS)
    # Two end with an end token, one of them at once behind a prompt of three.
    tokens[0, 8] = tokens[3, 3] = EOS
    with torch.no_grad():
        scores = model(torch.tensor(tokens), torch.tensor(mask.astype(int))).logits
    np.savez(FOLDER / "scores.npz", tokens=tokens, mask=mask, scores=scores[:, 0])


if __name__ == "__main__":
    main()
