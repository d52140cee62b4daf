"""Command lines with a setting that cannot be, a name misspelt or a path that is none.

Each is run in this process, and must end with an exit code and a sentence before any
work is done: what is right goes on to train, which a trial has no time for.
"""

import contextlib
import io
import pathlib
import re
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tests.fuzzing.folders import model_folder
from tests.fuzzing.trial import Trial

Words = Callable[[np.random.Generator, pathlib.Path], tuple[str, list[str]]]


def _values(**choices: str) -> Words:
    """One of some texts, by what it is."""

    def words(random, folder):
        del folder
        kind = str(random.choice(sorted(choices)))
        return kind, [choices[kind]]

    return words


_COUNT = _values(zero="0", negative="-3", fraction="2.5", text="many", empty="")
_RATE = _values(zero="0", negative="-0.5", nan="nan", infinite="inf", text="much")
_SHARE = _values(negative="-0.5", nan="nan", large="1.5", infinite="inf", text="half")
_SEED = _values(text="zero", fraction="0.5", large=str(2**70), lowest=str(-(2**70)))
_NAME = _values(misspelt="onlin_ipo", text="a b", option="tau", bracket="x[/red]y")


def _nowhere(random, folder) -> tuple[str, list[str]]:
    """A folder that cannot be made."""
    file = folder / "a file"
    file.write_text("")
    choices = {
        "a file": str(file),
        "under a file": str(file / "x"),
        "a device": "/dev/full",
        "under a device": "/dev/null/x",
        "no file system's": "/proc/none/x[/red]y",
    }
    kind = str(random.choice(sorted(choices)))
    return kind, [choices[kind]]


def _absent(random, folder) -> tuple[str, list[str]]:
    """A folder or file that is not there, or holds nothing of use."""
    (folder / "empty").mkdir(exist_ok=True)
    choices = {
        "absent": str(folder / "absent[/b]"),
        "empty": str(folder / "empty"),
        "a device": "/dev/null",
    }
    kind = str(random.choice(sorted(choices)))
    return kind, [choices[kind]]


_SUMMARISE = {
    "--methods": _NAME,
    "--policy": _absent,
    "--output": _nowhere,
    "--data": _nowhere,
    "--seed": _SEED,
    "--text.prompt-length": _COUNT,
    "--text.response-length": _COUNT,
    "--text.packages": _NAME,
    "--judges.num-prompts": _COUNT,
    "--judges.num-held-out": _COUNT,
    "--judges.num-pairings": _COUNT,
    "--judges.num-voters": _COUNT,
    "--judges.batch-size": _COUNT,
    "--judges.learning-rate": _RATE,
    "--training.num-steps": _COUNT,
    "--training.batch-size": _COUNT,
    "--training.save-every": _COUNT,
    "--training.evaluate-every": _COUNT,
    "--evaluation.num-prompts": _COUNT,
    "--evaluation.num-validation-prompts": _COUNT,
    "--settings.rl.learning-rate": _RATE,
    "--settings.online-ipo.tau": _RATE,
    "--settings.ipo-md.mix": _SHARE,
    "--no-such-option": _COUNT,
}
_PRETRAIN = {
    "--output": _nowhere,
    "--width": _COUNT,
    "--num-heads": _COUNT,
    "--num-layers": _COUNT,
    "--vocabulary": _COUNT,
    "--prompt-length": _COUNT,
    "--response-length": _COUNT,
    "--batch-tokens": _COUNT,
    "--learning-rate": _RATE,
    "--short-share": _SHARE,
    "--minutes": _RATE,
    "--save-minutes": _RATE,
    "--num-validation": _COUNT,
    "--seed": _SEED,
}
_SAMPLE = {
    "--prompt-length": _COUNT,
    "--response-length": _COUNT,
    "--temperature": _RATE,
    "--seed": _SEED,
}
COMMANDS: dict[str, dict[str, Words]] = {
    "experiments.summarise": _SUMMARISE,
    "experiments.docstrings.pretrain": _PRETRAIN,
    "experiments.docstrings.sample": _SAMPLE,
    "experiments.theorems": {"--only": _NAME, "--output": _nowhere},
    "experiments.tabular": {"--output": _nowhere},
    "experiments.fixed_points": {"--rows": _NAME, "--output": _nowhere},
    "experiments.benchmarks.updates": {
        "--rows": _NAME,
        "--batch-size": _COUNT,
        "--response-length": _COUNT,
        "--width": _COUNT,
        "--repeats": _COUNT,
    },
    "experiments.benchmarks.dynamics_sweep": {
        "--num-games": _COUNT,
        "--num-responses": _COUNT,
        "--num-steps": _COUNT,
        "--every": _COUNT,
        "--seconds": _RATE,
    },
    "experiments.benchmarks.large_games": {"--sizes": _COUNT, "--num-steps": _COUNT},
    "experiments.benchmarks.mixture_decoding": {
        "--batch-size": _COUNT,
        "--prompt-length": _COUNT,
        "--mix": _SHARE,
        "--repeats": _COUNT,
    },
    "nashalign.algorithms": {"": _NAME},
}


def commands(random: np.random.Generator, folder: pathlib.Path) -> Iterator[Trial]:
    """Command lines, in this process."""
    model, file = model_folder(folder), folder / "module.py"
    file.write_text("def f(x):\n    return x\n")
    first = {"experiments.docstrings.sample": [str(model), str(file)]}
    places = [(module, flag) for module in COMMANDS for flag in COMMANDS[module]]
    number = 0
    while True:
        for place in random.permutation(len(places)):
            module, flag = places[place]
            what, words = COMMANDS[module][flag](random, folder)
            # As one word, so that a negative number is not taken for an option.
            given = [f"{flag}={words[0]}"] if flag else words
            if flag in ("--methods", "--only", "--rows", "--sizes"):
                given = [flag, *words]
            number += 1
            own = folder / f"output-{number}"
            elsewhere = ["--output", str(own)]
            if flag == "--output" or "--output" not in COMMANDS[module]:
                elsewhere = []
            arguments = [*first.get(module, []), *elsewhere, *given]
            yield Trial(
                name=f"python -m {module}: {flag} is {what}",
                call=lambda m=module, a=tuple(arguments): _run(m, a),
                right=lambda ended, f=flag, w=words[0]: _is_a_sentence(*ended, f, w),
            )


def _run(module: str, arguments: Sequence[str]) -> tuple[object, str]:
    """Exit code and everything printed; an error that escapes is no exit."""
    printed, before = io.StringIO(), sys.argv
    sys.argv = [module, *arguments]
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        text = printed.getvalue()
        return ended.code, f"{text}{ended.code}" if ended.code else text
    except Exception as error:
        return "crash", f"{type(error).__name__}: {error}"
    finally:
        sys.argv = before
    return None, printed.getvalue()


def _is_a_sentence(code: object, text: str, flag: str, word: str) -> bool:
    """Whether a command has failed, saying what was wrong with which setting."""
    # A box around the message breaks its lines.
    text = re.sub(r"[\s│]|\x1b\[[0-9;]*m", "", text)
    own = flag.lstrip("-").rpartition(".")[2]
    words = [name for name in (own, own.replace("-", "_"), word) if name]
    named = any(re.sub(r"\s", "", name) in text for name in words)
    return code not in (0, None, "crash") and named and "Traceback" not in text
