"""Seeded faults of the policies' files, which `python -m tests.faults` runs too."""

from tests.fault import Fault

LAYOUT = "nashalign/policies/weights/layout.py"
READING = "nashalign/policies/weights/reading.py"
WRITING, STAGED = "nashalign/policies/weights/writing.py", "nashalign/writing.py"
JUDGES_TEST = "tests/preferences/folders_test.py"
KILLED = "tests/policies/weights_test.py -k kill_at_any_moment"
WEIGHTS_TEST = "tests/policies/weights_test.py"

LORA = "nashalign/policies/lora.py"
STORED = "nashalign/policies/adapters/stored.py"
ADAPTER_CONFIG = "nashalign/policies/adapters/config_file.py"
PRECISION = "nashalign/policies/precision.py"
ROWS = "nashalign/sampling/rows.py"
LORA_TEST = "tests/policies/lora_test.py"
ADAPTERS_TEST = "tests/policies/adapters_test.py"
ROW_LORA_TEST = "tests/algorithms/lora_test.py -k online_ipo"
PRECISION_TEST = "tests/policies/precision_test.py"

ADAPTED = [
    Fault(
        "gradients of kernels that are summed over several axes",
        "nashalign/policies/products.py",
        "rows = x.reshape(-1, x.shape[-1])",
        "rows = x",
        "tests/policies/products_test.py",
    ),
    Fault(
        "adapters over the square of their rank",
        LORA,
        "over = math.sqrt(self.rank) if self.rank_stabilized else self.rank",
        "over = math.sqrt(self.rank) if self.rank_stabilized else self.rank**2",
        f"{LORA_TEST} -k product",
    ),
    Fault(
        "adapters that are not merged with their scale",
        LORA,
        'found["kernel"] = kernel + lora.scale * (a @ b)',
        'found["kernel"] = kernel + a @ b',
        f"{LORA_TEST} -k product",
    ),
    Fault(
        "adapters of the other policy in a mixture over one base",
        ROWS,
        "own = jnp.split(values, len(names))",
        "own = jnp.split(values, len(names))[::-1]",
        f"{LORA_TEST} -k mixture",
    ),
    Fault(
        "adapters of one policy for all that share its base",
        LORA,
        "stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves, leaves[0].ndim - 2), "
        "*own)",
        "stacked = jax.tree.map(lambda *leaves: jnp.stack([leaves[0]] * len(leaves), "
        "leaves[0].ndim - 2), *own)",
        f"{LORA_TEST} -k mixture",
    ),
    Fault(
        "adapters refilled in the block of the first policy",
        ROWS,
        "return policy.put(cache, row + rows.alive.size * block, other)",
        "return policy.put(cache, row + 0 * block, other)",
        f"{LORA_TEST} -k mixture",
    ),
    Fault(
        "adapters beside which the base is trained",
        LORA,
        "return _pruned(params, adapters=True) or params",
        "return params",
        ROW_LORA_TEST,
    ),
    Fault(
        "adapters stored as they lie",
        STORED,
        "first = np.concatenate([np.asarray(a).T for a, _ in own])",
        "first = np.concatenate([np.asarray(a)[::-1].T for a, _ in own])",
        f"{ADAPTERS_TEST} -k names_of_peft",
    ),
    Fault(
        "adapters whose unknown options are passed over",
        ADAPTER_CONFIG,
        "changed = [name for name, own in options.items() if own and name not in "
        "_KNOWN]",
        "changed = []",
        f"{ADAPTERS_TEST} -k refused",
    ),
    Fault(
        "precision of logits that are not rounded",
        PRECISION,
        "return policy.logits(cast(params, dtype), hidden)",
        "return policy.logits(params, hidden)",
        PRECISION_TEST,
    ),
    Fault(
        "precision of states that are not rounded",
        PRECISION,
        "return policy.hidden(cast(params, dtype), tokens, mask, cache)",
        "return policy.hidden(params, tokens, mask, cache)",
        PRECISION_TEST,
    ),
]

