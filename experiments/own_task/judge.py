"""A judge of one-line summaries of code: short sentences that speak of the code.

    nashalign align --policy experiments/start_policy \\
        --prompts experiments/own_task/prompts.jsonl \\
        --annotator experiments/own_task/judge.py:prefer \\
        --method nash_md_pg --output runs/own_task
"""

import math
import re


def prefer(prompt: str, y: str, z: str) -> float:
    """Returns P(y beats z), in [0, 1]."""
    return 1 / (1 + math.exp(merit(prompt, z) - merit(prompt, y)))


def merit(prompt: str, response: str) -> float:
    """Returns how good a response is, in log-odds."""
    words = response.split()
    named = set(re.findall(r"[a-z]{3,}", prompt.lower()))
    own = [word for word in words if word.lower().strip(".,`") in named]
    sentence = response[:1].isupper() and response.endswith(".")
    return 2.0 * sentence + min(len(own), 3) - 0.2 * abs(len(words) - 8)
