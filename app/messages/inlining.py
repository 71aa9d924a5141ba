"""Writes a style sheet into the style attributes of an HTML template, once, before Jinja compiles it."""

from __future__ import annotations

import re

from css_inline import CSSInliner

_JINJA = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
_MARK = re.compile(r"<!--jinja:(\d+)-->|jinja:(\d+):")
_INLINER = CSSInliner(load_remote_stylesheets=False)


def inline(source: str, css: str) -> str:
    """`source`, a page or a template that extends one, with `css` inlined; Jinja's own syntax stays as it is.

    A `<style data-css-inline="keep">` stays too: media queries can't be inlined. Raises ValueError if an
    expression would be lost, as by a `{% … %}` inside a tag.
    """
    pieces: list[str] = _JINJA.findall(source)
    numbers = iter(range(len(pieces)))
    marked = _JINJA.sub(lambda match: _mark(match[0], next(numbers)), source)
    if "<html" in source:
        styled = _INLINER.inline(marked.replace("</head>", f"<style>{css}</style></head>", 1))
    else:
        styled = _INLINER.inline_fragment(marked, css)
    if [int(a or b) for a, b in _MARK.findall(styled)] != list(range(len(pieces))):
        raise ValueError("template: inlining moved or lost a Jinja expression; keep {% … %} outside of tags")
    return _MARK.sub(lambda match: pieces[int(match[1] or match[2])], styled)


def _mark(piece: str, number: int) -> str:
    # An HTML parser moves text out of tables and would escape what an expression holds. A comment may stand
    # between rows, as statements do; a word may stand in attributes, as values do.
    return f"jinja:{number}:" if piece.startswith("{{") else f"<!--jinja:{number}-->"
