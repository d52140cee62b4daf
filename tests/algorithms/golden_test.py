"""One training step of every row, against the numbers it gave when it was last judged.

The table is made by `python -m tests.algorithms.golden_test`, run in the repository's
root; where rows are named, they alone are measured again. Its numbers are those of jax
0.10.2; the tolerance is that of other versions.
"""

import functools
import json
import os
import pathlib
import sys

import jax
import pytest

from tests import lanes, token_game

TABLE = pathlib.Path(__file__).with_name("golden.json")
COMMAND = "python -m tests.algorithms.golden_test"
ADVICE = f"""
The first training step of {{name}} is no longer what it was: {{moved}}.
If the change was meant to keep results as they are, it has a fault. If it was meant to
move them, make the table again with `{COMMAND} {{name}}`, look at its difference, and
say in the commit and in the CHANGELOG why each number moved.
"""


# What `conftest.py` takes from all programs of the tests is given back to these.
OPTIMISED = {
    "xla_backend_optimization_level": 3,
    "xla_llvm_disable_expensive_passes": False,
}
if "xla_cpu_use_fusion_emitters" in os.environ.get("XLA_FLAGS", ""):
    OPTIMISED["xla_cpu_use_fusion_emitters"] = True
as_users_do = functools.partial(jax.jit, compiler_options=OPTIMISED)


def measured(name, compiled=token_game.compiled):
    """Metrics of a row's first step, on 30 prompts in float64."""
    with jax.enable_x64(True):
        _, metrics = token_game.sampled_steps(name, 1, compiled=compiled)
    return {metric: float(value) for metric, value in metrics[0].items()}


def require_golden(name, now):
    """Requires that these metrics are the table's."""
    golden = json.loads(TABLE.read_text())[name]
    assert now.keys() == golden.keys(), ADVICE.format(name=name, moved="other metrics")
    moved = {
        metric: f"{golden[metric]} -> {value}"
        for metric, value in now.items()
        if value != pytest.approx(golden[metric], rel=1e-4, abs=1e-7)
    }
    assert not moved, ADVICE.format(name=name, moved=moved)


@pytest.mark.parametrize("name", lanes.every_row(token_game.SETTINGS, lanes.FEW))
def test_first_step_is_what_it_was(name):
    require_golden(name, measured(name))


@pytest.mark.full
@pytest.mark.parametrize("name", lanes.REPRESENTATIVES)
def test_first_step_is_the_same_where_it_is_compiled_as_users_do(name):
    require_golden(name, measured(name, as_users_do))


if __name__ == "__main__":
    chosen = sys.argv[1:] or token_game.SETTINGS
    known = json.loads(TABLE.read_text()) if sys.argv[1:] else {}
    found = known | {name: measured(name) for name in chosen}
    table = {name: found[name] for name in token_game.SETTINGS}
    TABLE.write_text(json.dumps(table, indent=2) + "\n")
