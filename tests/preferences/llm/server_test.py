"""A judge behind a server: what is asked, how often, and what is kept."""

import collections
import dataclasses
import datetime
import email.utils
import logging
import math
import sqlite3
import threading
import time
import traceback

import pytest

from nashalign import checks, preferences
from nashalign.preferences.llm import pace
from tests import judging

pytest.importorskip("openai")
llm = preferences.llm

TEMPLATE = llm.Template(
    name="own", text="{context}|{first}|{second}", answers=("1", "2")
)
PATIENCE = llm.Patience(timeout=20.0, first_wait=0.01, longest_wait=30.0)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", judging.KEY)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def backend(proxy, path, **options):
    replies = options.pop("replies", None) or llm.Replies(path, "model", "run")
    own = {"patience": PATIENCE, "url": proxy.url, "model": "model"}
    return llm.Server(replies=replies, **(own | options))


def asked(server, questions, draws=None):
    judge = llm.llm_judge(TEMPLATE, server, draws=draws)
    found = dict(judge.prefer(questions))
    return [found[place] for place in range(len(questions))]


def questions(number):
    return [(f"P{n % 3}", f"y{n}", f"z{n % 5}") for n in range(number)]


def expected(question):
    prompt, y, z = question

    def shares(first, second):
        body = {"messages": [{"content": f"{prompt}|{first}|{second}"}]}
        [own] = judging.hashed(body)["choices"][0]["logprobs"]["content"]
        one, two = (math.exp(top["logprob"]) for top in own["top_logprobs"])
        return one / (one + two)

    return (shares(y, z) + 1 - shares(z, y)) / 2


def test_answers_are_those_of_the_server_in_both_orders(tmp_path):
    with judging.serving() as proxy:
        own = backend(proxy, tmp_path / "cache")
        found = asked(own, questions(7))
    assert found == pytest.approx([expected(one) for one in questions(7)], abs=1e-12)
    assert len(proxy.seen) == 14
    assert own.counts == llm.Counts(questions=14, calls=14, tokens=14 * 7)
    assert proxy.keys == {f"Bearer {judging.KEY}"}


def test_no_more_requests_are_under_way_than_are_allowed(tmp_path):
    def slow(body):
        time.sleep(0.02)
        return judging.hashed(body)

    with judging.serving(slow) as proxy:
        asked(backend(proxy, tmp_path / "cache", workers=3), questions(10))
    assert proxy.most_busy == 3


def test_faults_are_asked_again_and_nothing_else(tmp_path):
    fault = judging.faults_by_hash(3)
    with judging.serving(fault=fault) as proxy:
        short = dataclasses.replace(PATIENCE, timeout=1.5)
        own = backend(proxy, tmp_path / "cache", workers=16, patience=short)
        found = asked(own, questions(12))
    assert found == pytest.approx([expected(one) for one in questions(12)], abs=1e-12)
    assert set(collections.Counter(proxy.whole).values()) == {1}
    assert len(proxy.seen) == 24 + proxy.injected and proxy.injected > 20
    assert own.counts.calls == len(proxy.seen)
    assert own.counts.retries == proxy.injected
    assert own.counts.without_log_probs == proxy.count("no_log_probs")


def test_replies_are_shared_between_runs_and_known_by_their_model(tmp_path):
    with judging.serving() as proxy:
        first = backend(proxy, tmp_path / "cache")
        before = asked(first, questions(4))
        again = backend(proxy, tmp_path / "cache")
        assert asked(again, questions(4)) == before
        assert len(proxy.seen) == 8 and again.counts.cached == 8
        other = llm.Replies(tmp_path / "cache", "another model", "run")
        asked(backend(proxy, None, replies=other), questions(4))
        assert len(proxy.seen) == 16


def test_of_two_replies_to_a_request_the_first_stays(tmp_path):
    replies = llm.Replies(tmp_path / "cache", "model")
    one, two = llm.Reply("1", (("1", -0.5),)), llm.Reply("2", (("2", -0.5),))
    assert replies.keep(llm.Request("q"), one) == one
    assert replies.keep(llm.Request("q"), two) == one
    assert replies.find(llm.Request("q", 0)) is None
    replies.close()


def test_a_reply_is_kept_the_moment_it_arrives(tmp_path):
    """Whoever dies while others are awaited has what came."""
    held, arrived = threading.Event(), threading.Event()

    def one_waits(body):
        if "y1" in body["messages"][0]["content"]:
            arrived.set()
            held.wait(10)
        return judging.hashed(body)

    with judging.serving(one_waits) as proxy:
        own = backend(proxy, tmp_path / "cache", patience=llm.Patience(timeout=20))
        thread = threading.Thread(target=asked, args=(own, questions(2)))
        thread.start()
        try:
            rows = sqlite3.connect(tmp_path / "cache")
            arrived.wait(10)
            deadline = time.monotonic() + 10
            number = 0
            while number < 2 and time.monotonic() < deadline:
                [[number]] = rows.execute("SELECT count(*) FROM replies")
            rows.close()
        finally:
            held.set()
            thread.join()
    assert number == 2


