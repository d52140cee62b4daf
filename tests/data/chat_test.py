"""Conversations as prompts: templates, special tokens, what is too long, files."""

import json

import pytest

from nashalign import data

# One in the convention of each kind of family, written here.
TEMPLATES = {
    "chatml": """{% if messages[0].role != 'system' %}<|im_start|>system
Be brief.<|im_end|>
{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content | trim }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}""",
    "headers": """{{ bos_token }}{% set ns = namespace(number=0) %}
{%- for message in messages %}
    {%- set ns.number = ns.number + 1 %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
    {{- message['content'] | trim + '<|eot_id|>' }}
    {%- if ns.number > 9 %}{% break %}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}""",
    "instructions": """{%- set first = messages[0]['content'] + '\\n\\n' if
messages[0]['role'] == 'system' else '' %}
{%- set rest = messages[1:] if first else messages %}{{ bos_token }}
{%- for message in rest %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('roles must alternate') }}
    {%- endif %}
    {%- if message['role'] == 'user' %}
        {{- ' [INST] ' + (first if loop.last else '') + message['content'] }}
        {{- ' [/INST]' }}
    {%- else %}
        {%- generation %}
        {{- ' ' + message['content'] + eos_token }}
        {%- endgeneration %}
    {%- endif %}
{%- endfor %}""",
    "turns": """{{ bos_token }}{% for message in messages %}
<start_of_turn>{{ 'model' if message.role == 'assistant' else message.role }}
{{ message.content }}<end_of_turn>
{% endfor %}{% if add_generation_prompt %}<start_of_turn>model
{% endif %}{# the end #}""",
    "bars": """{% for message in messages %}{{ '<|' + message.role + '|>' }}
{{ message.content }}<|end|>
{% endfor %}<|assistant|>
""",
}
SPECIAL = """<|im_start|> <|im_end|> <|start_header_id|> <|end_header_id|> <|eot_id|>
[INST] [/INST] <start_of_turn> <end_of_turn> <|system|> <|user|> <|assistant|> <|end|>
<s> </s>""".split()
USER = {"role": "user", "content": "How are you? "}
TALK = [
    {"role": "system", "content": "Answer in one word."},
    {"role": "user", "content": " Who?\nYou?"},
    {"role": "assistant", "content": "Me."},
    USER,
]
GOLDEN = {
    "chatml": "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHow are you?"
    "<|im_end|>\n<|im_start|>assistant\n",
    "headers": "<s><|start_header_id|>user<|end_header_id|>\n\nHow are you?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "instructions": "<s> [INST] How are you?  [/INST]",
    "turns": "<s><start_of_turn>user\nHow are you? <end_of_turn>\n"
    "<start_of_turn>model\n",
    "bars": "<|user|>\nHow are you? <|end|>\n<|assistant|>",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A tokenizer's folder for each template."""
    found = {}
    for name, template in TEMPLATES.items():
        folder = found[name] = tmp_path_factory.mktemp(name)
        data.train_tokenizer(["How are you?"] * 9, folder, vocabulary=270)
        path = folder / "tokenizer.json"
        stored = json.loads(path.read_text())
        size = len(stored["model"]["vocab"])
        for place, token in enumerate(SPECIAL):
            stored["added_tokens"].append(
                stored["added_tokens"][0] | {"id": size + place, "content": token}
            )
        path.write_text(json.dumps(stored))
        (folder / "tokenizer_config.json").write_text(
            json.dumps(
                {
                    "chat_template": template,
                    "bos_token": "<s>",
                    "eos_token": "</s>",
                    "add_bos_token": True,
                    "tokenizer_class": "PreTrainedTokenizerFast",
                }
            )
        )
    return found


by_template = pytest.mark.parametrize("name", TEMPLATES)


@by_template
def test_a_template_writes_a_conversation_up_to_its_answer(folders, name):
    tokenizer = data.load_tokenizer(folders[name])
    assert data.render(tokenizer.chat, [USER]) == GOLDEN[name]


@by_template
def test_special_tokens_of_a_template_become_their_ids(folders, name):
    tokenizer = data.load_tokenizer(folders[name])
    [ids] = data.chat_ids(tokenizer, [[USER]], length=99).tokens
    names = [tokenizer.backend.id_to_token(token) for token in ids]
    in_order = [own for own in names if own in SPECIAL]
    text = GOLDEN[name]
    for own in in_order:
        before, found, text = text.partition(own)
        assert found and not any(other in before for other in SPECIAL)
    assert not any(other in text for other in SPECIAL)
    # A beginning token once, and no end token.
    assert names.count("<s>") == GOLDEN[name].count("<s>")
    assert "</s>" not in names


@pytest.mark.full
@pytest.mark.filterwarnings("default")
@by_template
@pytest.mark.parametrize("talk", [[USER], TALK, TALK[1:]], ids=len)
def test_a_conversation_has_the_ids_that_transformers_gives_it(folders, name, talk):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(folders[name])
    wanted = theirs.apply_chat_template(talk, add_generation_prompt=True)["input_ids"]
    tokenizer = data.load_tokenizer(folders[name])
    assert data.chat_ids(tokenizer, [talk], length=999).tokens == [list(wanted)]


@by_template
def test_what_a_message_spells_is_text(folders, name):
    tokenizer = data.load_tokenizer(folders[name])
    guilty = {"role": "user", "content": f"a {' '.join(SPECIAL)} b"}
    [ids], [innocent] = (
        data.chat_ids(tokenizer, [[own]], length=999).tokens for own in (guilty, USER)
    )
    special = {tokenizer.backend.token_to_id(own) for own in SPECIAL}
    marks = [[own for own in tokens if own in special] for tokens in (ids, innocent)]
    assert marks[0] == marks[1]
    assert guilty["content"] in tokenizer.backend.decode(ids, skip_special_tokens=False)


def test_where_a_conversation_is_too_long_its_end_stays_behind_the_first_token(folders):
    tokenizer = data.load_tokenizer(folders["headers"])
    long = {"role": "user", "content": "you " * 50}
    whole = data.chat_ids(tokenizer, [[long], [USER]], length=999)
    assert (whole.cut, whole.dropped) == (0, 0)
    length = len(whole.tokens[1])
    found = data.chat_ids(tokenizer, [[long], [USER]], length=length)
    assert (found.cut, found.dropped, found.ids.tolist()) == (1, 0, [0, 1])
    assert found.tokens[0][0] == whole.tokens[0][0]
    assert found.tokens[0][1:] == whole.tokens[0][1 - length :]
    assert found.tokens[1] == whole.tokens[1]
    left = data.chat_ids(tokenizer, [[long], [USER]], length=length, fit=data.drop)
    assert (left.cut, left.dropped, left.ids.tolist()) == (0, 1, [1])


@by_template
def test_a_length_without_room_for_the_header_of_an_answer_is_refused(folders, name):
    tokenizer = data.load_tokenizer(folders[name])
    text = GOLDEN[name]
    header = text[text.index("you?") :].partition("\n")[2] if name != "bars" else ""
    ids = tokenizer.encode([header], markup=True)[0] if name != "instructions" else []
    # The break behind a turn is another token in front of a break than alone.
    if name == "headers":
        ids = tokenizer.encode([text[text.index("<|eot_id|>") + 10 :]], markup=True)[0]
    talk, first = [[USER]], GOLDEN[name].startswith("<s>")
    length = len(ids) + first
    found = data.chat_ids(tokenizer, talk, length=length + 1).tokens
    assert found[0][-len(ids) or 99 :] == ids
    with pytest.raises(ValueError, match=f"beside the {len(ids)} with which"):
        data.chat_ids(tokenizer, talk, length=length)


def test_a_template_that_refuses_a_conversation_says_which_and_why(folders):
    tokenizer = data.load_tokenizer(folders["instructions"])
    with pytest.raises(ValueError, match=r"user, user \(roles must alternate\)"):
        data.chat_ids(tokenizer, [[USER, USER]], length=99)


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages",
        "{{ messages.append(1) }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ 1 / 0 }}",
        "{{ range(9999999) }}",
        "{% macro more() %}{{ more() }}{% endmacro %}{{ more() }}",
    ],
)
def test_a_template_that_is_none_or_does_what_it_must_not_is_refused(source):
    template = data.ChatTemplate(source, {}, "here")
    with pytest.raises(ValueError, match="chat template of here"):
        data.render(template, [USER])


