"""Sphinx: `make docs` writes docs/_build/html/index.html, warnings are errors."""

import importlib.metadata

project = "urecjpq"
author = copyright = "the authors of urecjpq"
release = version = importlib.metadata.version("urecjpq")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "urecjpq"
html_copy_source = False
myst_heading_anchors = 2
suppress_warnings = ["misc.highlighting_failure"]  # of CSV, which Pygments does not know
# Single backticks in docstrings name something of ours.
default_role = "code"
napoleon_numpy_docstring = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
add_module_names = False
