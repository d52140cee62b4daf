"""Options of a command line that name a language model as the annotator."""

import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judge:
    """A language model as the annotator, asked by a template in both orders."""

    template: str | None = None
    """How it is asked: helpful, helpful_short, helpful_very_short, harmless, summary,
    helpfulness (a reward from 1 to 5), additive (from 0 to 5), or a file of your own
    that ends in .txt."""
    folder: pathlib.Path | None = None
    """Hugging Face folder of a local model: a language model, or a pair-ranking one,
    ...ForSequenceClassification with one label, whose score of a question is the
    log-odds that the first response is better."""
    url: str | None = None
    """Address of a server that speaks as OpenAI's does, such as
    http://127.0.0.1:8080/v1, in the place of a folder."""
    model: str | None = None
    """What the server calls the model; kept replies are known by this name."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable with the server's key, which is written nowhere."""
    cache: pathlib.Path | None = None
    """File of the replies, which several runs may share; by default one in the output
    folder."""
    draws: int | None = None
    """Answers that are sampled where log-probabilities are missing, or name no answer;
    without it, such a server ends the run, and such a reply is a tie."""
    top: int = 20
    """Most probable tokens that a server is asked for; some give no more than 20, and
    with more of them fewer answers are missed."""
    batch_size: int = 8
    """Questions that a local model reads at once."""
    workers: int = 8
    """Requests to a server that are under way at once."""
    attempts: int = 8
    """How often a request is sent at most."""
    timeout: float = 60.0
    """Seconds after which a request is given up."""
    max_calls: int | None = None
    """Requests that a run may send, all attempts counted."""
    max_tokens: int | None = None
    """Tokens that a run may spend, as the server counts them."""
