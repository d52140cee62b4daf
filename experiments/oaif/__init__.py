"""Feedback that is steered by its instruction alone (Guo et al. 2024)."""