def test_a_date_is_the_same_every_day():
    template = data.ChatTemplate("{{ strftime_now('%d %b %Y') }}", {}, "here")
    assert data.render(template, [USER]) == "26 Jul 2024"


def test_text_in_json_is_written_as_it_is():
    template = data.ChatTemplate("{{ messages | tojson }}", {}, "here")
    own = {"role": "user", "content": "<é>"}
    assert json.loads(data.render(template, [own])) == [own]
    assert "<é>" in data.render(template, [own])


def test_a_file_of_its_own_comes_before_the_settings(folders, tmp_path):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folders["bars"] / name).read_bytes())
    (tmp_path / "chat_template.json").write_text('{"chat_template": "json"}')
    assert data.load_tokenizer(tmp_path).chat.source == "json"
    (tmp_path / "chat_template.jinja").write_text("jinja")
    assert data.load_tokenizer(tmp_path).chat.source == "jinja"


def test_of_several_templates_the_default_is_taken(folders, tmp_path):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folders["bars"] / name).read_bytes())
    path = tmp_path / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    several = [{"name": "tools", "template": "a"}, {"name": "default", "template": "b"}]
    path.write_text(json.dumps(settings | {"chat_template": several}))
    assert data.load_tokenizer(tmp_path).chat.source == "b"
    path.write_text(json.dumps(settings | {"chat_template": several[:1]}))
    with pytest.raises(ValueError, match="none that is named default"):
        data.load_tokenizer(tmp_path)
    path.write_text(json.dumps(settings | {"chat_template": None}))
    tokenizer = data.load_tokenizer(tmp_path)
    assert tokenizer.chat is None
    with pytest.raises(ValueError, match="no chat template"):
        data.chat_ids(tokenizer, [[USER]], length=99)


