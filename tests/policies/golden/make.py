"""Makes the golden outputs: tiny models of `transformers`, and their logits.

Each folder is written by one major version, so that both styles of `config.json` are
the real ones. With torch and the named version installed, from the repository's root:

    python tests/policies/golden/make.py grouped   # transformers 5.23.0, torch 2.13.0
    python tests/policies/golden/make.py tied      # transformers 4.57.6, torch 2.13.0
    python tests/policies/golden/make.py llama3    # transformers 5.24.0, torch 2.13.0
    ... and so each of the others

`grouped` has grouped queries, heads wider than the width over their number, an output
matrix of its own, and shards; `tied` has none of these. `llama3` has its rotary
scaling, with frequencies low, high and between, and all biases; `yarn` that scaling,
and windows in some layers. Texts are longer than the windows. Weights are drawn wide,
and norms away from one, so that the logits are of order one and every part matters.
"""

import pathlib
import sys

import numpy as np
import torch
import transformers

COMMON = {
    "vocab_size": 23,
    "hidden_size": 16,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 32,
    "attn_implementation": "eager",
}
MODELS = {
    "grouped": {
        "class": "Llama",
        "major": "5",
        "shards": "10KB",
        "config": {
            "num_key_value_heads": 2,
            "head_dim": 6,
            "rms_norm_eps": 1e-5,
            "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
        },
    },
    "tied": {
        "class": "Llama",
        "major": "4",
        "shards": "1GB",
        "config": {"rope_theta": 300.0, "tie_word_embeddings": True},
    },
    "llama3": {
        "class": "Llama",
        "major": "5",
        "shards": "1GB",
        "config": {
            "num_key_value_heads": 2,
            "head_dim": 8,
            "attention_bias": True,
            "mlp_bias": True,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 100.0,
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            },
        },
    },
    "linear": {
        "class": "Llama",
        "major": "5",
        "shards": "1GB",
        "config": {
            "rope_parameters": {
                "rope_type": "linear",
                "rope_theta": 100.0,
                "factor": 3.0,
            },
        },
    },
    "qwen2": {
        "class": "Qwen2",
        "major": "5",
        "shards": "1GB",
        "config": {"num_key_value_heads": 2, "tie_word_embeddings": True},
    },
    "yarn": {
        "class": "Qwen2",
        "major": "5",
        "shards": "1GB",
        "config": {
            "num_key_value_heads": 1,
            "num_attention_heads": 1,
            "max_position_embeddings": 256,
            "use_sliding_window": True,
            "sliding_window": 3,
            "max_window_layers": 1,
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 100.0,
                "factor": 4.0,
                "original_max_position_embeddings": 64,
                "beta_fast": 4.0,
            },
        },
    },
    "qwen3": {
        "class": "Qwen3",
        "major": "5",
        "shards": "1GB",
        "config": {"num_key_value_heads": 2, "head_dim": 6, "attention_bias": True},
    },
    "gemma2": {
        "class": "Gemma2",
        "major": "5",
        "shards": "1GB",
        "config": {
            "num_key_value_heads": 2,
            "head_dim": 6,
            "query_pre_attn_scalar": 9,
            "sliding_window": 3,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 5.0,
        },
    },
    "gemma3": {
        "class": "Gemma3",
        "config_class": "Gemma3Text",
        "major": "5",
        "shards": "1GB",
        "config": {
            "num_hidden_layers": 3,
            "num_key_value_heads": 2,
            "head_dim": 6,
            "query_pre_attn_scalar": 9,
            "sliding_window": 3,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
            "final_logit_softcapping": 5.0,
            "rope_parameters": {
                "full_attention": {
                    "rope_type": "linear",
                    "rope_theta": 500.0,
                    "factor": 3.0,
                },
                "sliding_attention": {"rope_type": "default", "rope_theta": 20.0},
            },
        },
    },
    "neox": {
        "class": "GPTNeoX",
        "major": "5",
        "shards": "1GB",
        "config": {
            "hidden_size": 32,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 50.0,
                "partial_rotary_factor": 0.5,
            },
        },
    },
    "neox_serial": {
        "class": "GPTNeoX",
        "major": "5",
        "shards": "1GB",
        "config": {
            "hidden_size": 32,
            "use_parallel_residual": False,
            "attention_bias": False,
            "rope_parameters": {
                "rope_type": "linear",
                "factor": 2.0,
                "rope_theta": 50.0,
                "partial_rotary_factor": 0.25,
            },
        },
    },
    "phi3": {
        "class": "Phi3",
        "major": "5",
        "shards": "1GB",
        "config": {
            "hidden_size": 32,
            "num_key_value_heads": 2,
            "sliding_window": 3,
            "original_max_position_embeddings": 32,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 50.0,
                "partial_rotary_factor": 0.5,
            },
        },
    },
    "olmo2": {
        "class": "Olmo2",
        "major": "5",
        "shards": "1GB",
        "config": {"num_key_value_heads": 2, "attention_bias": True},
    },
    "smollm3": {
        "class": "SmolLM3",
        "major": "5",
        "shards": "1GB",
        "config": {
            "num_hidden_layers": 3,
            "num_key_value_heads": 2,
            "no_rope_layers": [1, 0, 1],
            "use_sliding_window": True,
            "sliding_window": 3,
            "pad_token_id": 0,
            "rope_parameters": {"rope_type": "default", "rope_theta": 50.0},
        },
    },
    "gpt2": {
        "class": "GPT2",
        "made": "GPT2LMHeadModel",
        "major": "5",
        "shards": "1GB",
        "common": {
            "vocab_size": 23,
            "n_embd": 16,
            "n_layer": 2,
            "n_head": 4,
            "n_inner": 20,
            "n_positions": 32,
            "attn_implementation": "eager",
        },
        "config": {},
    },
    "mistral": {
        "class": "Mistral",
        "major": "5",
        "shards": "1GB",
        "config": {"num_key_value_heads": 2, "head_dim": 6, "sliding_window": 3},
    },
}
LENGTHS = (7, 4, 1)


