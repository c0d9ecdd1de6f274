"""HTML and SVG from Python, escaped by type: what is not `Markup` already is text, whoever wrote it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping

VOID = frozenset({"br", "hr", "input"})  # of HTML: an element of SVG is closed


class Markup(str):
    """Text that is HTML. Nothing but this module makes one out of a string of somebody else's."""

    __slots__ = ()


Content = str | Iterable[str]  # a string, or several, each of them escaped unless it is `Markup`


def element(tag: str, content: Content = "", attributes: Mapping[str, str | int | float] | None = None) -> Markup:
    """One element; `tag` and names of attributes are ours, their values may be anybody's."""
    said = "".join(f' {name}="{html.escape(str(value))}"' for name, value in (attributes or {}).items())
    return Markup(f"<{tag}{said}>") if tag in VOID else Markup(f"<{tag}{said}>{joined(content)}</{tag}>")


def joined(content: Content) -> Markup:
    """Several pieces one after another."""
    pieces = (content,) if isinstance(content, str) else content
    return Markup("".join(piece if isinstance(piece, Markup) else html.escape(piece) for piece in pieces))


def link(text: Content, target: str) -> Markup:
    """A link to a place that we chose."""
    return element("a", text, {"href": target})


def described(entries: Iterable[tuple[str, Content]], name: str = "") -> Markup:
    """A list of names and what they stand for."""
    body = [element("div", [element("dt", key), element("dd", value)]) for key, value in entries]
    return element("dl", body, {"class": name} if name else None)


def table(head: Iterable[str], rows: Iterable[Iterable[Content]], caption: str) -> Markup:
    """A table that scrolls within itself where it is too wide; the first cell of each row is its name."""
    heads = element("thead", element("tr", [element("th", name, {"scope": "col"}) for name in head]))
    body = []
    for first, *others in rows:
        cells = [element("th", first, {"scope": "row"}), *(element("td", cell) for cell in others)]
        body.append(element("tr", cells))
    whole = element("table", [heads, element("tbody", body)])
    region = element("div", whole, {"class": "scroll", "tabindex": 0, "role": "region", "aria-label": caption})
    return joined([element("p", caption, {"class": "caption"}), region])


def folded(summary: str, content: Content, attributes: Mapping[str, str] | None = None) -> Markup:
    """What is only shown when asked for."""
    return element("details", [element("summary", summary), joined(content)], attributes)