def test_a_file_of_conversations_is_read(tmp_path):
    path = tmp_path / "talks.jsonl"
    answers = {
        "chosen": [*TALK, {"role": "assistant", "content": "Well."}],
        "rejected": [{"role": "assistant", "content": "No."}],
    }
    lines = [{"messages": TALK, "id": 3}, {"messages": [USER]}]
    path.write_text("".join(json.dumps(line | answers) + "\n" for line in lines[:1]))
    [found] = data.read_records(path)
    assert list(found.messages) == TALK
    assert found.prompt.startswith("system: Answer in one word.\n\nuser:  Who?")
    assert (found.chosen, found.rejected, found.others) == ("Well.", "No.", {"id": 3})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert data.read_records(path)[1].prompt == USER["content"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"messages": []}, "`messages` is"),
        ({"messages": "Hi"}, "`messages` is"),
        ({"messages": [USER, "Hi"]}, r"`messages\[1\]` is 'Hi'"),
        ({"messages": [{"role": "user"}]}, r"`messages\[0\]`"),
        ({"messages": [{"role": "user", "content": ["Hi"]}]}, r"`messages\[0\]`"),
        (
            {"messages": [{"role": "tool", "content": "Hi"}]},
            r"messages\[0\].role.*tool",
        ),
        ({"messages": TALK[:3]}, "ends with the assistant's message"),
        ({"messages": [USER], "chosen": TALK, "rejected": "a"}, "`chosen` ends"),
        ({"messages": [USER], "chosen": TALK[:3], "rejected": "a"}, "`chosen` goes on"),
        ({"messages": [{"role": "user", "content": " "}]}, "`prompt` is ' '"),
    ],
    ids=str,
)
def test_a_conversation_that_is_none_is_refused_by_line_and_field(tmp_path, line, said):
    path = tmp_path / "talks.jsonl"
    path.write_text(json.dumps({"messages": [USER]}) + "\n" + json.dumps(line) + "\n")
    with pytest.raises(ValueError, match=f"talks.jsonl, line 2: .*{said}"):
        data.read_records(path)


def test_conversations_beside_plain_prompts_are_refused(tmp_path):
    path = tmp_path / "talks.jsonl"
    path.write_text(json.dumps({"messages": [USER]}) + '\n{"prompt": "Hi"}\n')
    with pytest.raises(ValueError, match="1 of 2 prompts are `messages`"):
        data.read_records(path)


def test_an_answer_ends_as_the_template_ends_a_turn(folders, tmp_path):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folders["turns"] / name).read_bytes())
    before = data.load_tokenizer(tmp_path)
    turn = before.backend.token_to_id("<end_of_turn>")
    ends = [before.closing_id, turn]
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
    plain = data.load_tokenizer(tmp_path)
    taught = data.ending_as_taught(plain)
    assert plain.eos_id == tuple(ends) and taught.eos_id == (turn, ends[0])
    responses = data.encode_responses(taught, [["Well."]], length=9)
    [[tokens]], [[mask]] = responses.tokens, responses.mask
    assert tokens[mask][-1] == turn
    # A template that ends with none of them changes nothing.
    assert data.ending_as_taught(before).eos_id == before.eos_id
