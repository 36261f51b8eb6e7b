"""Configuration of the documentation."""

import os
import sys
from pathlib import Path


sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("NEUROANA_PROGRESS", "0")

import neuroana


project = "neuroana"
author = "The neuroana developers"
copyright = f"2026, {author}"
release = version = neuroana.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["_build", "tutorials", "auto_examples/*.ipynb"]
autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
myst_heading_anchors = 3
myst_enable_extensions = ["amsmath", "dollarmath"]
suppress_warnings = [
    "config.cache",
    "myst.xref_missing",
    "sphinx_gallery.space_in_filename",
]


def figures_of_block(block, block_vars, gallery_conf):
    """Save the variable ``figure`` of a tutorial's block, each figure once."""
    from sphinx_gallery.scrapers import figure_rst

    figure = block_vars["example_globals"].get("figure")
    if figure is None or getattr(figure, "_is_saved", False):
        return ""
    path = next(block_vars["image_path_iterator"])
    figure.savefig(path, dpi=110)
    figure._is_saved = True
    return figure_rst([path], gallery_conf["src_dir"])


sphinx_gallery_conf = {
    "examples_dirs": "tutorials",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"\.py$",
    "matplotlib_animations": False,
    "download_all_examples": False,
    "show_signature": False,
    "image_scrapers": (figures_of_block,),
    "capture_repr": ("_repr_html_",),
}

html_theme = "pydata_sphinx_theme"
html_title = "neuroana"
html_show_sourcelink = False
