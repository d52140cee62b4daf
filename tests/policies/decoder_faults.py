"""Seeded faults of the decoders' options, which `python -m tests.faults` runs too."""

from tests.fault import Fault

LAYERS, NORMS = "nashalign/policies/layers.py", "nashalign/policies/norms.py"
ROTARY = "nashalign/policies/rotary.py"
LOGITS_TEST = "tests/policies/pretrained_test.py"
FAMILIES = "nashalign/policies/families"
LOGITS = "tests/policies/pretrained_test.py -k equal_those_of_transformers"
OPTIONS_TEST = "tests/policies/options_test.py"

DECODERS = [
    Fault(
        "bases of layers with a window and without exchanged",
        f"{FAMILIES}/gemma3.py",
        "local if window else config.rotary",
        "config.rotary if window else local",
        LOGITS,
    ),
    Fault(
        "the base of a window scaled as well",
        f"{FAMILIES}/gemma3.py",
        "local = Rotary(theta=config.rope_local_base_freq)",
        "local = Rotary(theta=config.rope_local_base_freq, scaling=config.scaling)",
        LOGITS,
    ),
    Fault(
        "every fifth layer sees all",
        f"{FAMILIES}/gemma3.py",
        "(layer + 1) % full",
        "layer % full",
        f"{OPTIONS_TEST} -k every_sixth",
    ),
    Fault(
        "layers turn by the rotation of another",
        ROTARY,
        "numbers = np.array([kinds.index(own) for own in rotaries])",
        "numbers = np.array([kinds.index(own) for own in rotaries[::-1]])",
        LOGITS,
    ),
    Fault(
        "queries, keys and values after one another in GPT-NeoX",
        f"{FAMILIES}/neox.py",
        "groups = config.num_attention_heads",
        "groups = 1",
        f"{LOGITS_TEST} -k 'neox and equal'",
    ),
    Fault(
        "an MLP behind attention where they are parallel",
        f"{FAMILIES}/neox.py",
        "placement=norms.PARALLEL if config.use_parallel_residual else norms.BEFORE",
        "placement=norms.BEFORE",
        f"{LOGITS_TEST} -k 'neox and equal'",
    ),
    Fault(
        "a gelu by tanh in GPT-NeoX",
        f"{FAMILIES}/neox.py",
        "nnx.gelu(x, approximate=False)",
        "nnx.gelu(x)",
        f"{LOGITS_TEST} -k 'neox and equal'",
    ),
    Fault(
        "an exact gelu in GPT-2",
        f"{FAMILIES}/gpt2.py",
        "activation=nnx.gelu,",
        "activation=lambda x: nnx.gelu(x, approximate=False),",
        f"{LOGITS_TEST} -k 'gpt2 and equal'",
    ),
    Fault(
        "all columns of a head that turn in GPT-NeoX",
        f"{FAMILIES}/neox.py",
        "width = int(config.head_dim * config.rotary_pct)\n    return",
        "width = config.head_dim\n    return",
        f"{LOGITS_TEST} -k 'neox and equal'",
    ),
    Fault(
        "norms of queries and keys head by head in OLMo 2",
        "nashalign/policies/layers.py",
        "return norm(x.reshape(*x.shape[:2], -1, norm.scale.shape[-1]))",
        "return norm(x.reshape(*x.shape[:2], -1, norm.scale.shape[-1]).mean(2, "
        "keepdims=True) + 0 * x)",
        f"{LOGITS_TEST} -k 'olmo2 and equal'",
    ),
    Fault(
        "layers without positions one too early in SmolLM3",
        f"{FAMILIES}/smollm.py",
        "turns = [int((layer + 1) % every != 0) for layer in range(number)]",
        "turns = [int((layer + 2) % every != 0) for layer in range(number)]",
        "tests/policies/options_test.py -k smollm3",
    ),
    Fault(
        "layers without positions that turn in SmolLM3",
        f"{FAMILIES}/smollm.py",
        "config.rotary if own else still for own in config.turns",
        "config.rotary for own in config.turns",
        f"{LOGITS_TEST} -k 'smollm3 and equal'",
    ),
    Fault(
        "embedded positions that count padding",
        "nashalign/policies/decoder.py",
        "x = x + model.embed_positions.embedding[...][places]",
        "x = x + model.embed_positions.embedding[...][jnp.arange(size)][None]",
        f"{LOGITS_TEST} -k 'gpt2 and equal'",
    ),
    Fault(
        "keys in the place of queries in Phi-3",
        f"{FAMILIES}/phi.py",
        '"q_proj": ("qkv_proj", 0), "k_proj": ("qkv_proj", 1)',
        '"q_proj": ("qkv_proj", 1), "k_proj": ("qkv_proj", 0)',
        f"{LOGITS_TEST} -k 'phi3 and equal'",
    ),
    Fault(
        "a gate behind the MLP in Phi-3",
        f"{FAMILIES}/phi.py",
        '"gate_proj": ("gate_up_proj", 0), "up_proj": ("gate_up_proj", 1)',
        '"gate_proj": ("gate_up_proj", 1), "up_proj": ("gate_up_proj", 0)',
        f"{LOGITS_TEST} -k 'phi3 and equal'",
    ),
]