def make(name: str) -> None:
    """Writes one model's folder and its logits under padding on either side."""
    row = MODELS[name]
    if not transformers.__version__.startswith(row["major"] + "."):
        raise SystemExit(f"{name} is made with transformers {row['major']}")
    torch.manual_seed(0)
    told = row.get("config_class", row["class"])
    common = row.get("common", COMMON)
    config = getattr(transformers, f"{told}Config")(**common | row["config"])
    made = getattr(transformers, row.get("made", f"{row['class']}ForCausalLM"))
    model = made(config).float().eval()
    with torch.no_grad():
        for tensor in model.parameters():
            centre = 1.0 if tensor.ndim == 1 else 0.0
            tensor.copy_(centre + 0.3 * torch.randn_like(tensor))
    folder = pathlib.Path(__file__).parent / name
    model.save_pretrained(folder, max_shard_size=row["shards"])
    (folder / "generation_config.json").unlink(missing_ok=True)

    generator = np.random.default_rng(0)
    tokens = generator.integers(0, COMMON["vocab_size"], (len(LENGTHS), max(LENGTHS)))
    right = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    arrays = {"tokens": tokens.astype(np.int32)}
    for side, mask in (("right", right), ("left", right[:, ::-1])):
        # Where positions are embedded, they are told apart from padding by hand.
        places = np.maximum(np.cumsum(mask, -1) - 1, 0)
        with torch.no_grad():
            output = model(
                input_ids=torch.tensor(tokens),
                attention_mask=torch.tensor(mask.astype(np.int64)),
                position_ids=torch.tensor(places),
            )
        arrays |= {f"{side}_mask": mask, f"{side}_logits": output.logits.numpy()}
    np.savez_compressed(folder / "logits.npz", **arrays)


if __name__ == "__main__":
    make(sys.argv[1])
