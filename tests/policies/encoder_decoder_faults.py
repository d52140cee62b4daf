"""Seeded faults of encoder-decoders and of the prompts that they read."""

from tests.fault import Fault

ENCODER_DECODER = "nashalign/policies/encoder_decoder.py"
CONTINUING = "nashalign/policies/continuing.py"
PARTS = "nashalign/policies/encoder_decoder_layers.py"
RELATIVE = "nashalign/policies/relative.py"
T5 = "nashalign/policies/families/t5.py"
T5_TEST = "tests/policies/encoder_decoder_test.py"
T5_GOLDEN = f"{T5_TEST} -k equal_those_of_transformers"

ENCODER_DECODERS = [
    Fault(
        "an encoder whose buckets are for what came before",
        ENCODER_DECODER,
        "bidirectional=True,",
        "bidirectional=False,",
        T5_GOLDEN,
    ),
    Fault(
        "a decoder whose buckets are shared between both ways",
        ENCODER_DECODER,
        "bidirectional=False,",
        "bidirectional=True,",
        T5_GOLDEN,
    ),
    Fault(
        "distances the other way round",
        RELATIVE,
        "there[:, None] - here[:, :, None]",
        "here[:, :, None] - there[:, None]",
        T5_GOLDEN,
    ),
    Fault(
        "far distances in buckets that begin at one",
        RELATIVE,
        "jnp.maximum(size, 1) / exact) / math.log(limit / exact)",
        "jnp.maximum(size, 1)) / math.log(limit)",
        T5_GOLDEN,
    ),
    Fault(
        "a decoder with the encoder's relative bias",
        ENCODER_DECODER,
        "    stack = model.decoder\n"
        "    bias = relative.bias(\n"
        "        stack.relative_attention_bias",
        "    stack = model.decoder\n"
        "    bias = relative.bias(\n"
        "        model.encoder.relative_attention_bias",
        T5_GOLDEN,
    ),
    Fault(
        "a relative bias in the first layer alone",
        ENCODER_DECODER,
        "        return nnx.merge(graph, params)(x, bias), None\n\n"
        "    x, _ = jax.lax.scan(layer, model.shared.embedding[...][tokens], blocks)\n",
        "        params, number = params\n"
        "        own = jnp.where((number == 0) | (bias < -1e9), bias, 0.0)\n"
        "        return nnx.merge(graph, params)(x, own), None\n\n"
        "    blocks = (blocks, jnp.arange(config.num_layers))\n"
        "    x, _ = jax.lax.scan(layer, model.shared.embedding[...][tokens], blocks)\n",
        T5_GOLDEN,
    ),
    Fault(
        "a relative bias that the prompt's scores have too",
        ENCODER_DECODER,
        "x, (bias, nowhere), kept, read)",
        "x, (bias, nowhere + bias[..., -1:]), kept, read)",
        T5_GOLDEN,
    ),
    Fault(
        "states that meet their embedding as they are",
        ENCODER_DECODER,
        "return found / jnp.asarray(np.sqrt(config.d_model), dtype)",
        "return found",
        T5_GOLDEN,
    ),
    Fault(
        "scores of an encoder-decoder over the root of a head's width",
        PARTS,
        "jnp.concatenate(scores, -1) + bias",
        "jnp.concatenate(scores, -1) / np.sqrt(q.shape[-1]) + bias",
        T5_GOLDEN,
    ),
    Fault(
        "a decoder that sees the prompt's padding",
        ENCODER_DECODER,
        'prompt["mask"][:, None], jnp.zeros((1, 1, 1, 1), bias.dtype)',
        'prompt["mask"][:, None] | True, jnp.zeros((1, 1, 1, 1), bias.dtype)',
        T5_GOLDEN,
    ),
    Fault(
        "an encoder that sees padding",
        ENCODER_DECODER,
        "jnp.repeat(mask[:, None], mask.shape[1], 1)",
        "jnp.repeat(mask[:, None] | True, mask.shape[1], 1)",
        T5_GOLDEN,
    ),
    Fault(
        "a decoder that sees the next token",
        ENCODER_DECODER,
        "jnp.tril(jnp.ones((1, size, size), bool))",
        "jnp.tril(jnp.ones((1, size, size), bool), 1)",
        T5_GOLDEN,
    ),
    Fault(
        "places of a prompt from its columns",
        ENCODER_DECODER,
        "places = jnp.cumsum(mask, -1, dtype=jnp.int32) - 1",
        "places = jnp.cumsum(jnp.ones_like(mask, int), -1) - 1",
        f"{T5_TEST} -k take_no_position",
    ),
    Fault(
        "places of a response from its columns",
        ENCODER_DECODER,
        "jnp.cumsum(mask, -1, dtype=jnp.int32) - 1\n    stack = model.decoder",
        "jnp.cumsum(jnp.ones_like(mask, int), -1) - 1\n    stack = model.decoder",
        f"{T5_TEST} -k take_no_position",
    ),
    Fault(
        "a response that begins after the prompt's last token",
        ENCODER_DECODER,
        "jnp.full(batch, options.first_token, jnp.int32)",
        "prompts.tokens[:, -1]",
        T5_GOLDEN,
    ),
    Fault(
        "a row that is put reads the prompt of the one it replaces",
        ENCODER_DECODER,
        "name: ring.put(own, rows, other[name]) for name, own in cache.items()",
        'name: ring.put(own, rows, other[name]) if name == "response" else own\n'
        "            for name, own in cache.items()",
        "tests/policies/contract_test.py -k 'refilled and T5'",
    ),
    Fault(
        "an exact gelu in the gate of T5",
        T5,
        '(nnx.gelu, "gelu_new", True)',
        '(lambda x: nnx.gelu(x, approximate=False), "gelu_new", True)',
        T5_GOLDEN,
    ),
    Fault(
        "a gate that is taken for what it lets through",
        PARTS,
        "self.options.activation(self.wi_0(h)) * self.wi_1(h)",
        "self.options.activation(self.wi_1(h)) * self.wi_0(h)",
        T5_GOLDEN,
    ),
    Fault(
        "files of transformers 5 that tie every T5",
        T5,
        "tied is not False if scaled is None else scaled",
        "tied is not False",
        f"{T5_TEST} -k both_styles_say",
    ),
    Fault(
        "a token behind the prompt that is not counted",
        "nashalign/data/prompts.py",
        "room = length - len(begin) - len(behind)\n    if",
        "room = length - len(begin)\n    if",
        "tests/data/prompts_test.py -k counted_and_never_cut",
    ),
    Fault(
        "a token behind the prompt that is forgotten",
        "nashalign/data/prompts.py",
        "tokens=[begin + own + behind for own in found.values()]",
        "tokens=[begin + own for own in found.values()]",
        "tests/data/prompts_test.py -k counted_and_never_cut",
    ),
    Fault(
        "add_eos_token false overheard",
        "nashalign/conventions.py",
        "if asked is False or not written:",
        "if not written:",
        "tests/data/tokenizer_test.py -k ends_with_a_token",
    ),
    Fault(
        "copies of an embedding that are not compared with it",
        "nashalign/policies/weights/reading.py",
        "for name in copies:",
        "for name in copies[2:]:",
        f"{T5_TEST} -k copies",
    ),
    Fault(
        "keys of the prompt from states that are normed once more",
        ENCODER_DECODER,
        "cross_attention.read(states)",
        "cross_attention.read(stack.norm(states))",
        T5_GOLDEN,
    ),
    Fault(
        "the beginning of a response as a part of its prompt",
        "nashalign/sampling/steps.py",
        "policies.continuing(policy, len(prompt))",
        "policy",
        "tests/policies/contract_test.py -k 'steps_of_a_search and T5'",
    ),
    Fault(
        "a response that has not begun goes on from padding",
        CONTINUING,
        "jnp.where(some, begun.tokens[:, -1], first)",
        "begun.tokens[:, -1]",
        "tests/policies/contract_test.py -k has_begun",
    ),
    Fault(
        "a response that has begun without its first token",
        CONTINUING,
        "jnp.concatenate([some[:, None], begun.mask[:, :-1]], 1)",
        "jnp.concatenate([some[:, None] & False, begun.mask[:, :-1]], 1)",
        "tests/policies/contract_test.py -k has_begun",
    ),
]