def test_a_server_that_asks_for_time_is_given_it(tmp_path):
    def first(text, attempt):
        return "429" if attempt == 1 and "y0|z0" in text else None

    with judging.serving(fault=first, wait="1") as proxy:
        began = time.monotonic()
        asked(backend(proxy, tmp_path / "cache", workers=1), questions(2))
        assert 0.95 < time.monotonic() - began < 3
    assert proxy.count("429") == 1


def test_a_server_that_asks_for_too_much_time_ends_the_asking(tmp_path):
    short = dataclasses.replace(PATIENCE, longest_wait=1.0, attempts=2)
    with judging.serving(fault=lambda *own: "429", wait="2") as proxy:
        own = backend(proxy, tmp_path / "cache", workers=1, patience=short)
        with pytest.raises(llm.JudgeFailed, match="left alone for 2 seconds"):
            asked(own, questions(2))
        assert len(proxy.seen) == 1


@pytest.mark.parametrize(
    "header, seconds",
    [
        (None, 0.0),
        ("7", 7.0),
        ("soon", 0.0),
        ("-1", 0.0),
        (email.utils.formatdate(1_000_012, usegmt=True), 12.0),
        (email.utils.formatdate(999_000, usegmt=True), 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    assert pace.asked_wait(header, now=1_000_000.0) == seconds


def test_a_date_is_held_against_the_clock():
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=30)
    found = pace.asked_wait(email.utils.format_datetime(later, usegmt=True))
    assert 27 < found <= 30


def test_waits_double_up_to_a_limit_and_differ_between_questions():
    own = llm.Patience(first_wait=1.0, longest_wait=20.0)
    waits = [own.wait("q", attempt) for attempt in range(1, 9)]
    for attempt, wait in enumerate(waits, 1):
        most = min(20.0, 2.0 ** (attempt - 1))
        assert most / 2 <= wait <= most
    assert waits == [own.wait("q", attempt) for attempt in range(1, 9)]
    assert own.wait("p", 5) != own.wait("q", 5)


def test_a_dead_server_ends_in_a_sentence_and_loses_nothing(tmp_path):
    few = dataclasses.replace(PATIENCE, attempts=2)
    dead = lambda text, attempt: "closed" if "y3" in text else None  # noqa: E731
    with judging.serving(fault=dead) as proxy:
        own = backend(proxy, tmp_path / "cache", patience=few, workers=16)
        with pytest.raises(llm.JudgeFailed, match="connection broke.*2 times in a row"):
            asked(own, questions(6))
        kept = set(proxy.whole)
        proxy.fault = lambda text, attempt: None
        again = backend(proxy, tmp_path / "cache")
        assert asked(again, questions(6)) == pytest.approx(
            [expected(one) for one in questions(6)], abs=1e-12
        )
    assert kept and set(collections.Counter(proxy.whole).values()) == {1}


def test_nobody_listens_at_an_address(tmp_path):
    with judging.serving() as proxy:
        url = proxy.url
    own = llm.Server(
        url=url,
        model="model",
        replies=llm.Replies(tmp_path / "cache", "model", "run"),
        patience=dataclasses.replace(PATIENCE, attempts=2),
    )
    with pytest.raises(llm.JudgeFailed, match="the judge model at http://127.0.0.1"):
        asked(own, questions(1))


@pytest.mark.parametrize(
    "status, message, said",
    [
        (401, "Incorrect key: " + judging.KEY, "answered 401"),
        (404, "no such model", "no such model"),
        (400, "context of 8192", "context of 8192"),
    ],
)
def test_what_waiting_does_not_cure_is_not_asked_again(tmp_path, status, message, said):
    refused = (status, {"error": {"message": message}})
    with judging.serving(fault=lambda *own: refused) as proxy:
        with pytest.raises(llm.JudgeFailed) as error:
            asked(backend(proxy, tmp_path / "cache", workers=1), questions(3))
        assert said in str(error.value) and len(proxy.seen) == 1


def test_an_account_that_is_empty_is_not_waited_for(tmp_path):
    body = {"error": {"message": "no money", "code": "insufficient_quota"}}
    with judging.serving(fault=lambda *own: (429, body)) as proxy:
        with pytest.raises(llm.JudgeFailed, match="no money"):
            asked(backend(proxy, tmp_path / "cache", workers=1), questions(1))
        assert len(proxy.seen) == 1


def test_a_budget_of_calls_is_never_exceeded_and_outlives_the_process(tmp_path):
    with judging.serving() as proxy:
        for _ in range(2):  # the second time is another process
            own = backend(
                proxy, tmp_path / "cache", budget=llm.Budget(calls=5), workers=3
            )
            with pytest.raises(llm.JudgeFailed, match="budget of 5 calls is spent"):
                asked(own, questions(6))
            assert len(proxy.seen) == 5
        more = backend(proxy, tmp_path / "cache", budget=llm.Budget(calls=12))
        asked(more, questions(6))
        assert len(proxy.seen) == 12
        other = llm.Replies(tmp_path / "cache", "model", "another run")
        own = backend(proxy, None, replies=other, budget=llm.Budget(calls=2))
        asked(own, [("P9", "y", "z")])


def test_a_budget_of_tokens_ends_the_asking(tmp_path):
    with judging.serving() as proxy:
        own = backend(
            proxy, tmp_path / "cache", budget=llm.Budget(tokens=21), workers=1
        )
        with pytest.raises(llm.JudgeFailed, match="budget of 21 tokens is spent"):
            asked(own, questions(6))
    assert len(proxy.seen) == 3


def test_a_server_without_log_probabilities_ends_the_asking(tmp_path):
    few = dataclasses.replace(PATIENCE, attempts=3)
    with judging.serving(fault=lambda *own: "no_log_probs") as proxy:
        own = backend(proxy, tmp_path / "cache", patience=few, workers=1)
        with pytest.raises(llm.JudgeFailed, match="without log-probabilities"):
            asked(own, questions(1))
    assert own.counts.without_log_probs == 3


def test_verdicts_are_drawn_where_the_user_asked_for_it(tmp_path):
    def model(body):
        return judging.completion("12"[body.get("seed", 0) % 2])

    with judging.serving(model) as proxy:
        own = backend(proxy, tmp_path / "cache", needs_log_probs=False)
        assert asked(own, questions(1), draws=3) == [pytest.approx(0.5)]
        assert len(proxy.seen) == 2 + 2 * 3
        again = backend(proxy, tmp_path / "cache", needs_log_probs=False)
        asked(again, questions(1), draws=3)
        assert len(proxy.seen) == 2 + 2 * 3 and again.counts.cached == 8


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": 3}',
        b"\xff\xfe",
        b"",
    ],
)
def test_an_answer_that_is_no_reply_is_asked_again(tmp_path, content):
    def once(text, attempt):
        return (200, content) if attempt == 1 else None

    with judging.serving(fault=once) as proxy:
        found = asked(backend(proxy, tmp_path / "cache"), questions(1))
    assert found == pytest.approx([expected(questions(1)[0])], abs=1e-12)
    assert len(proxy.seen) == 4


