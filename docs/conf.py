"""How Sphinx builds the pages: `sphinx-build -W docs docs/build`.

Pages are Markdown; the catalogue is made of the table of methods, the lists of families
of models and of formats of data of their registries, the reference of the docstrings.
Nothing is fetched.
"""

import inspect
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parents[1]
# `experiments`, whose predictions the catalogue shows, is not installed.
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import nashalign  # noqa: E402

project = "nashalign"
release = version = nashalign.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "catalogue",
    "families",
    "formats",
]
exclude_patterns = ["build"]
html_theme = "furo"
html_title = "nashalign"
html_copy_source = False
html_show_copyright = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# Single backticks in docstrings are code.
default_role = "literal"
autodoc_default_options = {
    "members": True,
    "member-order": "groupwise",
    "exclude-members": "set",  # Of a figure: matplotlib's, as is its docstring.
}
autodoc_typehints = "signature"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# What a signature shows for what is long or no Python, by what Sphinx writes.
_ARRAY = r"~jax\.[\w.]*Array \| ~numpy\.ndarray"
_SHORT = {
    _ARRAY + r" \| ~numpy\.number \| float": "Numeric",
    _ARRAY: "Array",
    r"<function (\w+)>": r"\1",
    r"<factory>": "...",
}


def setup(app):
    """Has signatures short, and default columns of methods no methods of theirs."""
    app.connect("autodoc-process-signature", _shorten)
    app.connect("autodoc-skip-member", _skip)


def _shorten(app, what, name, thing, options, arguments, returned):
    """Returns the signature with short names; of what has none, nothing."""
    del app, what, name, thing, options
    for long, short in _SHORT.items():
        arguments = arguments and re.sub(long, short, arguments)
        returned = returned and re.sub(long, short, returned)
    return None if arguments is None else (arguments, returned)


def _skip(app, what, name, thing, skipped, options):
    """Leaves out a class's attribute that is a function of a module; None otherwise."""
    del app, name, skipped, options
    outside = inspect.isfunction(thing) and "." not in thing.__qualname__
    return True if what == "class" and outside else None
