"""Weights as Hugging Face stores them: names, shapes, and safetensors files.

What is where in which tensor is in `layout.py`; everything is checked from the files'
headers before a weight is read (`reading.py`).
"""

from nashalign.policies.weights.files import INDEX, usual_files
from nashalign.policies.weights.reading import read_weights
from nashalign.policies.weights.writing import (
    index_of,
    require_params,
    sharded,
    write_weights,
)

__all__ = [
    "INDEX",
    "index_of",
    "read_weights",
    "require_params",
    "sharded",
    "usual_files",
    "write_weights",
]
