"""Notebooks run from top to bottom, and are kept without outputs."""

import ast
import json
import pathlib

import jax
import matplotlib.figure
import matplotlib.pyplot as plt
import pytest

NOTEBOOKS = sorted((pathlib.Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
# Where theory predicts nothing.
ON_LANGUAGE_MODELS = ("your_own_language_model",)
SETTINGS = ("jax_enable_x64", "jax_disable_most_optimizations")


def cells(notebook):
    content = json.loads(notebook.read_text("utf-8"))["cells"]
    return [cell for cell in content if cell["cell_type"] == "code"]


def shown(source, name, namespace):
    """Runs a cell, and returns what it shows: its last line, if it is an expression."""
    tree, last = ast.parse(source), None
    if isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    exec(compile(tree, name, "exec"), namespace)
    return last and eval(compile(last, name, "eval"), namespace)


@pytest.fixture
def settings_are_put_back():
    before = {name: jax.config.read(name) for name in SETTINGS}
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    plt.close("all")


@pytest.mark.full
@pytest.mark.usefixtures("settings_are_put_back")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(notebook, monkeypatch, capsys):
    monkeypatch.setattr(plt, "show", lambda: None)
    namespace, values = {}, []
    for number, cell in enumerate(cells(notebook), 1):
        source = "".join(cell["source"])
        values.append(shown(source, f"{notebook.name}:{number}", namespace))
    drawn = [v for v in values if isinstance(v, matplotlib.figure.Figure)]
    assert plt.get_fignums() or drawn
    # A notebook can show this figure without pyplot; it draws only when it is shown.
    assert all(figure._repr_png_().startswith(b"\x89PNG") for figure in drawn)
    if notebook.stem in ON_LANGUAGE_MODELS:
        (curve,) = namespace["curves"].values()
        assert {"win_rate", "kl"} <= curve[0].keys() and curve[-1]["step"] == 9
        return
    assert "distance from the prediction: " in capsys.readouterr().out
    assert abs(namespace["reached"] - namespace["predicted"]).sum() < 1e-6


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(notebook):
    assert not any(
        cell["outputs"] or cell["execution_count"] for cell in cells(notebook)
    )
