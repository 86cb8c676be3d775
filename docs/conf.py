"""How Sphinx makes a site of the pages: ``python -m sphinx -W -c docs . docs/_build``.

The source is the whole repository, so that a link from page to page is one and the same here, on
GitHub and on the Space; the README is the front page.
"""

import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1]))  # the API reference imports denoiser

project = "Face Denoising Lab"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/*.rst",
    "train/ablation/studies/*.md",
]
html_theme = "furo"
html_title = project

myst_heading_anchors = 3  # a section's address is made of its heading, as on GitHub

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"

_CONTENTS = """
```{toctree}
:hidden:

docs/results
docs/unknown-noise
docs/data
docs/api
docs/exercises
docs/reference
docs/training
docs/publish
docs/speed
docs/notes
CHANGELOG
CONTRIBUTING
```

```{toctree}
:hidden:
:glob:
:caption: Variants side by side

train/ablation/studies/*
```
"""


def _add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Give the README, which is the Space's front page too, the list of all pages."""
    if page == root_doc:
        source[0] += _CONTENTS


def setup(app: Sphinx) -> None:
    """See Sphinx's manual."""
    app.connect("source-read", _add_contents)
