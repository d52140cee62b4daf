"""Samples to read: each prompt with what every policy wrote for it.

Numbers say that a policy wins; only reading says by what. The page is one HTML file
without scripts or outside resources, light or dark as the reader's system is. Markdown
is for a README. Texts are a model's and go in escaped.
"""

import dataclasses
import html
import pathlib
import re
from collections.abc import Mapping, Sequence

from nashalign import terminal
from nashalign.evaluation import layout, tables


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """One prompt and a response of each policy.

    Attributes:
      prompt: its text.
      responses: what each policy wrote, by its name.
      preferred: P(the policy's response beats the start policy's), in [0, 1], by the
        name of the policy; policies without one (the start policy) show a dash.
      read: the beginning of the text that the policies were given; None: all of it.
      author: the response of whoever wrote the data set, if it is shown.
      source: where the prompt is from.

    Raises:
      ValueError: what was read is no beginning of the prompt.
    """

    prompt: str
    responses: Mapping[str, str]
    preferred: Mapping[str, float] = dataclasses.field(default_factory=dict)
    read: str | None = None
    author: str | None = None
    source: str = ""

    def __post_init__(self):
        """Requires that what was read is a beginning of the prompt."""
        if self.read is not None and not self.prompt.startswith(self.read):
            raise ValueError(
                f"read is {self.read!r:.60}, which is not how the prompt begins"
            )


_NO_KEYS: Mapping[str, str] = {}
_CUT = "✂"
_LEGEND = (
    "the prompt was cut here to fit its length, and what follows was read by no policy."
)


def _parts(sample):
    """The prompt in two: what the policies have read, and what they have not."""
    text = sample.prompt.rstrip()
    length = len(text if sample.read is None else sample.read)
    return terminal.visible(text[:length]), terminal.visible(text[length:])


def _any_cut(samples):
    """Whether the legend is needed."""
    return any(_parts(sample)[1] for sample in samples)


def _rows(sample):
    """Author, methods in their order, start policy: name, text, probability."""
    names = list(sample.responses)
    if sample.author is not None:
        yield "author", sample.author, None
    for place in layout.order(names):
        name = names[place]
        yield name, sample.responses[name], sample.preferred.get(name)


def _one_line(text):
    """White space of any kind as single spaces; says so where nothing was written."""
    return " ".join(text.split()) or "(empty)"


def samples_markdown(
    samples: Sequence[Sample],
    *,
    keys: Mapping[str, str] = _NO_KEYS,
    response: str = "response",
    language: str = "",
) -> str:
    """Samples as Markdown: each prompt in a fence, its responses in a table.

    Args:
      samples: prompts with their responses.
      keys: what a command line calls a policy, by its name; some may have none.
      response: what a response is called in this task, at the head of its column.
      language: of the prompts, for the colours of their fences, such as `python`.

    Returns:
      Markdown text.
    """
    legend = f"{_CUT} {_LEGEND}\n\n" if _any_cut(samples) else ""
    return legend + "\n".join(
        _markdown_sample(sample, keys, response, language) for sample in samples
    )


def _markdown_sample(sample, keys, response, language):
    """One prompt; the fence is longer than any that it holds."""
    runs = re.findall(r"`{3,}", sample.prompt)
    fence = "`" * max([3, *(len(run) + 1 for run in runs)])
    rows = [
        [
            tables.markdown_text(name) + tables.markdown_key(keys.get(name)),
            "–" if preferred is None else tables.share(preferred),
            tables.markdown_text(_one_line(text)),
        ]
        for name, text, preferred in _rows(sample)
    ]
    table = tables.markdown_table(["policy", "beats start", response], rows)
    table = table.replace("| :-- | --: | --: |", "| :-- | --: | :-- |", 1)
    read, unread = _parts(sample)
    text = f"{read}{_CUT}{unread}" if unread else read
    return f"{fence}{language}\n{text}\n{fence}\n\n{table}"


