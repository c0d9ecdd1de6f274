"""One HTML file around a script, a style and data: it works from a file:// address, and loads and sends nothing.

Model outputs are hostile text. They are in the file as JSON that no parser of HTML can leave, and scripts put them on
the page by `textContent` alone. Should one become markup by a mistake of ours, the policy below lets no script run but
ours, which it knows by hash, and no request leave.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from typing import Any


def document(title: str, body: str, style: str, script: str, data: Mapping[str, Any]) -> str:
    """`body` is trusted markup; `data` is any JSON, which the script finds in the element `data` as text."""
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n"
        f'<script type="application/json" id="data">{embedded(data)}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def embedded(data: Any) -> str:
    """JSON in ASCII without `<`, `>` and `&`: neither `</script>` nor `<!--` can stand in it."""
    text = json.dumps(data, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _hash(inline: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
