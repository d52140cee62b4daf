"""The rows that stand for all in the default lane have all that rows consist of."""

import dataclasses

from nashalign import algorithms
from tests import lanes


def test_a_few_rows_have_all_parts_of_all_rows():
    chosen = lanes.REPRESENTATIVES
    assert len(chosen) < len(algorithms.TABLE) / 4
    parts = {name: lanes.parts(row) for name, row in algorithms.TABLE.items()}
    assert set().union(*(parts[name] for name in chosen)) == set().union(
        *parts.values()
    )


def test_a_row_with_a_part_of_its_own_is_run_in_the_default_lane():
    dpo = algorithms.TABLE["dpo"]
    method = dataclasses.replace(dpo.method, annotation="another")
    row = dataclasses.replace(dpo)
    object.__setattr__(row, "method", method)
    rows = algorithms.TABLE | {"new": row}
    known = {name: lanes.parts(own) for name, own in rows.items()}
    assert "dpo" not in lanes.REPRESENTATIVES and "new" in lanes.covering(known)


def test_every_row_is_run_in_one_of_the_lanes():
    marked = {param.id: param.marks for param in lanes.every_row()}
    assert marked.keys() == algorithms.TABLE.keys()
    default = {name for name, marks in marked.items() if not marks}
    assert default == set(lanes.REPRESENTATIVES)
