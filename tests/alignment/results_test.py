"""What a comparison finds out of every policy."""

import numpy as np
import pytest

from nashalign.alignment import results


def test_a_win_rate_on_a_part_is_that_of_its_prompts_alone():
    own = np.array([True, False, True, True, False])
    preferred = np.array([0.1, 0.9, 0.2, 0.6, 0.7])
    runs = results.Runs(
        names=("trained", "start"),
        owners=(0, 1),
        written=(),
        clusters=np.array(list("abcde")),
        parts=np.where(own, "own", "others"),
    )
    table = np.full((5, 2, 2), 0.5)
    table[:, 0, 1], table[:, 1, 0] = preferred, 1 - preferred
    trained, start = results._by_part(runs, table)
    assert trained["own"].mean == pytest.approx(0.3)
    assert trained["others"].mean == pytest.approx(0.8)
    assert {part.mean for part in start.values()} == {0.5}
