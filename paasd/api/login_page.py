"""The page that a person logs in at: one file without scripts or anything from elsewhere, light and dark."""

import html

CONTENT_SECURITY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"

STYLE = """
:root { color-scheme: light dark; --ink: #1d1b26; --soft: #6b6880; --page: #f5f4fa; --card: #fff; --line: #dcd9ea;
  --accent: #6247aa; --on-accent: #fff; --wrong: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #eceaf6; --soft: #a5a1bd; --page: #14131a; --card: #1e1c27;
  --line: #37334a; --accent: #a58fe8; --on-accent: #14131a; --wrong: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--page);
  color: var(--ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { width: 100%; max-width: 24rem; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 2rem; }
h1 { font-size: 1.35rem; margin: 0 0 .25rem; }
p { margin: 0 0 1.25rem; color: var(--soft); }
p.wrong { color: var(--wrong); }
label { display: block; font-size: .9rem; font-weight: 600; margin-bottom: 1rem; }
input { display: block; width: 100%; margin-top: .35rem; padding: .6rem .75rem; font: inherit; color: inherit;
  background: var(--page); border: 1px solid var(--line); border-radius: 8px; }
input:focus-visible, button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
button { width: 100%; padding: .65rem; font: inherit; font-weight: 600; border: 0; border-radius: 8px;
  background: var(--accent); color: var(--on-accent); cursor: pointer; }
small { display: block; margin-top: 1.25rem; color: var(--soft); }
code { font-size: .95em; }
"""

FORM = """<h1>Log in to paasd</h1>
<p>for {description}, begun at {address}</p>
<p>Who began it will be logged in as you. If that was not you, just now, close this page.</p>
{complaint}<form method="post">
<label>E-mail address
<input name="email" type="email" autocomplete="username" value="{email}" required autofocus></label>
<label>Password, or a token
<input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button>
</form>
<small>On the machine that runs paasd, <code>paasd token</code> prints the owner's token.</small>"""
DONE = "<h1>You are logged in</h1>\n<p>Close this page and go back to your terminal.</p>"
OVER = "<h1>This login is over</h1>\n<p>{complaint}</p>"


def render(kind: str, complaint: str = "", description: str = "", email: str = "", address: str = "") -> str:
    """The page as HTML: "form", "done" or "over". Everything that is not ours is escaped."""
    said = html.escape(complaint)
    if kind == "form":
        wrong = f'<p class="wrong" role="alert">{said}</p>\n' if said else ""
        given = {"description": description, "email": email, "address": address}
        body = FORM.format(complaint=wrong, **{name: html.escape(text) for name, text in given.items()})
    else:
        body = DONE if kind == "done" else OVER.format(complaint=said)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Log in to paasd</title>\n<style>{STYLE}</style>\n<main>\n{body}\n</main>\n</html>\n"
    )
