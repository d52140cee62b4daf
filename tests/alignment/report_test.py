"""What a comparison leaves for people to read."""

import re

import numpy as np

from nashalign import alignment, evaluation
from nashalign.alignment import report
from nashalign.types import Prompts, Responses


def written(task, rows):
    """What a policy has written that begins with the id of every prompt."""
    prompts = task.batch("test", rows)
    tokens = np.zeros((len(rows), 1, 2), np.int32)
    mask = np.ones_like(tokens, bool)
    return alignment.Written(
        prompts=Prompts(tokens=prompts.tokens, mask=prompts.mask, ids=prompts.ids),
        responses=Responses(tokens=tokens, mask=mask, truncated=mask[..., 0]),
        log_probs=tokens * 0.0,
        reference_log_probs=tokens * 0.0,
    )


def test_the_first_prompts_that_may_be_shown_are_and_nobody_has_chosen(
    loaded, tmp_path
):
    task = loaded.task
    rows = task.rows("test", 8, seed=0)
    ids = task.prompts["test"].ids[rows]
    hidden = set(ids[[0, 3]].tolist())
    pages = alignment.Pages(
        sample=lambda index: (
            None
            if index in hidden
            else {"prompt": f"prompt {index}.", "source": "somewhere"}
        )
    )
    own = written(task, rows)
    report.samples(
        task,
        {"RL": own, evaluation.START: own},
        np.full((8, 2, 2), 0.5),
        4,
        tmp_path,
        pages=pages,
        keys={},
    )
    expected = [f"prompt {index}." for index in ids[[1, 2, 4, 5]]]
    page = (tmp_path / "samples.html").read_text()
    assert re.findall(r"prompt \d+\.", page) == expected
    text = (tmp_path / "samples.md").read_text()
    assert re.findall(r"prompt \d+\.", text) == expected
