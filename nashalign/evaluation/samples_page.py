"""The samples as a page: each prompt, and below it the responses side by side.

One HTML file without scripts or outside resources. It is as wide as its reader's screen
has room for, down to a phone's, where responses stand below each other; light or dark
as the reader's system is. Texts are a model's and go in escaped, line ends kept.
"""

import html
import pathlib
from collections.abc import Mapping, Sequence

from nashalign import terminal
from nashalign.evaluation import layout, samples, tables
from nashalign.evaluation.samples import Sample

_NO_KEYS: Mapping[str, str] = {}


def write_samples_html(
    path: str | pathlib.Path,
    shown: Sequence[Sample],
    *,
    keys: Mapping[str, str] = _NO_KEYS,
    title: str = "Samples",
    description: str = "",
    response: str = "response",
    opponent: str = layout.START,
) -> None:
    """Write the samples as a page that opens in any browser.

    Args:
      path: file to write.
      shown: prompts with their responses.
      keys: as for `samples_markdown`.
      title: head of the page.
      description: paragraph below it: which prompts, how they were chosen, how the
        responses were drawn.
      response: as for `samples_markdown`.
      opponent: as for `samples_markdown`.
    """
    called = {"response": _escaped(response), "opponent": _escaped(opponent)}
    numbers = range(1, len(shown) + 1)
    page = _PAGE.format(
        title=_escaped(title),
        description=_escaped(description),
        legend=_LEGEND if samples.any_cut(shown) else "",
        style=_STYLE,
        contents=" ".join(f'<a href="#{own}">{own}</a>' for own in numbers),
        sections="".join(
            _section(number, own, keys, called)
            for number, own in zip(numbers, shown, strict=True)
        ),
    )
    pathlib.Path(path).write_text(page, encoding="utf-8")


def _section(number, sample, keys, called):
    """One prompt above its responses."""
    cards = "".join(
        _CARD.format(
            name=_escaped(name) + _key(keys.get(name)),
            text=_escaped(text.strip()) or f"<i>{samples.EMPTY}</i>",
            share=_share(preferred, called["opponent"]),
        )
        for name, text, preferred in samples.rows_of(sample)
    )
    return _SECTION.format(
        number=number,
        source=_escaped(sample.source),
        prompt=_prompt(sample),
        cards=cards,
        **called,
    )


def _escaped(text):
    """Any text as HTML that shows it, control characters too."""
    return html.escape(terminal.visible(text))


def _key(key):
    """What stands behind a policy's name: its key, if it has one."""
    return f" <small>{_escaped(key)}</small>" if key else ""


def _prompt(sample):
    """The prompt; where it was cut, the rest is marked."""
    read, unread = map(html.escape, samples.parts(sample))
    return f'{read}<span class="unread">{unread}</span>' if unread else read


def _share(preferred, opponent):
    """The probability and a bar as long as it is large."""
    if preferred is None:
        return ""
    side = "even" if preferred == 0.5 else "win" if preferred > 0.5 else "loss"
    return (
        f'<p class="share {side}" style="--share: {preferred:.1%}">beats {opponent} '
        f"<b>{tables.share(preferred)}</b></p>\n"
    )


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{description}</p>
{legend}<nav aria-label="prompts">{contents}</nav>
</header>
<main>
{sections}</main>
</body>
</html>
"""

# The mark is the style's, so that text copied from the page is the prompt.
_LEGEND = f"""<p class="legend"><span class="unread"></span> and grey:
{samples.LEGEND}</p>
"""

_SECTION = """<section id="{number}">
<h2>{number} <small>{source}</small></h2>
<pre tabindex="0"><code>{prompt}</code></pre>
<div class="cards" role="list" aria-label="{response}">
{cards}</div>
</section>
"""

_CARD = """<article role="listitem">
<h3>{name}</h3>
{share}<div class="text">{text}</div>
</article>
"""

_STYLE = """
:root { color-scheme: light dark; --rule: light-dark(#ccc, #444);
  --page: light-dark(#fff, #16181c); --card: light-dark(#f6f7f9, #20242a);
  --ink: light-dark(#1b1d21, #e6e8eb); --soft: light-dark(#5a6068, #a4abb5);
  --win: light-dark(#9fd0ee, #0d5480); --loss: light-dark(#f2c3a5, #7f3c0c);
  --even: light-dark(#d4d6da, #4a4f57); --link: light-dark(#00598c, #7cc4f4); }
* { box-sizing: border-box; }
body { max-width: 90rem; margin: 0 auto; padding: 1rem; color: var(--ink);
  background: var(--page); font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: .5rem 0; font-size: 1.6rem; line-height: 1.2; }
header p { max-width: 48rem; margin: .5rem 0; overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: .25rem; margin: .75rem 0; }
nav a { min-width: 2.5rem; padding: .35rem .6rem; border: 1px solid var(--rule);
  border-radius: 6px; color: var(--link); text-align: center; text-decoration: none; }
section { border-top: 1px solid var(--rule); padding: .75rem 0 1.75rem; }
h2 { margin: 0 0 .5rem; font-size: 1.15rem; overflow-wrap: anywhere; }
small { color: var(--soft); font-weight: normal; }
pre { margin: 0 0 .75rem; padding: .75rem; max-height: 24rem; overflow: auto;
  white-space: pre-wrap; overflow-wrap: anywhere; background: var(--card);
  border-left: 4px solid var(--rule); border-radius: 4px;
  font: 14px/1.5 ui-monospace, monospace; }
.cards { display: grid; gap: .75rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); }
article { min-width: 0; padding: .75rem; border: 1px solid var(--rule);
  border-radius: 8px; background: var(--card); }
h3 { margin: 0 0 .35rem; font-size: 1rem; overflow-wrap: anywhere; }
.share { margin: 0 0 .5rem; padding: .1rem .45rem; border-radius: 4px;
  font-size: .85rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
  background: linear-gradient(to right, var(--bar) var(--share), #0000 0);
  outline: 1px solid var(--rule); }
.win { --bar: var(--win); } .loss { --bar: var(--loss); } .even { --bar: var(--even); }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
.text i { color: var(--soft); }
.unread { color: var(--soft); }
.unread::before { content: "✂\\fe0e"; color: light-dark(#b34700, #ff9152);
  font-weight: bold; }
.legend { font-size: .9rem; }
"""
