"""How Sphinx makes the documentation: `make docs`, without a network and with warnings as errors."""

from __future__ import annotations

import os
import re
import warnings

import fastntk
from sphinx_gallery.sorting import ExplicitOrder

project = "fastntk"
author = "The fastntk authors"
copyright = author  # noqa: A001
version = release = fastntk.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "myst_parser",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]

# Pages are Markdown that a code host shows as well: formulas between dollars, links to headings, no directives in the text.
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
suppress_warnings = ["config.cache", "ref.python"]  # the sorting key of the gallery is a class; attributes have common names

nitpicky = False
default_role = "code"
add_module_names = False
autosummary_generate = True
autodoc_typehints = "none"  # the docstrings have them, with shapes
numpydoc_show_class_members = False  # the class template lists them
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = f"fastntk {version}"
html_show_sourcelink = False
html_theme_options = {"show_prev_next": False, "navigation_with_keys": False, "secondary_sidebar_items": ["page-toc"]}
exclude_patterns = ["_build"]
templates_path = ["_templates"]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"\.py$",
    "example_extensions": {".py"},
    "within_subsection_order": ExplicitOrder(
        [
            f"{name}.py"
            for name in (
                "first_fit",
                "kernel_approximation",
                "choosing_columns",
                "stream_from_disk",
                "alpha_path",
                "predictive_variance",
                "images",
                "rare_clusters",
                "wide_nets",
                "cluster_on_one_machine",
            )
        ]
    ),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "plot_gallery": True,
    "min_reported_time": 1e9,
}

# Examples run where the machine is shared: one thread of the BLAS that NumPy brings.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")

# Links lead from file to file, as a code host shows them; some of the files are pages here by another name.
_OUTSIDE = {"bench/README.md": "benchmarks.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def _link_to_pages(source: list[str]) -> None:
    for file, page in _OUTSIDE.items():
        source[0] = re.sub(rf"\]\((\.\./)?{re.escape(file)}(?=[#)])", f"]({page}", source[0])
    source[0] = re.sub(r"\]\((\.\./)?docs/", "](", source[0])
    source[0] = re.sub(r"\]\((\.\./)?examples/README\.rst\)", "](auto_examples/index.rst)", source[0])
    source[0] = re.sub(r"\]\((\.\./)?examples/(\w+)\.py\)", r"](auto_examples/\2.rst)", source[0])


# What reStructuredText would read as markup: |x|, u*, n_features_in_.
_MARKUP = re.compile(r"`+[^`]*`+|\||(?<=\w)_(?!\w)|(?<!^)\*")


def _plain_formulas(_app: object, _what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Docstrings have formulas as one writes them; code in backticks, in examples and after a double colon stays."""
    code: int | None = None  # indentation of the text that a block of code belongs to; -1 in an example
    for number, line in enumerate(lines):
        indentation = len(line) - len(line.lstrip())
        if code == -1:
            code = None if not line.strip() else -1
        elif code is not None and line.strip() and indentation <= code:
            code = None
        if code is None and line.lstrip().startswith(">>>"):
            code = -1
        if code is None:
            lines[number] = _MARKUP.sub(lambda found: found[0] if found[0][0] == "`" else "\\" + found[0], line)
            if line.endswith("::") and not line.lstrip().startswith(".. "):
                code = indentation


def setup(app):
    app.connect("source-read", lambda _app, _page, source: _link_to_pages(source))
    app.connect("include-read", lambda _app, _path, _page, source: _link_to_pages(source))
    app.connect("autodoc-process-docstring", _plain_formulas, priority=100)  # before numpydoc