def write_samples_html(
    path: str | pathlib.Path,
    samples: Sequence[Sample],
    *,
    keys: Mapping[str, str] = _NO_KEYS,
    title: str = "Samples",
    description: str = "",
    response: str = "response",
) -> None:
    """Write the samples as a page that opens in any browser.

    Args:
      path: file to write.
      samples: prompts with their responses.
      keys: as for `samples_markdown`.
      title: head of the page.
      description: paragraph below it: which prompts, how they were chosen, how the
        responses were drawn.
      response: as for `samples_markdown`.
    """
    sections = "".join(
        _html_sample(number, sample, keys, response)
        for number, sample in enumerate(samples, 1)
    )
    page = _PAGE.format(
        title=_escaped(title),
        description=_escaped(description),
        legend=_HTML_LEGEND if _any_cut(samples) else "",
        style=_STYLE,
        sections=sections,
    )
    pathlib.Path(path).write_text(page, encoding="utf-8")


def _html_sample(number, sample, keys, response):
    """One prompt beside the table of its responses."""
    rows = "".join(
        _ROW.format(
            name=_escaped(name) + _html_key(keys.get(name)),
            text=_escaped(_one_line(text)),
            preferred=_html_share(preferred),
        )
        for name, text, preferred in _rows(sample)
    )
    return _SECTION.format(
        number=number,
        source=_escaped(sample.source),
        prompt=_html_prompt(sample),
        response=_escaped(response),
        rows=rows,
    )


def _escaped(text):
    """Any text as HTML that shows it, control characters too."""
    return html.escape(terminal.visible(text))


def _html_key(key):
    """What stands behind a policy's name: its key, if it has one."""
    return f" <small>{_escaped(key)}</small>" if key else ""


def _html_prompt(sample):
    """The prompt; where it was cut, the rest is marked."""
    read, unread = map(html.escape, _parts(sample))
    return f'{read}<span class="unread">{unread}</span>' if unread else read


def _html_share(preferred):
    """The probability and a bar as long as it is large."""
    if preferred is None:
        return '<td class="number">–</td>'
    side = "even" if preferred == 0.5 else "win" if preferred > 0.5 else "loss"
    return (
        f'<td class="number {side}" style="--share: {preferred:.1%}">'
        f"{tables.share(preferred)}</td>"
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
<h1>{title}</h1>
<p>{description}</p>
{legend}{sections}</body>
</html>
"""

# The mark is the style's, so that text copied from the page is the prompt.
_HTML_LEGEND = f"""<p class="legend"><span class="unread"></span> and grey:
{_LEGEND}</p>
"""

_SECTION = """<section>
<h2>{number} <small>{source}</small></h2>
<pre><code>{prompt}</code></pre>
<table>
<thead><tr><th>policy</th><th>{response}</th><th>beats start</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
</section>
"""

_ROW = '<tr><th scope="row">{name}</th><td>{text}</td>{preferred}</tr>\n'

_STYLE = """
:root { color-scheme: light dark; --rule: #8884; --win: #0072b233; --loss: #d55e0033; }
body { max-width: 76rem; margin: 2rem auto; padding: 0 1rem;
  font: 16px/1.45 system-ui, sans-serif; }
section { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 3fr);
  gap: 0 1.5rem; align-items: start; border-top: 1px solid var(--rule);
  padding: .5rem 0 1.5rem; }
h2 { grid-column: 1 / -1; margin: .5rem 0; font-size: 1.1rem; }
small { font-weight: normal; opacity: .7; }
pre { margin: 0; padding: .75rem; white-space: pre-wrap;
  overflow-wrap: anywhere; background: #8881;
  border-radius: 6px; font: 13px/1.45 ui-monospace, monospace; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .5rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--rule); }
thead th { font-size: .85rem; opacity: .7; }
tbody th { white-space: nowrap; font-weight: 600; }
thead th:last-child { white-space: nowrap; text-align: right; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.win { background: linear-gradient(to right, var(--win) var(--share), #0000 0); }
.even { background: linear-gradient(to right, #8883 var(--share), #0000 0); }
.loss { background: linear-gradient(to right, var(--loss) var(--share), #0000 0); }
.unread { color: light-dark(#777, #999); }
.unread::before { content: "✂\\fe0e"; color: light-dark(#b34700, #ff9152);
  font-weight: bold; }
.legend { font-size: .9rem; }
@media (max-width: 50rem) {
  section { grid-template-columns: minmax(0, 1fr); gap: .5rem; }
}
"""
