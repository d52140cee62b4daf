import dataclasses
import html.parser
import re
import shutil
import subprocess

import pytest

from nashalign import evaluation

SAMPLE = evaluation.Sample(
    prompt='def less(a, b):\n    return a < b  # "<script>x()</script>" & ```more```\n',
    responses={
        "start": "Return <b>true</b>.",
        "RL": "",
        "IPO": "Compare a\nand b | c.",
    },
    preferred={"IPO": 0.7344, "RL": 0.5},
    author="Whether a < b.",
    source="package.<module>.less",
)


CUT = dataclasses.replace(SAMPLE, read='def less(a, b):\n    return a < b  # "<scr')


class Page(html.parser.HTMLParser):
    """What a browser sees: tags, and the text in each cell."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
# Shows a page in a frame of a phone's width, which no window of a browser has, and asks
# it how wide it is, and how many of its elements stand out on the right.
FRAME = """<!doctype html><title>none</title>
<iframe style="border: 0; width: {width}px; height: 900px" srcdoc="{page}"></iframe>
<script>addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument;
  const out = [...page.querySelectorAll("body *")].filter(
    (own) => own.getBoundingClientRect().right > {width} + 1);
  document.title = `${{page.documentElement.scrollWidth}}, ${{out.length}} out`;
}})</script>"""


@pytest.mark.full
@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_the_page_without_scrolling_to_the_side(tmp_path, width):
    long = "a" * 300
    sample = dataclasses.replace(
        SAMPLE,
        prompt=f"{long} {SAMPLE.prompt}",
        responses=SAMPLE.responses | {long: long},
        preferred={long: 0.2},
        source=long,
    )
    path = tmp_path / "page.html"
    evaluation.write_samples_html(path, [sample] * 30, description=long, opponent=long)
    whole = html.escape(path.read_text("utf-8"))
    path.write_text(FRAME.format(width=width, page=whole), encoding="utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
    shown = subprocess.run(
        [BROWSER, *options, "--window-size=1400,1000", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    [title] = re.findall("<title>(.*?)</title>", shown.stdout)[:1]
    assert title == f"{width}, 0 out"


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "samples.html"
    evaluation.write_samples_html(
        path, [SAMPLE, SAMPLE], title="Ten <samples>", description="a & b"
    )
    return path.read_text("utf-8")


def test_texts_are_escaped_and_come_back_as_they_were(page):
    parsed = Page(page)
    assert parsed.open == []
    assert "script" not in parsed.tags and "Return " not in page.split("<b>")
    text = "".join(parsed.texts)
    assert SAMPLE.prompt.rstrip() in text
    for expected in ("Return <b>true</b>.", "Ten <samples>", "package.<module>.less"):
        assert expected in text


def test_the_page_needs_nothing_from_outside(page):
    assert not {"script", "link", "img", "iframe"} & set(Page(page).tags)
    assert "http" not in page and "url(" not in page
    assert "color-scheme: light dark" in page


def test_rows_are_author_methods_in_the_papers_order_and_start(page):
    texts = [text for text in Page(page).texts if text.strip()]
    first = texts[texts.index("author") : texts.index("start") + 2]
    assert first == [
        *("author", "Whether a < b."),
        *("IPO", "beats start ", ".734", "Compare a\nand b | c."),
        *("RL", "beats start ", ".500", "(empty)"),
        *("start", "Return <b>true</b>."),
    ]


def test_markdown_keeps_the_table_and_the_fence_whole():
    text = evaluation.samples_markdown([SAMPLE], language="python")
    lines = text.splitlines()
    assert lines[0] == "````python" and lines[3] == "````"
    assert lines[1:3] == SAMPLE.prompt.splitlines()
    assert "| IPO | .734 | Compare a and b \\| c. |" in lines
    assert "| start | – | Return \\<b\\>true\\</b\\>. |" in lines


def test_the_task_says_what_its_responses_are_called(tmp_path):
    text = evaluation.samples_markdown([SAMPLE], response="summary")
    assert "| policy | beats start | summary |" in text and "````\n" in text
    path = tmp_path / "page.html"
    called = {"response": "<summary>", "opponent": "<other>"}
    evaluation.write_samples_html(path, [SAMPLE], **called)
    page = path.read_text("utf-8")
    assert 'aria-label="&lt;summary&gt;"' in page
    assert "beats &lt;other&gt; <b>.734</b>" in page
    text = evaluation.samples_markdown([SAMPLE], opponent="a|b")
    assert r"| policy | beats a\|b | response |" in text
    assert "| beats start | response |" in evaluation.samples_markdown([SAMPLE])


def test_a_policys_key_stands_beside_its_name(tmp_path):
    keys = {"IPO": "online_ipo"}
    text = evaluation.samples_markdown([SAMPLE], keys=keys)
    assert "| IPO (`online_ipo`) | .734 |" in text and "| RL | .500 |" in text
    evaluation.write_samples_html(tmp_path / "page.html", [SAMPLE], keys=keys)
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<h3>IPO <small>online_ipo</small></h3>" in page
    assert "<h3>RL</h3>" in page


def test_names_are_no_markup_and_control_characters_are_shown(tmp_path):
    text = "clear\x1b[2J the *screen*"
    sample = evaluation.Sample(
        prompt="def f():\n    return '\x1b[31m'",
        responses={"a|b <i>[x](y)": text},
        preferred={},
        source="\x1b[2Jpackage",
    )
    shown = evaluation.samples_markdown([sample])
    assert r"| a\|b \<i\>\[x\](y) |" in shown
    assert r"clear\\x1b\[2J the \*screen\*" in shown
    around = {"title": "\x1b", "description": "\x1b", "keys": {"a|b <i>[x](y)": "\x1b"}}
    evaluation.write_samples_html(tmp_path / "page.html", [sample], **around)
    page = (tmp_path / "page.html").read_text("utf-8")
    assert r"clear\x1b[2J" in page and "a|b &lt;i&gt;" in page
    assert "\x1b" not in shown + page


def test_the_page_greys_what_no_policy_has_read_and_says_so_once(tmp_path):
    path = tmp_path / "samples.html"
    evaluation.write_samples_html(path, [SAMPLE, CUT, CUT], title="Ten")
    page = path.read_text("utf-8")
    assert SAMPLE.prompt.rstrip() in "".join(Page(page).texts)
    unread = html.escape(SAMPLE.prompt.removeprefix(CUT.read).rstrip())
    assert page.count(f'&lt;scr<span class="unread">{unread}</span></code>') == 2
    assert (
        page.count('<p class="legend">') == 1
        and '.unread::before { content: "✂' in page
    )
    evaluation.write_samples_html(path, [SAMPLE])
    assert '"legend"' not in path.read_text("utf-8")


def test_markdown_marks_where_the_policies_have_stopped_reading():
    text = evaluation.samples_markdown([SAMPLE, CUT])
    assert text.startswith("✂ ") and text.count("<scr✂ipt>") == 1
    assert "✂" not in evaluation.samples_markdown([SAMPLE])


def test_a_prompt_that_was_read_to_its_last_visible_character_has_no_mark(tmp_path):
    for read in (SAMPLE.prompt.rstrip(), SAMPLE.prompt, None):
        sample = dataclasses.replace(SAMPLE, read=read)
        assert "✂" not in evaluation.samples_markdown([sample])


def test_what_was_read_is_the_beginning_of_the_prompt():
    with pytest.raises(ValueError, match="read .* is not how the prompt begins"):
        dataclasses.replace(SAMPLE, read="def more")
