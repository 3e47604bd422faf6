"""The page of an add-on: one file without anything from elsewhere, light and dark; and the way to a partner's own."""

import base64
import hashlib
import html
from collections.abc import Mapping, Sequence

from paasd.api.login_page import STYLE

MORE = """
body { grid-template-columns: minmax(0, 40rem); justify-content: center; }
main { max-width: 40rem; }
h1 { overflow-wrap: anywhere; }
h2 { font-size: .8rem; letter-spacing: .06em; text-transform: uppercase; color: var(--soft); margin: 1.75rem 0 .25rem; }
dl { display: grid; grid-template-columns: minmax(7rem, 11rem) 1fr; margin: 0; }
dt, dd { margin: 0; padding: .5rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
dt { color: var(--soft); padding-right: 1rem; }
.state { display: inline-block; padding: .1rem .6rem; border-radius: 999px; font-size: .85rem; font-weight: 600;
  border: 1px solid var(--line); }
.state.up { color: var(--accent); border-color: var(--accent); }
.state.down { color: var(--wrong); border-color: var(--wrong); }
pre { margin: .5rem 0 0; padding: .75rem; overflow-x: auto; background: var(--page); border: 1px solid var(--line);
  border-radius: 8px; font-size: .9rem; }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; } dd { border-top: 0; padding-top: 0; } }
"""
SUBMIT = "document.forms[0].submit()"
DIGEST = base64.b64encode(hashlib.sha256(SUBMIT.encode()).digest()).decode()
CONTENT_SECURITY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'"
# Partners lead on from their sso_url to where their dashboards are, and browsers hold form-action to that too.
SSO_SECURITY = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{DIGEST}'; frame-ancestors 'none'"


def render_addon(
    name: str,
    plan: str,
    state: tuple[str, str],
    sections: Sequence[tuple[str, Mapping[str, str]]],
    commands: Sequence[str],
    remark: str = "",
) -> str:
    """Everything of an add-on but its secrets. `state` is a word and "up", "down" or ""; each of `sections` has a title
    and facts by their names; `commands` are what to type for more."""
    word, look = state
    parts = [
        f"<h1>{_safe(name)}</h1>",
        f'<p>{_safe(plan)} <span class="state {look}">{_safe(word)}</span></p>',
    ]
    if remark:
        parts.append(f"<p>{_safe(remark)}</p>")
    for title, facts in sections:
        rows = "\n".join(f"<dt>{_safe(key)}</dt><dd>{_safe(value)}</dd>" for key, value in facts.items() if value)
        parts += [f"<h2>{_safe(title)}</h2>", f"<dl>\n{rows}\n</dl>"] if rows else []
    if commands:
        listed = "\n".join(_safe(one) for one in commands)
        parts += ["<h2>At a terminal</h2>", f"<pre>{listed}</pre>"]
    parts.append("<small>This address is yours alone, and good for 2 to 3 hours.</small>")
    return _page(name, "\n".join(parts))


def render_sso(name: str, partner: str, url: str, fields: Mapping[str, str]) -> str:
    """Sends the browser on to a partner's dashboard, at once or by a button."""
    inputs = "\n".join(
        f'<input type="hidden" name="{_safe(key)}" value="{_safe(value)}">' for key, value in fields.items()
    )
    return _page(
        name,
        f'<h1>Opening {_safe(name)}</h1>\n<p>at {_safe(partner)}</p>\n<form method="post" action="{_safe(url)}">\n'
        f"{inputs}\n<button>Go on to {_safe(partner)}</button>\n</form>\n<script>{SUBMIT}</script>",
    )


def render_over(complaint: str) -> str:
    """Where there is nothing to show, and why."""
    return _page("Add-on", f'<h1>This page can\'t be shown</h1>\n<p class="wrong">{_safe(complaint)}</p>')


def _safe(text: str) -> str:
    return html.escape(text)


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_safe(title)}</title>\n<style>{STYLE}{MORE}</style>\n<main>\n{body}\n</main>\n</html>\n"
    )
