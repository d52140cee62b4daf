"""The tabular figures of the EGPO and COMAL papers, reproduced."""
