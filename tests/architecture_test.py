"""The floor plan, enforced: who may import whom, and in which form.

A module imports from floors below its own, or from its own room. From another room it
imports the room (`from nashalign import losses`), not names out of it, and uses what
the room's `__init__` exports; only from `nashalign.types` may names be imported.
"""

import ast
import functools
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FLOORS = {
    "types": 0,
    "terminal": 0,
    "conventions": 0,
    "compiling": 0,
    "options": 0,
    "writing": 0,
    "json_file": -1,
    "python_file": 0,
    "checks": 0,
    "games": 1,
    "losses": 1,
    "policies": 1,
    "data": 1,
    "sampling": 2,
    "preferences": 2,
    "algorithms": 3,
    "training": 4,
    "evaluation": 4,
    "alignment": 5,
    "command_line": 5,
    "cli": 6,
    "experiments": 6,
}
ROOMS = [room for room in FLOORS if (ROOT / f"nashalign/{room}/__init__.py").is_file()]
FORBIDDEN_NAMES = {"utils", "util", "common", "misc", "helpers", "helper"}
# Heavy frameworks that must not be needed at run time.
FORBIDDEN_PACKAGES = {"torch", "tensorflow", "transformers", "trl"}
# Scripts that other environments run, which have nothing but a peer's frameworks.
PEERS = re.compile(r"experiments/benchmarks/peers/workers/(torch|tunix)_tools\.py")
# Words of the task in experiments/docstrings: the library knows no task. A data set
# that is published has the name that it has.
TENANT = re.compile(
    r"harvest|docstring|reviewer|\bterse\b|\bthorough|summari[sz](?!e_from_feedback)"
    r"|\\n\"{3}",
    re.IGNORECASE,
)