POLICIES = [
    *ADAPTED,
    Fault(
        "parts of a tensor after one another in every group",
        LAYOUT,
        "shift = group * (self.outputs // groups - size) + self.before // groups",
        "shift = group * (self.outputs // groups - size) + self.before",
        WEIGHTS_TEST,
    ),
    Fault(
        "heads one by one read as if they followed one another",
        LAYOUT,
        "groups = self.place.groups",
        "groups = 1",
        WEIGHTS_TEST,
    ),
    Fault(
        "parts of a tensor in the order of their names",
        LAYOUT,
        "parts = sorted(parts, key=lambda part: part.place.part)",
        "parts = sorted(parts, key=lambda part: part.leaf)",
        WEIGHTS_TEST,
    ),
    Fault(
        "a slice of a turned tensor that is not turned",
        LAYOUT,
        "values = stored[place[::-1]].T if self.place.turned else stored[place]",
        "values = stored[place[::-1]].T",
        WEIGHTS_TEST,
    ),
    Fault(
        "stacks of layers at the root alone",
        LAYOUT,
        'if "layers" in keys else (None,)',
        'if "layers" == keys[0] else (None,)',
        WEIGHTS_TEST,
    ),
    Fault(
        "a share read from the start of its leaf",
        LAYOUT,
        "slice(start + first, start + first + block.shape[axis])",
        "slice(first, first + block.shape[axis])",
        f"{WEIGHTS_TEST} -k share_of_the_numbers",
    ),
    Fault(
        "a whole tensor read at once",
        LAYOUT,
        "_BLOCK = 2**22",
        "_BLOCK = 2**40",
        f"{WEIGHTS_TEST} -k loading_takes",
    ),
    Fault(
        "weights that are not numbers",
        READING,
        "if not np.isfinite(values).all():",
        "if np.isneginf(values).all():",
        f"{WEIGHTS_TEST} -k 'spoilt or cannot_hold'",
    ),
    Fault(
        "a shard over its size",
        WRITING,
        "if shards[-1] and size + own > limit:",
        "if shards[-1] and size > limit:",
        f"{WEIGHTS_TEST} -k as_large_as",
    ),
    Fault(
        "a file of weights at an odd place",
        WRITING,
        'text += b" " * (-len(text) % 8)',
        'text += b" " * (-len(text) % 8 + 3)',
        f"{WEIGHTS_TEST} -k own_library",
    ),
    Fault(
        "new weights below the old config",
        STAGED,
        "for name in filter(None, (last, *without)):",
        "for name in without:",
        KILLED,
    ),
    Fault(
        "the config before the weights",
        STAGED,
        "key=lambda name: name == last",
        "key=lambda name: name != last",
        KILLED,
    ),
    Fault(
        "shards of an earlier model that stay",
        "nashalign/policies/pretrained.py",
        "stale = weights.usual_files(folder) | others",
        "stale = others",
        KILLED,
    ),
    Fault(
        "a reward read behind the padding",
        "nashalign/preferences/models.py",
        "mask if self.pad_id is None else mask & (tokens != self.pad_id)",
        "mask if self.pad_id is None else mask & (tokens == self.pad_id)",
        f"{JUDGES_TEST} -k scores_equal_those",
    ),
    Fault(
        "an empty text's reward from nowhere",
        "nashalign/preferences/models.py",
        "jnp.concatenate([jnp.ones_like(read[..., :1]), read], -1)",
        "jnp.concatenate([jnp.zeros_like(read[..., :1]), read], -1)",
        f"{JUDGES_TEST} -k scores_equal_those",
    ),
    Fault(
        "rewards of several labels",
        "nashalign/policies/scorers.py",
        "if number != 1:",
        "if number < 1:",
        f"{JUDGES_TEST} -k another_score",
    ),
    Fault(
        "a judge saved with the end token as padding",
        "nashalign/preferences/folders.py",
        "if pad_id is None and tokenizer.pad_id not in tokenizer.eos_id:",
        "if pad_id is None:",
        f"{JUDGES_TEST} -k comes_back",
    ),
    Fault(
        "the list of families leaves out what is refused",
        "docs/families.py",
        "for name, values in family.only.items():",
        "for name, values in [*family.only.items()][1:]:",
        "tests/docs_test.py -k every_family",
    ),
    Fault(
        "an option of rotary positions that nobody knows",
        "nashalign/policies/families/rope.py",
        "KNOWN = (_CONTEXT, *_STYLES)",
        "KNOWN = (_CONTEXT,)",
        "tests/policies/pretrained_test.py -k both_styles",
    ),
    Fault(
        "an adapter that stays beside a whole model",
        "nashalign/policies/pretrained.py",
        "others = {conventions.ADAPTER, adapters.WEIGHTS}",
        "others = {conventions.ADAPTER} - {conventions.ADAPTER}",
        "tests/policies/adapters_test.py -k is_that_model",
    ),
    Fault(
        "a judge of other tokens",
        "nashalign/preferences/folders.py",
        "if own.get(text) != i)",
        "if text in own and own.get(text) != i)",
        f"{JUDGES_TEST} -k other_tokens",
    ),
    Fault(
        "a chat template of an earlier model that stays",
        "nashalign/policies/pretrained.py",
        "others |= {*TOKENIZER_FILES} if companions else set()",
        "others |= set()",
        "tests/policies/pretrained_test.py -k of_an_earlier_one",
    ),
]