@pytest.mark.parametrize(
    "top",
    [[("1", float("nan"))], [("1", 3.0)], [(1, -1.0)], []],
    ids=["nan", "above 1", "no text", "empty"],
)
def test_log_probabilities_that_are_none_are_missing_ones(tmp_path, top):
    content = judging.completion("1", [("1", -0.5)])
    listed = [{"token": token, "logprob": value} for token, value in top]
    content["choices"][0]["logprobs"]["content"][0]["top_logprobs"] = listed
    once = lambda text, attempt: (200, content) if attempt == 1 else None  # noqa: E731
    with judging.serving(fault=once) as proxy:
        own = backend(proxy, tmp_path / "cache")
        asked(own, questions(1))
    assert own.counts.without_log_probs == 2


def test_the_key_is_in_no_error_log_or_file(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    echoed = judging.completion(f"my key is {judging.KEY}", [("1", -0.1)])
    refused = (500, {"error": {"message": f"key {judging.KEY}"}})

    def fault(text, attempt):
        return (200, echoed) if "z|y" in text else refused

    few = dataclasses.replace(PATIENCE, attempts=2)
    with judging.serving(fault=fault) as proxy:
        own = backend(proxy, tmp_path / "cache", patience=few)
        with pytest.raises(llm.JudgeFailed) as error:
            asked(own, [("P", "y", "z")])
    assert proxy.keys == {f"Bearer {judging.KEY}"}
    # The frames behind this one, whose own variables hold what the server echoes.
    trace = checks.present(error.value.__traceback__, "traceback").tb_next
    told = traceback.TracebackException(
        llm.JudgeFailed, error.value, trace, capture_locals=True
    )
    shown = "".join(told.format())
    assert "answered 500" in shown
    written = [path.read_bytes() for path in tmp_path.iterdir()]
    assert any(b"my key is" in own for own in written)
    for text in (shown, repr(own), caplog.text, *map(repr, written)):
        assert judging.KEY not in text


@pytest.mark.parametrize(
    "url, said",
    [
        ("127.0.0.1:80", "begins with http"),
        ("http://me:secret@host/v1", "no password"),
        ("http://host/v1?key=secret", "no password"),
    ],
)
def test_an_address_that_could_not_be_logged_is_refused(url, said):
    with pytest.raises(ValueError, match=said) as error:
        llm.require_url(url)
    assert "secret" not in str(error.value)


def test_asking_stops_when_nobody_waits_for_the_replies(tmp_path):
    with judging.serving(fault=lambda *own: "429", wait="20") as proxy:
        own = backend(proxy, tmp_path / "cache", patience=llm.Patience())
        began = time.monotonic()
        replies = own.ask([llm.Request(str(n)) for n in range(50)])
        thread = threading.Timer(0.5, proxy.over.set)
        thread.start()
        proxy.fault = lambda text, attempt: None if text == "0" else "silence"
        assert next(replies)[0] == 0
        replies.close()
        assert time.monotonic() - began < 5
        thread.join()