def modules():
    """Every module of the library and of the experiments, as a relative path."""
    paths = [*ROOT.glob("nashalign/**/*.py"), *ROOT.glob("experiments/**/*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in paths)


def room_of(dotted):
    """The room that a module's dotted name is in; None outside the house."""
    first, *rest = dotted.split(".")
    if first == "nashalign":
        # What runs the commands is the entrance of their room.
        return {"__main__": "cli"}.get(rest[0], rest[0]) if rest else "nashalign"
    return first if first in ("experiments", "tests", "notebooks") else None


def imports(path, source):
    """Yields `(line, module, name)` of every import; the name is None for `import m`.

    Modules are absolute. `from nashalign import losses` is the module
    `nashalign.losses`, as `import nashalign.losses` is.
    """
    package = path.removesuffix(".py").split("/")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, None
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                if module in ("nashalign", "experiments"):
                    yield node.lineno, f"{module}.{alias.name}", None
                else:
                    yield node.lineno, module, alias.name


def faults(path, source):
    """Returns what is wrong with a module's imports, a sentence each."""
    found = []
    own = room_of(path.removesuffix(".py").replace("/", "."))
    for line, module, name in imports(path, source):
        sentence = _fault(own, module, name)
        if PEERS.fullmatch(path):
            sentence = room_of(module) and f"its environment has no {module}"
        if sentence:
            found.append(f"{path}:{line}: {sentence}")
    return found + _unexported(path, source, own)


def _fault(own, module, name):
    """What is wrong with one import, or None."""
    if module.split(".")[0] in FORBIDDEN_PACKAGES:
        return f"{module} is not a run-time dependency"
    room = room_of(module)
    if room in (None, own):
        return None
    if room not in FLOORS:
        return f"{own} imports {module}, which is in no room"
    if FLOORS[room] >= FLOORS.get(own, 0):
        return f"{own} imports {room}, which is not on a floor below"
    if room == "types":
        return None
    if name or module.count(".") > 1:
        return f"import the room: from nashalign import {room}"
    return None


def _unexported(path, source, own):
    """Uses of another room's names that its `__init__` does not export."""
    tree = ast.parse(source)
    rooms = {
        module.split(".")[1]
        for _, module, name in imports(path, source)
        if name is None and room_of(module) in ROOMS and room_of(module) != own
    }
    return [
        f"{path}:{node.lineno}: {node.value.id}.{node.attr} is not exported"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in rooms
        and node.attr not in exported(node.value.id)
    ]


@functools.cache
def exported(room):
    """The names that a room's `__init__` binds, or lists to be imported when asked."""
    names = set()
    for node in ast.walk(
        ast.parse((ROOT / f"nashalign/{room}/__init__.py").read_text())
    ):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return names


@pytest.mark.parametrize("path", modules())
def test_module_keeps_to_the_floor_plan(path):
    assert not (found := faults(path, (ROOT / path).read_text())), "\n".join(found)


@pytest.mark.parametrize("path", modules())
def test_module_has_a_name_that_says_what_is_in_it(path):
    assert not FORBIDDEN_NAMES & set(path.removesuffix(".py").split("/"))


LIBRARY = [path for path in modules() if path.startswith("nashalign/")]


@pytest.mark.parametrize("path", LIBRARY)
def test_no_module_of_the_library_knows_the_task_of_an_experiment(path):
    lines = (ROOT / path).read_text().splitlines()
    numbered = enumerate(lines, 1)
    assert not [f"{path}:{n}: {line}" for n, line in numbered if TENANT.search(line)]


@pytest.mark.parametrize(
    "line",
    [
        "from experiments.docstrings import builder",
        'SUFFIX = \'\\n"""\'',
        "def harvest(sources):",
        "class Docstrings(Builder):",
        '"""The Reviewers of one kind."""',
        'return {"terse": terse}',
        "u_y = thorough(codes, texts)",
        "# The summariser's prompts.",
    ],
)
def test_a_word_of_the_tenant_is_found(line):
    assert TENANT.search(line)


@pytest.mark.parametrize(
    "line", ["summary = read_json(path)", '"""A summary of the run."""', "x = '\\n'"]
)
def test_words_of_statistics_are_no_words_of_the_tenant(line):
    assert not TENANT.search(line)


def test_every_room_is_on_a_floor():
    folders = {path.parent.name for path in ROOT.glob("nashalign/*/__init__.py")}
    files = {path.stem for path in ROOT.glob("nashalign/*.py")}
    files -= {"__init__", "__main__"}
    assert folders | files <= FLOORS.keys()


def test_the_floor_plan_of_readme_is_this_one():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    plan = re.findall(r"^\| (-?\d) \| `(?:nashalign/)?(\w+)(?:/|\.py)` ", text, re.M)
    assert {room: int(floor) for floor, room in plan} == FLOORS


@pytest.mark.parametrize(
    "path, source",
    [
        ("nashalign/losses/a.py", "import nashalign.policies"),
        ("nashalign/losses/a.py", "import numpy, nashalign.policies as p"),
        ("nashalign/losses/a.py", "from nashalign import policies"),
        ("nashalign/losses/a.py", "from nashalign import types, policies as p"),
        ("nashalign/losses/a.py", "from nashalign.policies import llama"),
        ("nashalign/losses/a.py", "from nashalign.policies.llama import Llama"),
        ("nashalign/losses/a.py", "from .. import policies"),
        ("nashalign/losses/a.py", "from ..policies import llama"),
        ("nashalign/losses/a.py", "from ..policies.llama import Llama"),
        ("nashalign/losses/a.py", "def f():\n    from nashalign import policies"),
        ("nashalign/losses/a.py", "if True:\n    import nashalign.policies.llama"),
        ("nashalign/losses/__init__.py", "from ..policies import llama"),
        ("nashalign/games/a.py", "from nashalign import losses"),
        ("nashalign/policies/a.py", "from nashalign import games"),
        ("nashalign/sampling/a.py", "from nashalign import preferences"),
        ("nashalign/training/a.py", "from nashalign import evaluation"),
        ("nashalign/policies/a.py", "from nashalign import algorithms"),
        ("nashalign/types.py", "from nashalign import games"),
        ("nashalign/types.py", "from . import games"),
        ("nashalign/training/a.py", "from experiments import summarise"),
        ("nashalign/training/a.py", "import experiments.summarise"),
        ("nashalign/training/a.py", "from tests import token_game"),
        ("nashalign/training/a.py", "import notebooks.tour"),
        ("experiments/a.py", "from tests.token_game import TABLE"),
        ("experiments/a.py", "from nashalign.losses import ipo"),
        ("experiments/a.py", "from nashalign.losses.pairwise import ipo"),
        ("experiments/a.py", "import nashalign.losses.pairwise"),
        ("nashalign/algorithms/a.py", "from nashalign.losses import ipo"),
        ("nashalign/algorithms/a.py", "from ..losses import ipo"),
        ("nashalign/algorithms/a.py", "from nashalign import losses\nlosses.secret()"),
        ("experiments/a.py", "from nashalign import losses\nlosses.pairwise.ipo()"),
        ("nashalign/policies/a.py", "def f():\n    import torch.nn"),
        ("nashalign/policies/a.py", "from transformers import LlamaForCausalLM"),
        ("nashalign/losses/a.py", "from nashalign import nowhere"),
        ("experiments/benchmarks/peers/workers/own.py", "import torch"),
        ("experiments/benchmarks/peers/workers/torch_tools.py", "import nashalign"),
    ],
)
def test_forbidden_import_is_found_in_every_form(path, source):
    assert faults(path, source)


@pytest.mark.parametrize(
    "path, source",
    [
        ("nashalign/losses/a.py", "import jax\nfrom nashalign.types import Groups"),
        ("nashalign/losses/a.py", "from nashalign import types\ntypes.Groups"),
        ("nashalign/losses/a.py", "from nashalign.losses.pairwise import ipo"),
        ("nashalign/losses/a.py", "from nashalign.losses import pairwise"),
        ("nashalign/losses/a.py", "from .pairwise import ipo\nfrom . import pairwise"),
        ("nashalign/losses/a.py", "from ..types import Groups"),
        ("nashalign/algorithms/a.py", "from nashalign import losses\nlosses.ipo"),
        ("nashalign/algorithms/a.py", "import nashalign.losses"),
        ("experiments/a.py", "from nashalign import losses, games\ngames.nash"),
        ("experiments/b/a.py", "from experiments.b import c\nfrom . import d"),
        ("experiments/benchmarks/peers/workers/torch_tools.py", "import torch"),
    ],
)
def test_import_that_the_plan_allows_is_allowed(path, source):
    assert not faults(path, source)
