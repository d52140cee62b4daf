"""Alignment: what a user does with all of it.

A `Task` says what is written to and who judges; `align` trains any row on any task with
any annotator; `compare` says which of the policies is preferred, with intervals. A new
task is a value, a new method is a value, and neither is a fork.
"""

from nashalign.alignment import asking, best, evidence, examples, logs, votes
from nashalign.alignment.adapters import Adapters, with_adapters
from nashalign.alignment.align import align, require
from nashalign.alignment.answering import Drawing, answers, kept_answers
from nashalign.alignment.auditing import audit
from nashalign.alignment.compare import MANY, compare
from nashalign.alignment.contest import (
    Contestant,
    Evaluation,
    Pages,
    Panel,
    contestant,
)
from nashalign.alignment.examples import DataSet
from nashalign.alignment.fitting import Fitting
from nashalign.alignment.fitting import fit as fit_judge
from nashalign.alignment.judges import Judges
from nashalign.alignment.judges import learn as learn_judges
from nashalign.alignment.judges import read as read_judges
from nashalign.alignment.runs import Aligned, Training
from nashalign.alignment.settings import (
    Settings,
    require_trained,
    settings_type,
)
from nashalign.alignment.several import ALL, Bench, Several, align_all
from nashalign.alignment.sweep import Trial, seed_variance, sweep, trials
from nashalign.alignment.task import (
    PromptSet,
    Task,
    Written,
    chunks,
    folder_fingerprint,
    stage_key,
)
from nashalign.alignment.text_contest import TextContest, Verdicts, judge_texts
from nashalign.alignment.text_judges import LearnedJudge
from nashalign.alignment.text_report import write as write_contest
from nashalign.alignment.text_report import write_game
from nashalign.alignment.texts import Splits, Text, TextTask, text_task
from nashalign.alignment.trained_judges import (
    Committee,
    JudgeTraining,
    measure_judge,
    train_judges,
)
from nashalign.alignment.validation import Validation, validation

__all__ = [
    "ALL",
    "MANY",
    "Adapters",
    "Aligned",
    "Bench",
    "Committee",
    "Contestant",
    "DataSet",
    "Drawing",
    "Evaluation",
    "Fitting",
    "JudgeTraining",
    "Judges",
    "LearnedJudge",
    "Pages",
    "Panel",
    "PromptSet",
    "Settings",
    "Several",
    "Splits",
    "Task",
    "Text",
    "TextContest",
    "TextTask",
    "Training",
    "Trial",
    "Validation",
    "Verdicts",
    "Written",
    "align",
    "align_all",
    "answers",
    "asking",
    "audit",
    "best",
    "chunks",
    "compare",
    "contestant",
    "evidence",
    "examples",
    "fit_judge",
    "folder_fingerprint",
    "judge_texts",
    "kept_answers",
    "learn_judges",
    "logs",
    "measure_judge",
    "read_judges",
    "require",
    "require_trained",
    "seed_variance",
    "settings_type",
    "stage_key",
    "sweep",
    "text_task",
    "train_judges",
    "trials",
    "validation",
    "votes",
    "with_adapters",
    "write_contest",
    "write_game",
]
