"""The one data set of the experiments on docstrings: which functions are prompts.

Test prompts are frozen: functions of the standard library that are the same in CPython
3.11, 3.12 and 3.13, known by hashes of their content, and functions of this project's
own source as it once was, kept as text. Training and validation prompts are those of a
manifest of hashes that are found among the installed packages. Nobody else's text is
kept here.
"""

from experiments.docstrings.frozen import FROZEN as FROZEN
from experiments.docstrings.frozen import HALVES as HALVES
from experiments.docstrings.frozen import OTHERS as OTHERS
from experiments.docstrings.frozen import PACKAGES as PACKAGES
from experiments.docstrings.frozen import STANDARD_LIBRARY as STANDARD_LIBRARY
from experiments.docstrings.frozen import THIS_PROJECT as THIS_PROJECT
from experiments.docstrings.frozen import Function as Function
from experiments.docstrings.frozen import PromptSet as PromptSet
from experiments.docstrings.frozen import content_hash as content_hash
from experiments.docstrings.frozen import load as load
from experiments.docstrings.frozen import test_functions as test_functions
from experiments.docstrings.frozen import without_test_texts as without_test_texts
from experiments.docstrings.harvest import SUFFIX as SUFFIX
from experiments.docstrings.task import START_POLICY as START_POLICY
from experiments.docstrings.task import Docstrings as Docstrings
from experiments.docstrings.task import Text as Text
from experiments.docstrings.task import load_task as load_task
