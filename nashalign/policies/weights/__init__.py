"""Weights as Hugging Face stores them: names, shapes, and safetensors files.

What is where in which tensor is in `layout.py`; everything is checked from the files'
headers before a weight is read (`reading.py`).
"""

from nashalign.policies.weights.files import INDEX, NAME
from nashalign.policies.weights.reading import read_weights
from nashalign.policies.weights.writing import require_params, write_weights

__all__ = ["INDEX", "NAME", "read_weights", "require_params", "write_weights"]
