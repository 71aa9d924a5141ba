"""How the documentation becomes pages: `make docs` reads the repository from its root, so links are GitHub's."""

project = "Pafar's background tasks"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = project
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**.md"]
myst_heading_anchors = 3
highlight_language = "text"
