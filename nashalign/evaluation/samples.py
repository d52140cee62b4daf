"""Samples to read: each prompt with what every policy wrote for it.

Numbers say that a policy wins; only reading says by what. `samples_page` makes an HTML
page of them; Markdown is for a README. Texts are a model's and go in escaped.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

from nashalign import terminal
from nashalign.evaluation import layout, tables


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """One prompt and a response of each policy.

    Attributes:
      prompt: its text.
      responses: what each policy wrote, by its name.
      preferred: P(the policy's response beats the opponent's, such as the start
        policy's), in [0, 1], by the name of the policy; those without one (the opponent
        itself) show a dash.
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
CUT, EMPTY = "✂", "(empty)"
"""The mark where a prompt was cut, and what is shown for no text."""
LEGEND = (
    "the prompt was cut here to fit its length, and what follows was read by no policy."
)


def parts(sample: Sample) -> tuple[str, str]:
    """Returns the prompt in two: what the policies have read, and what they did not."""
    text = sample.prompt.rstrip()
    length = len(text if sample.read is None else sample.read)
    return terminal.visible(text[:length]), terminal.visible(text[length:])


def any_cut(samples: Sequence[Sample]) -> bool:
    """Returns whether the legend is needed."""
    return any(parts(sample)[1] for sample in samples)


def rows_of(sample: Sample) -> Iterator[tuple[str, str, float | None]]:
    """Yields author, methods in their order, start policy: name, text, probability."""
    names = list(sample.responses)
    if sample.author is not None:
        yield "author", sample.author, None
    for place in layout.order(names):
        name = names[place]
        yield name, sample.responses[name], sample.preferred.get(name)


def _one_line(text):
    """White space of any kind as single spaces; says so where nothing was written."""
    return " ".join(text.split()) or EMPTY


def samples_markdown(
    samples: Sequence[Sample],
    *,
    keys: Mapping[str, str] = _NO_KEYS,
    response: str = "response",
    language: str = "",
    opponent: str = layout.START,
) -> str:
    """Samples as Markdown: each prompt in a fence, its responses in a table.

    Args:
      samples: prompts with their responses.
      keys: what a command line calls a policy, by its name; some may have none.
      response: what a response is called in this task, at the head of its column.
      language: of the prompts, for the colours of their fences, such as `python`.
      opponent: whom the probabilities are against.

    Returns:
      Markdown text.
    """
    legend = f"{CUT} {LEGEND}\n\n" if any_cut(samples) else ""
    return legend + "\n".join(
        _markdown_sample(sample, keys, response, language, opponent)
        for sample in samples
    )


def _markdown_sample(sample, keys, response, language, opponent):
    """One prompt; the fence is longer than any that it holds."""
    runs = re.findall(r"`{3,}", sample.prompt)
    fence = "`" * max([3, *(len(run) + 1 for run in runs)])
    rows = [
        [
            tables.markdown_text(name) + tables.markdown_key(keys.get(name)),
            "–" if preferred is None else tables.share(preferred),
            tables.markdown_text(_one_line(text)),
        ]
        for name, text, preferred in rows_of(sample)
    ]
    table = tables.markdown_table(
        ["policy", f"beats {tables.markdown_text(opponent)}", response], rows
    )
    table = table.replace("| :-- | --: | --: |", "| :-- | --: | :-- |", 1)
    read, unread = parts(sample)
    text = f"{read}{CUT}{unread}" if unread else read
    return f"{fence}{language}\n{text}\n{fence}\n\n{table}"
