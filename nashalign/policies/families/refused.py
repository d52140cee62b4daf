"""Models that no family here can be, by name, and what they would need."""

import re

_EXPERTS = "a mixture of experts, whose routed MLPs are not implemented"
_LINEAR = "a hybrid, whose layers of linear attention are not implemented"
_STATES = "a hybrid, whose state-space layers are not implemented"
_SHARED = (
    "a model with embeddings for each layer and layers that share keys and values, "
    "which are not implemented"
)
_IMAGES = "a model of images or sounds as well, of which only text is implemented"
_NESTED = (
    "a language model within a model of images; save that language model by itself "
    "(docs/how_to/checkpoint.md says how) and load that"
)

REFUSED = {
    **dict.fromkeys(
        """
        deepseek_v2 deepseek_v3 dots1 ernie4_5_moe glm4_moe gpt_oss granitemoe
        hunyuan_v1_moe llama4 llama4_text minimax mixtral olmoe phimoe qwen2_moe
        qwen3_moe
        """.split(),
        _EXPERTS,
    ),
    **dict.fromkeys(
        "kimi_linear qwen3_5 qwen3_5_moe qwen3_5_text qwen3_next".split(), _LINEAR
    ),
    **dict.fromkeys(
        """
        bamba falcon_h1 falcon_mamba granitemoehybrid jamba lfm2 mamba mamba2 nemotron_h
        recurrent_gemma rwkv zamba zamba2
        """.split(),
        _STATES,
    ),
    **dict.fromkeys("gemma3n gemma3n_text gemma4 gemma4_text".split(), _SHARED),
    **dict.fromkeys(
        """
        llava mistral3 mllama paligemma phi3_v phi4_multimodal phi4mm qwen2_5_omni
        qwen2_5_vl qwen2_vl qwen3_vl smolvlm
        """.split(),
        _IMAGES,
    ),
    "gemma3": _NESTED,
    "phi3small": "Phi-3-small, whose block-sparse attention is not implemented",
    "phi": "Phi-1 or 2, whose one norm for attention and MLP is not implemented",
}
"""What a model is and lacks here, by its `model_type`."""


def reason(model_type: str | None, architectures: list[str]) -> str | None:
    """Returns why a model is refused by name; None where it is not known.

    Args:
      model_type: that of its `config.json`.
      architectures: names of its classes there.
    """
    if model_type in REFUSED:
        return REFUSED[model_type]
    for kind, why in REFUSED.items():
        start = re.compile(kind.replace("_", "") + "(For|Model|LM)", re.IGNORECASE)
        if any(start.match(name.replace("_", "")) for name in architectures):
            return why
    return None
