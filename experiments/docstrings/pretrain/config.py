"""Settings of the pre-training."""

import dataclasses
import pathlib

from nashalign import policies


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the pre-training.

    Attributes:
      output: where corpus, checkpoints, log and intermediate models go.
      destination: where the finished Hugging Face folder is written, over one that is
        there; in the output folder where it is left out.
      site_packages: folders of packages to learn from, beside the standard library
        and this project's dependencies, which are always there.
      start: Hugging Face folder of a model to start from, with its tokenizer; a new
        model where it is left out.
      excluded: packages left out, because of their licence.
      most_per_package: pairs taken from one training package at most, so that the
        largest do not set the tone.
      vocabulary: size of the tokenizer.
      width: residual width.
      inner_width: width of the gated MLP.
      num_layers: depth.
      num_heads: query heads, of width / num_heads each.
      num_key_value_heads: key and value heads.
      prompt_length: tokens of a prompt, the code's cut on the right to fit.
      short_prompt_length: the same in the first part of the training, where summaries
        are what is to be learnt, and twice as many fit into a batch.
      short_share: share of the time that the first part takes.
      response_length: tokens of a summary, end token included.
      batch_tokens: tokens of a batch, padding included.
      code_weight: weight of a code token in the loss, where a summary token has 1.
      scored: share of a batch's positions that are scored: all summary tokens first,
        the rest drawn from the code.
      learning_rate: at its peak.
      weight_decay: of the layers' matrices.
      warmup_steps: steps of linear warmup.
      minutes: length of the training by the clock.
      save_minutes: time between checkpoints.
      num_validation: validation pairs in an evaluation.
      seed: of everything drawn.
    """

    output: pathlib.Path = pathlib.Path("runs/pretrain")
    destination: pathlib.Path | None = None
    site_packages: tuple[pathlib.Path, ...] = ()
    start: pathlib.Path | None = None
    excluded: tuple[str, ...] = ("certifi", "docutils", "hypothesis", "tqdm")
    most_per_package: int = 6000
    vocabulary: int = 4096
    width: int = 192
    inner_width: int = 512
    num_layers: int = 4
    num_heads: int = 3
    num_key_value_heads: int = 1
    prompt_length: int = 48
    short_prompt_length: int = 16
    short_share: float = 0.7
    response_length: int = 32
    batch_tokens: int = 2048
    code_weight: float = 0.25
    scored: float = 0.45
    learning_rate: float = 2.5e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    minutes: float = 85.0
    save_minutes: float = 5.0
    num_validation: int = 2000
    seed: int = 0


def llama_config(config: Config) -> policies.LlamaConfig:
    """Returns the model's shape in Hugging Face's names."""
    return policies.LlamaConfig(
        vocab_size=config.vocabulary,
        hidden_size=config.width,
        intermediate_size=config.inner_width,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_key_value_heads,
        head_dim=config.width // config.num_heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )
