"""Faults of judges that are language models; see `tests/faults.py`."""

from tests.fault import Fault

_FOLDER, _TESTS = "nashalign/preferences/llm", "tests/preferences/llm"
JUDGE, READING = f"{_FOLDER}/judge.py", f"{_FOLDER}/reading.py"
SERVER, PACE = f"{_FOLDER}/server.py", f"{_FOLDER}/pace.py"
WIRE = f"{_FOLDER}/wire.py"
REPLIES, LOCAL = f"{_FOLDER}/replies.py", f"{_FOLDER}/local.py"
RANKING = f"{_FOLDER}/ranking.py"
TEMPLATE, STEPS = f"{_FOLDER}/template.py", "nashalign/alignment/steps.py"
ANNOTATORS = "nashalign/cli/annotators.py"

_READING, _SERVER = f"{_TESTS}/reading_test.py", f"{_TESTS}/server_test.py"
_LOCAL, _CLI = f"{_TESTS}/local_test.py", "tests/cli/judge_test.py"

_AHEAD = "tests/alignment/ahead_test.py"

LLM = [
    Fault(
        "an LLM judge asked in one order",
        JUDGE,
        "(self.template.fill(prompt, y, z), self.template.fill(prompt, z, y))",
        "(self.template.fill(prompt, y, z), self.template.fill(prompt, y, z))",
        _READING,
    ),
    Fault(
        "an LLM judge's second order read as the first",
        READING,
        "return float(0.5 * (first[0] + second[1]))",
        "return float(0.5 * (first[0] + second[0]))",
        _READING,
    ),
    Fault(
        "answers of an LLM judge that do not sum to one exactly",
        READING,
        "return np.array([first, 1.0 - first])",
        "return np.array([first, expit(values[1] - values[0]) * (1 - 1e-16)])",
        _READING,
    ),
    Fault(
        "an answer with a space in front left out",
        READING,
        "if token.strip() == own]",
        "if token == own]",
        _READING,
    ),
    Fault(
        "an answer that is not listed taken for impossible",
        READING,
        "bound = min(min(listed), math.log(left))",
        "bound = -1e4",
        _READING,
    ),
    Fault(
        "an answer that is not listed taken for what is left alone",
        READING,
        "bound = min(min(listed), math.log(left))",
        "bound = math.log(left)",
        _READING,
    ),
    Fault(
        "a malformed reply that is not counted",
        JUDGE,
        "counts.malformed += 1",
        "counts.malformed += 0",
        _READING,
    ),
    Fault(
        "verdicts drawn though nobody asked for it",
        JUDGE,
        "if self.draws:",
        "if True:",
        _READING,
    ),
    Fault(
        "a field spelt in a text filled in again",
        TEMPLATE,
        "return _FIELD.sub(lambda found: own[found[1]], self.text)",
        "text = self.text\n"
        "        for name in names:\n"
        '            text = text.replace("{" + name + "}", own[name])\n'
        "        return text",
        f"{_TESTS}/template_test.py",
    ),
    Fault(
        "a reply kept when all have arrived",
        SERVER,
        "self._arrived.put((place, own.replies.keep(request, reply)))",
        "self._arrived.put((place, reply))",
        f"{_SERVER} -k 'moment or shared'",
    ),
    Fault(
        "a later reply in the place of the first",
        REPLIES,
        '"INSERT OR IGNORE INTO replies VALUES (?, ?)"',
        '"INSERT OR REPLACE INTO replies VALUES (?, ?)"',
        f"{_SERVER} -k first_stays",
    ),
    Fault(
        "a streamed function kept when all is answered",
        "nashalign/preferences/text.py",
        "for place, answer in self.ask(new):",
        "for place, answer in list(self.ask(new)):",
        "tests/preferences/text_test.py -k streamed",
    ),
    Fault(
        "replies known whatever the model",
        REPLIES,
        "text = json.dumps([self._who, *request])",
        "text = json.dumps([*request])",
        f"{_SERVER} -k known_by_their_model",
    ),
    Fault(
        "draws of one text taken for one reply",
        REPLIES,
        "text = json.dumps([self._who, *request])",
        "text = json.dumps([self._who, request.text])",
        f"{_SERVER} -k drawn",
    ),
    Fault(
        "a server not given the time that it asks for",
        SERVER,
        "self._not_before = max(self._not_before, time.monotonic() + seconds)",
        "self._not_before = max(self._not_before, time.monotonic())",
        f"{_SERVER} -k given_it",
    ),
    Fault(
        "a wait of an hour waited for",
        SERVER,
        "if seconds > self._server.patience.longest_wait:",
        "if seconds > 1e9:",
        f"{_SERVER} -k too_much_time",
    ),
    Fault(
        "a date of Retry-After passed over",
        PACE,
        "return max(0.0, date.timestamp() - (time.time() if now is None else now))",
        "return 0.0",
        f"{_SERVER} -k 'seconds_or_a_date or clock'",
    ),
    Fault(
        "waits that do not double",
        PACE,
        "self.first_wait * 2.0 ** (attempt - 1)",
        "self.first_wait * 2.0",
        f"{_SERVER} -k double",
    ),
    Fault(
        "a refusal asked again",
        WIRE,
        "if (status in _AGAIN or status >= 500) and code not in _NEVER:",
        "if status >= 400 and code not in _NEVER:",
        f"{_SERVER} -k cure",
    ),
    Fault(
        "an empty account waited for",
        WIRE,
        "if (status in _AGAIN or status >= 500) and code not in _NEVER:",
        "if status in _AGAIN or status >= 500:",
        f"{_SERVER} -k account",
    ),
    Fault(
        "calls that fail left out of the budget",
        SERVER,
        "own.replies.spend(calls=1)",
        "own.replies.spend(calls=0)",
        f"{_SERVER} -k budget_of_calls",
    ),
    Fault(
        "a budget of each process",
        SERVER,
        "said = self._server.budget.spent(spent.calls, spent.tokens)",
        "said = self._server.budget.spent("
        "self._server.counts.calls, self._server.counts.tokens)",
        f"{_SERVER} -k budget_of_calls",
    ),
    Fault(
        "tokens that are not counted",
        SERVER,
        "own.replies.spend(tokens=tokens)",
        "own.replies.spend(tokens=0)",
        f"{_SERVER} -k budget_of_tokens",
    ),
    Fault(
        "log-probabilities that are gone taken for an answer",
        SERVER,
        "if own.needs_log_probs:",
        "if False:",
        f"{_SERVER} -k 'without_log or nothing_else'",
    ),
    Fault(
        "the key of a server told as the server tells it",
        SERVER,
        'return text.replace(key, f"[{own.key_variable}]") if key else text',
        "return text",
        f"{_SERVER} -k key",
    ),
    Fault(
        "more requests under way than are allowed",
        SERVER,
        "slots = asyncio.Semaphore(own.workers)",
        "slots = asyncio.Semaphore(10 * own.workers)",
        f"{_SERVER} -k under_way",
    ),
    Fault(
        "the retries of the client itself",
        SERVER,
        "max_retries=0,",
        "max_retries=2,",
        f"{_SERVER} -k nothing_else",
    ),
    Fault(
        "an answer of a token read behind the prompt's last but one",
        LOCAL,
        "logits, _ = policy.decode(params, first[:, None], mask, cache)",
        "logits, _ = policy.decode(params, 0 * first[:, None], mask, cache)",
        f"{_LOCAL} -k one_token",
    ),
    Fault(
        "a local judge that knows one token an answer",
        LOCAL,
        "found = jnp.where(counts[None], log_probs[:, table], -jnp.inf)",
        "found = log_probs[:, table[:, :1]]",
        f"{_LOCAL} -k one_token",
    ),
    Fault(
        "a token of an answer counted twice",
        LOCAL,
        "found = jnp.where(counts[None], log_probs[:, table], -jnp.inf)",
        "found = jnp.where(counts[None] | True, log_probs[:, table], -jnp.inf)",
        f"{_LOCAL} -k flat",
    ),
    Fault(
        "a local judge not asked as it was taught",
        LOCAL,
        "if self.tokenizer.chat is not None:",
        "if False:",
        f"{_LOCAL} -k taught",
    ),
    Fault(
        "a question padded by what is read beside it",
        LOCAL,
        "length = bucket(len(tokens[place]), self.context)",
        "length = bucket(max(map(len, tokens)), self.context)",
        f"{_LOCAL} -k padded",
    ),
    Fault(
        "pieces of a batch asked about one by one",
        STEPS,
        "number = self.pieces if _in_pieces(annotator, batch) else 1",
        "number = 1",
        "tests/alignment/steps_test.py -k in_pieces",
    ),
    Fault(
        "a batch drawn ahead by the policy that learns from it",
        "nashalign/alignment/ahead.py",
        "groups, staleness = carried.pending, int(carried.drawn)",
        "groups, staleness = carried.pending, 0",
        f"{_AHEAD} -k policy_before",
    ),
    Fault(
        "a batch drawn ahead with the keys of the update before",
        "nashalign/alignment/ahead.py",
        "writing = dataclasses.replace(state, step=state.step + 1)",
        "writing = state",
        f"{_AHEAD} -k policy_before",
    ),
    Fault(
        "a batch drawn ahead that a checkpoint forgets",
        "nashalign/alignment/ahead.py",
        "carried = Ahead(state=state, pending=pending, drawn=drawn)",
        "carried = Ahead(state=state, pending=_zeros(pending), drawn=drawn)",
        f"{_AHEAD} -k policy_before",
    ),
    Fault(
        "an annotator that draws asked in pieces",
        STEPS,
        "return isinstance(annotator, by_text) and isinstance(batch, Prompts)",
        "return isinstance(batch, Prompts)",
        "tests/alignment/steps_test.py -k may_draw",
    ),
    Fault(
        "a template of other words taken for the same",
        ANNOTATORS,
        "text = json.dumps([template.text, template.answers])",
        "text = json.dumps([template.name])",
        f"{_CLI} -k other_words",
    ),
    Fault(
        "a pair-ranking model's padding read at the end of a question",
        RANKING,
        "while len(own) > 1 and own[-1] == self.model.pad_id:",
        "while not own:",
        f"{_LOCAL} -k as_transformers_reads_it",
    ),
    Fault(
        "a pair-ranking model's score for the second response",
        RANKING,
        "jnp.concatenate([logit, -logit], -1)",
        "jnp.concatenate([-logit, logit], -1)",
        f"{_LOCAL} -k as_transformers_reads_it",
    ),
    Fault(
        "a pairwise judge of ours asked by a template",
        RANKING,
        "if not isinstance(model, RewardModel):",
        "if model is None:",
        f"{_LOCAL} -k without_a_template",
    ),
]
