"""Seeded faults of the decoders' options, which `python -m tests.faults` runs too."""

from tests.fault import Fault

LAYERS, NORMS = "nashalign/policies/layers.py", "nashalign/policies/norms.py"
ROTARY = "nashalign/policies/rotary.py"
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
]
