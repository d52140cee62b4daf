"""Algorithms: methods as rows of a table, trained by one pure update."""

from nashalign.algorithms.method import Method
from nashalign.algorithms.table import TABLE, configure
from nashalign.algorithms.update import (
    Setup,
    State,
    annotate,
    expected_rollout,
    init,
    learn,
    rollout,
    update,
)

__all__ = [
    "TABLE",
    "Method",
    "Setup",
    "State",
    "annotate",
    "configure",
    "expected_rollout",
    "init",
    "learn",
    "rollout",
    "update",
]
