"""Notebooks run from top to bottom, and are kept without outputs."""

import json
import pathlib

import jax
import matplotlib.pyplot as plt
import pytest

NOTEBOOKS = sorted((pathlib.Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def cells(notebook):
    content = json.loads(notebook.read_text("utf-8"))["cells"]
    return [cell for cell in content if cell["cell_type"] == "code"]


@pytest.fixture
def settings_are_put_back():
    before = {"jax_enable_x64": jax.config.jax_enable_x64}
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    plt.close("all")


@pytest.mark.slow
@pytest.mark.usefixtures("settings_are_put_back")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(notebook, monkeypatch, capsys):
    monkeypatch.setattr(plt, "show", lambda: None)
    namespace = {}
    for number, cell in enumerate(cells(notebook), 1):
        source = compile("".join(cell["source"]), f"{notebook.name}:{number}", "exec")
        exec(source, namespace)
    assert plt.get_fignums()
    assert "distance from the prediction: " in capsys.readouterr().out
    assert abs(namespace["reached"] - namespace["predicted"]).sum() < 1e-6


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(notebook):
    assert not any(
        cell["outputs"] or cell["execution_count"] for cell in cells(notebook)
    )
