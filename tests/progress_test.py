"""Progress bars: what a notebook shows, and a pipe."""

import sys
import types
import warnings

import pytest
import rich.console

from nashalign import terminal


class Shown:
    """A display below a cell, with everything that it has shown."""

    def __init__(self):
        self.texts, self.displays = [], 0

    def display(self, data, *, raw, display_id):
        assert raw and display_id
        self.displays += 1
        self.update(data, raw=raw)
        return self

    def update(self, data, *, raw):
        assert raw
        self.texts.append(data["text/plain"])


@pytest.fixture
def notebook(monkeypatch):
    """A notebook without widgets."""
    shown = Shown()
    own = types.ModuleType("IPython.display")
    own.display = shown.display
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", own)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as kernels do
    monkeypatch.setattr(rich.console, "_is_jupyter", lambda: True)
    return shown


def test_a_notebook_redraws_one_bar_and_warns_of_nothing(notebook, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with terminal.progress_bar("[b]policy", 3) as advance:
            for step in range(3):
                advance(1, f"loss {step}")
    assert notebook.displays == 1 and len(notebook.texts) >= 2
    assert notebook.texts[0].startswith("[b]policy") and "0/3" in notebook.texts[0]
    assert "3/3" in notebook.texts[-1] and notebook.texts[-1].endswith("loss 2")
    assert "\x1b" not in "".join(notebook.texts)
    captured = capsys.readouterr()
    assert not captured.out + captured.err


def test_a_bar_that_is_broken_off_stays_as_it_was(notebook):
    with pytest.raises(ZeroDivisionError), terminal.progress_bar("rows", 3) as advance:
        advance(1, "first")
        raise ZeroDivisionError
    assert "1/3" in notebook.texts[-1] and notebook.texts[-1].endswith("first")


def test_a_pipe_gets_one_line_at_the_end(capsys):
    with terminal.progress_bar("rows", 2) as advance:
        advance(2, "")
    [line] = capsys.readouterr().err.split("\n")[:-1]
    assert "rows" in line and "2/2" in line
