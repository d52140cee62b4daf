"""Chat templates: how a model's folder says that conversations are written.

A template is a program in Jinja's language that others wrote. It runs in a sandbox that
can change nothing, set up as Hugging Face's templates expect it.
"""

import dataclasses
import datetime
import functools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

from nashalign import conventions, json_file

Message = Mapping[str, str]
"""Its `role`, such as `"user"`, and its `content`."""

# What templates that write the date are told, so that a run that is resumed on another
# day reads the same prompts: the day that Llama 3's own falls back to.
_DAY = datetime.datetime(2024, 7, 26)


@dataclasses.dataclass(frozen=True)
class ChatTemplate:
    """How a folder writes conversations as text.

    Attributes:
      source: a program in Jinja's language.
      names: what it may call special tokens, such as `bos_token` -> the token.
      place: where it is from, to say in a message.
    """

    source: str
    names: Mapping[str, str]
    place: str


# What a program of others' may end in.
_FAILURES = (
    jinja2.TemplateError,
    ArithmeticError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


def chat_template(
    settings: dict[str, Any], folder: pathlib.Path
) -> ChatTemplate | None:
    """Returns how a folder writes conversations; None where it does not say.

    A file of its own comes before `tokenizer_config.json`. Of several templates it is
    the one named `default`.

    Args:
      settings: what `tokenizer_config.json` holds.
      folder: where templates may also lie in files of their own.

    Raises:
      ValueError: what stands for a template is none.
    """
    plain, wrapped = (folder / name for name in conventions.TEMPLATES)
    place, found = folder / conventions.SETTINGS, settings.get("chat_template")
    if plain.is_file():
        place, found = plain, json_file.read_text(plain)
    elif wrapped.is_file():
        place, found = wrapped, json_file.read_object(wrapped).get("chat_template")
    if not found and place.name == conventions.SETTINGS:
        return None
    if isinstance(found, list):
        named = [own for own in found if isinstance(own, dict)]
        found = {own.get("name"): own.get("template") for own in named}
    if isinstance(found, dict):
        found = found.get("default")
    if not isinstance(found, str):
        raise ValueError(
            f"{place}: chat_template is no text, and holds none that is named default."
        )
    names = {}
    for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"):
        token = settings.get(f"{role}_token")
        text = token.get("content") if isinstance(token, dict) else token
        if isinstance(text, str):
            names[f"{role}_token"] = text
    return ChatTemplate(source=found, names=names, place=str(place))


def render(
    template: ChatTemplate, messages: Sequence[Message], *, answered: bool = False
) -> str:
    """Returns a conversation as text, up to where the answer begins.

    Args:
      template: of the model's folder.
      messages: from the first one; the last is answered.
      answered: whether the last message is the answer, behind which the text ends.

    Raises:
      ValueError: the template cannot be read, or refuses the conversation.
    """
    try:
        return _compiled(template.source).render(
            messages=[dict(message) for message in messages],
            add_generation_prompt=not answered,
            **template.names,
        )
    except _FAILURES as error:
        roles = ", ".join(str(message.get("role")) for message in messages)
        raise ValueError(
            f"the chat template of {template.place} does not take a conversation of "
            f"{roles} ({error})."
        ) from error


@functools.lru_cache(16)
def _compiled(source: str) -> jinja2.Template:
    """A program, in the sandbox in which it may run."""
    sandbox = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[jinja2.ext.loopcontrols, _Generation],
    )
    sandbox.filters["tojson"] = _json
    sandbox.globals["raise_exception"] = _refuse
    sandbox.globals["strftime_now"] = _DAY.strftime
    return sandbox.from_string(source)


class _Generation(jinja2.ext.Extension):
    """A block that marks what the model is trained to write; here it marks nothing."""

    tags = {"generation"}

    def parse(self, parser):
        """Returns what is in the block."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.Scope(body, lineno=line)


def _json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    """Jinja's own filter, which is for web pages, would escape what it writes."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _refuse(message):
    """What a template calls for a conversation that it does not take."""
    raise jinja2.TemplateError(message)
