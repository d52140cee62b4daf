"""The model of benchmarks, whose sizes are options: a Llama with random weights."""

from nashalign import policies


def small_llama(width: int, num_layers: int, vocabulary: int) -> policies.Policy:
    """Returns a decoder of heads of 64, two of which share keys, with tied embeddings.

    Args:
      width: of the model, a multiple of 64.
      num_layers: depth.
      vocabulary: tokens to choose from.

    Raises:
      ValueError: the width is no multiple of 64.
    """
    if width % 64:
        raise ValueError(f"--width must be a multiple of 64, not {width}.")
    return policies.llama(
        policies.LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=num_layers,
            num_attention_heads=width // 64,
            num_key_value_heads=max(1, width // 128),
            head_dim=64,
            tie_word_embeddings=True,
        )
    )
