"""Seeded faults of the policies' files, which `python -m tests.faults` runs too."""

from tests.fault import Fault

LAYOUT = "nashalign/policies/weights/layout.py"
WEIGHTS_TEST = "tests/policies/weights_test.py"

POLICIES = [
    Fault(
        "parts of a tensor after one another in every group",
        LAYOUT,
        "shift = group * (self.outputs // groups - size) + self.before // groups",
        "shift = group * (self.outputs // groups - size) + self.before",
        WEIGHTS_TEST,
    ),
    Fault(
        "heads one by one read as if they followed one another",
        LAYOUT,
        "groups = self.place.groups",
        "groups = 1",
        WEIGHTS_TEST,
    ),
    Fault(
        "parts of a tensor in the order of their names",
        LAYOUT,
        "parts = sorted(parts, key=lambda part: part.place.part)",
        "parts = sorted(parts, key=lambda part: part.leaf)",
        WEIGHTS_TEST,
    ),
    Fault(
        "a slice of a turned tensor that is not turned",
        LAYOUT,
        "values = stored[place[::-1]].T if self.place.turned else stored[place]",
        "values = stored[place[::-1]].T",
        WEIGHTS_TEST,
    ),
    Fault(
        "stacks of layers at the root alone",
        LAYOUT,
        'if "layers" in keys else (None,)',
        'if "layers" == keys[0] else (None,)',
        WEIGHTS_TEST,
    ),
]
