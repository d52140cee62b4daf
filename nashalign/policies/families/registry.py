"""The registry of model families."""

from nashalign.policies.families.family import Config, Family
from nashalign.policies.families.gemma import FAMILY as GEMMA2
from nashalign.policies.families.gemma3 import FAMILY as GEMMA3
from nashalign.policies.families.gpt2 import FAMILY as GPT2
from nashalign.policies.families.llama import FAMILY as LLAMA
from nashalign.policies.families.mistral import FAMILY as MISTRAL
from nashalign.policies.families.neox import FAMILY as GPT_NEOX
from nashalign.policies.families.olmo import FAMILY as OLMO2
from nashalign.policies.families.phi import FAMILY as PHI3
from nashalign.policies.families.qwen import QWEN2, QWEN3
from nashalign.policies.families.smollm import FAMILY as SMOLLM3
from nashalign.policies.families.t5 import FAMILY as T5

_FAMILIES: dict[str, Family] = {
    family.model_type: family
    for family in (
        LLAMA,
        QWEN2,
        QWEN3,
        MISTRAL,
        GPT_NEOX,
        GEMMA2,
        GEMMA3,
        T5,
        PHI3,
        OLMO2,
        SMOLLM3,
        GPT2,
    )
}


def register_family(family: Family) -> Family:
    """Lets folders of another family be loaded and saved as those of ours are.

    Returns:
      The family.

    Raises:
      ValueError: another one has its `model_type`.
    """
    known = _FAMILIES.setdefault(family.model_type, family)
    if known != family:
        raise ValueError(
            f"the model_type {family.model_type!r} is taken by {known.architecture}"
        )
    return family


def known_families() -> tuple[Family, ...]:
    """Returns all families: ours, and those that were registered."""
    return tuple(_FAMILIES.values())


def family_of(config: Config) -> Family:
    """Returns the family of a shape.

    Raises:
      TypeError: it is of no family.
    """
    for family in _FAMILIES.values():
        if type(config) is family.config:
            return family
    names = ", ".join(family.config.__name__ for family in _FAMILIES.values())
    raise TypeError(f"a {type(config).__name__} is no shape of a family: {names}")
