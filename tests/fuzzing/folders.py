"""Folders of models and of runs, with one file damaged or one value out of place."""

import contextlib
import io
import json
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import rich.console
import safetensors.numpy

from experiments.docstrings import harvest
from experiments.docstrings.sources import Source
from nashalign import data, evaluation, policies, training
from nashalign.policies.families import option_names
from nashalign.types import Prompts
from tests.fuzzing import bytes_of_files
from tests.fuzzing.trial import Trial

_TEXTS = ['def reset(self):\n    self.count = 0\n"""Reset the counter."""'] * 4
_CONFIG = policies.LlamaConfig(
    vocab_size=300,
    hidden_size=8,
    intermediate_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=4,
    max_position_embeddings=128,
)


_GOLDEN = pathlib.Path(__file__).parents[1] / "policies" / "golden"


def model_folder(folder: pathlib.Path) -> pathlib.Path:
    """A whole model folder, with a tokenizer of 300 ids."""
    data.train_tokenizer(_TEXTS, folder / "tokenizer", vocabulary=300)
    policies.save_pretrained(
        folder / "model",
        policies.llama(_CONFIG).init(jax.random.key(0)),
        _CONFIG,
        tokenizer_folder=folder / "tokenizer",
    )
    return folder / "model"


@contextlib.contextmanager
def _copy(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A copy of a folder, gone after the block."""
    copy = folder.with_name("copy of " + folder.name)
    shutil.rmtree(copy, ignore_errors=True)
    yield pathlib.Path(shutil.copytree(folder, copy))
    shutil.rmtree(copy, ignore_errors=True)


def configs(random: np.random.Generator, folder: pathlib.Path) -> Iterator[Trial]:
    """`config.json` with a value that no model has, or no JSON."""
    wholes = [model_folder(folder)]
    for family in (
        *("llama3", "yarn", "gemma2", "gemma3", "mistral", "t5", "t5_gated"),
        *("neox", "neox_serial", "phi3", "olmo2", "smollm3", "gpt2"),
    ):
        wholes.append(shutil.copytree(_GOLDEN / family, folder / family))
    named = ["architectures", "model_type", "hidden_act", "dtype", "rope_parameters"]
    while True:
        whole = wholes[random.integers(len(wholes))]
        options = json.loads((whole / "config.json").read_text())
        numbers = [
            name
            for name, value in options.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        with _copy(whole) as copy:
            path = copy / "config.json"
            if random.random() < 0.3:
                name, what = "it", bytes_of_files.not_json(random, path)
                says = ("config.json",)
            else:
                name = str(random.choice(numbers + named))
                what, value = bytes_of_files.no_value(random)
                bytes_of_files.change_json(path, **{name: value})
                says = (name,)
            yield Trial(
                name=f"config.json of {whole.name}: {name} is {what}",
                call=lambda copy=copy: policies.load_pretrained(copy),
                says=says,
                right=lambda loaded, name=name: _is_a_model(loaded, name),
            )


def _is_a_model(loaded: policies.Pretrained, name: str) -> bool:
    """Whether what was read can be meant: one that differs in a number alone."""
    config = loaded.config
    options = option_names(type(config))
    sound = all(np.isfinite(float(getattr(config, own))) for own in options)
    # An option that no logits depend on, or a context that some models do have.
    free = name not in options or name in ("tie_word_embeddings", "rope_theta")
    longer = name == "max_position_embeddings" and getattr(config, name) < 2**31
    return sound and (free or longer) and _writes(loaded)


def _writes(loaded: policies.Pretrained) -> bool:
    """Whether the model has finite logits."""
    prompts = Prompts(
        tokens=jnp.array([[1, 2]]),
        mask=jnp.ones((1, 2), bool),
        ids=jnp.zeros(1, jnp.int32),
    )
    cache, first = loaded.policy.prefill(loaded.params, prompts, room=1)
    logits, _ = loaded.policy.decode(
        loaded.params, first[:, None], prompts.mask[:, :1], cache
    )
    return bool(jnp.isfinite(logits).all())


def tokenizers(random: np.random.Generator, folder: pathlib.Path) -> Iterator[Trial]:
    """A tokenizer's files, damaged, or with special tokens that are none."""
    whole = model_folder(folder)
    expected = data.load_tokenizer(whole).encode(["def f(x):"])
    while True:
        with _copy(whole) as copy:
            place = str(random.choice(["tokenizer.json", "tokenizer_config.json"]))
            path, says = copy / place, (place, str(copy))
            if place == "tokenizer_config.json" and random.random() < 0.5:
                name = str(random.choice(["eos_token", "bos_token", "pad_token"]))
                what, value = bytes_of_files.no_value(random)
                bytes_of_files.change_json(path, **{name: value})
                what = f"{name} is {what}"
            elif random.random() < 0.5:
                what = bytes_of_files.not_json(random, path)
            else:
                what = bytes_of_files.damage(random, path)
            yield Trial(
                name=f"{place}: {what}",
                call=lambda copy=copy: data.load_tokenizer(copy),
                says=says,
                right=lambda own, what=what: (
                    _is_a_tokenizer(own)
                    and (" flip" in what or _encodes(own, expected))
                ),
            )


def _is_a_tokenizer(own: data.Tokenizer) -> bool:
    """Whether its special ids are ids."""
    ids = [own.pad_id, own.bos_id if own.bos_id is not None else own.pad_id]
    ids += list(np.atleast_1d(own.eos_id))
    return all(0 <= int(token) < own.size for token in ids)


def _encodes(own: data.Tokenizer, expected: list[list[int]]) -> bool:
    """Whether it encodes as the whole one does."""
    return own.encode(["def f(x):"]) == expected


def weights(random: np.random.Generator, folder: pathlib.Path) -> Iterator[Trial]:
    """Weights in shards with a wrong index, or of the wrong shape, type or content."""
    whole = _sharded(model_folder(folder))
    (folder / "secret.safetensors").write_bytes(
        (whole / "model-00001-of-00002.safetensors").read_bytes()
    )
    while True:
        with _copy(whole) as copy:
            index = copy / "model.safetensors.index.json"
            shard = copy / f"model-0000{random.integers(1, 3)}-of-00002.safetensors"
            kind = random.integers(4)
            if kind == 0:
                says = ("model.safetensors.index.json",)
                what = "index: " + bytes_of_files.not_json(random, index)
            elif kind == 1:
                says = ("model.safetensors.index.json",)
                what = "index: " + _elsewhere(random, index, folder)
            elif kind == 2:
                says, what = (str(copy),), "shard: " + _respelt(random, shard)
            else:
                says = (shard.name,)
                what = "shard: " + bytes_of_files.damage(random, shard)
                if "flipped" in what:
                    # A flipped weight is a weight; only a flipped header is seen.
                    continue
            yield Trial(
                name=what,
                call=lambda copy=copy: policies.load_pretrained(copy),
                says=(*says, "config.json"),
            )


def _sharded(folder: pathlib.Path) -> pathlib.Path:
    """The model in two shards."""
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    places = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        shard = f"model-0000{number}-of-00002.safetensors"
        own = {name: tensors[name] for name in part}
        safetensors.numpy.save_file(own, folder / shard)
        places |= dict.fromkeys(part, shard)
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def _elsewhere(random, index: pathlib.Path, folder: pathlib.Path) -> str:
    """Makes the index name what is no file of the folder."""
    choices = {
        "a file above": "../secret.safetensors",
        "an absolute path": str(folder / "secret.safetensors"),
        "a folder": ".",
        "nothing": "",
        "a number": 5,
        "a list": ["model-00001-of-00002.safetensors"],
        "null": None,
        "an absent shard": "model-00003-of-00002.safetensors",
    }
    kind = str(random.choice(sorted(choices)))
    places = json.loads(index.read_text())["weight_map"]
    moved = sorted(places)[random.integers(len(places))]
    bytes_of_files.change_json(index, weight_map=places | {moved: choices[kind]})
    return f"a tensor is in {kind}"


def _respelt(random, shard: pathlib.Path) -> str:
    """Changes a tensor's name, shape, type or content."""
    tensors = safetensors.numpy.load_file(shard)
    name = sorted(tensors)[random.integers(len(tensors))]
    kind = str(random.choice(["name", "shape", "type", "NaN", "infinity"]))
    own = tensors[name]
    if kind == "name":
        tensors[name + ".old"] = tensors.pop(name)
    elif kind == "shape":
        tensors[name] = np.concatenate([own, own])
    elif kind == "type":
        tensors[name] = own.astype(np.int32)
    else:
        own.flat[random.integers(own.size)] = float("nan" if kind == "NaN" else "inf")
    safetensors.numpy.save_file(tensors, shard)
    return f"another {kind}" if kind in ("name", "shape", "type") else f"{kind} in it"


def checkpoints(random: np.random.Generator, folder: pathlib.Path) -> Iterator[Trial]:
    """Checkpoints of a state with a frozen policy, with one file damaged."""
    # Noise, which no compression and no small file protects.
    noise = random.normal(size=(2, 64, 64)).astype(np.float32)
    state = {
        "players": {"w": jnp.asarray(noise[0])},
        "frozen": {"reference": jnp.asarray(noise[1]).astype(jnp.bfloat16)},
        "step": jnp.int32(3),
        "key": jax.random.key(5),
    }
    whole = folder / "checkpoints"
    with training.Checkpoints(whole) as opened:
        opened.save(3, state)
    while True:
        with _copy(whole) as copy:
            files = sorted(path for path in copy.rglob("*") if path.is_file())
            path = files[random.integers(len(files))]
            if random.random() < 0.5:
                path = max(files, key=lambda own: own.stat().st_size)
                bytes_of_files.flip(random, path)
                what = "one bit flipped"
            else:
                what = bytes_of_files.damage(random, path)
            within = path.relative_to(copy).parts
            place = "/".join(part for part in within[:-1] if len(part) < 20)
            yield Trial(
                name=f"checkpoint: a file of {place}/: {what}",
                call=lambda copy=copy: _restored(copy, state),
                says=(str(copy),),
                right=lambda found: found is not None and _same_bits(found[1], state),
            )


def _restored(folder: pathlib.Path, like: Any) -> tuple[int, Any] | None:
    """The newest state of a folder of checkpoints."""
    with training.Checkpoints(folder) as opened:
        return opened.restore_latest(like)


def _same_bits(one: Any, other: Any) -> bool:
    """Whether two states are the same, bit for bit."""

    def bits(leaf):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        return np.asarray(leaf).tobytes()

    return jax.tree.map(bits, one) == jax.tree.map(bits, other)


def runs(random: np.random.Generator, folder: pathlib.Path) -> Iterator[Trial]:
    """The records of a run's folder, damaged."""
    whole = folder / "run"
    with training.open_run(whole, {"seed": 1, "tau": 0.1}) as run:
        run.require_same("prompts", {"train": "5 sha256:0123"})
    while True:
        with _copy(whole) as copy:
            place = str(random.choice(["config.json", "prompts.json", "finished.json"]))
            path = copy / place
            if place == "finished.json":
                path.write_text('{"finished": "2026-01-01T00:00:00"}')
            if random.random() < 0.5:
                what = bytes_of_files.not_json(random, path)
            else:
                what = bytes_of_files.damage(random, path)
            if what == "deleted" and place != "config.json":
                continue  # It is the folder of a run that has not come so far.
            yield Trial(
                name=f"{place} of a run: {what}",
                call=lambda copy=copy: _opened(copy),
                says=(place, str(copy)),
                right=lambda answer: answer == "resumes",
            )


def _opened(folder: pathlib.Path) -> str:
    """Opens a run's folder as the main job does."""
    try:
        with training.open_run(folder, {"seed": 1, "tau": 0.1}) as run:
            run.require_same("prompts", {"train": "5 sha256:0123"})
            return "resumes" if run.resumed else "begins again"
    except training.RunFinished:
        return "resumes"


def logs(random: np.random.Generator, folder: pathlib.Path) -> Iterator[Trial]:
    """The logs of a run, cut or damaged while it was stopped."""
    whole = folder / "logged"
    _trained(whole, 4)
    while True:
        with _copy(whole) as copy:
            name = str(random.choice(["metrics.jsonl", "rollouts.jsonl"]))
            what = bytes_of_files.damage(random, copy / name)
            yield Trial(
                name=f"{name}: {what}",
                call=lambda copy=copy: _trained(copy, 5),
                says=(name,),
                right=lambda logged: logged == [1, 2, 3, 4, 5],
            )


def _trained(folder: pathlib.Path, num_steps: int) -> list[int]:
    """Trains nothing for some steps, and returns the steps of the logs."""

    def step(state, batch):
        return {"step": state["step"] + 1}, {"loss": jnp.float32(0)}, batch

    def rollouts(step, batch, out):
        return [{"id": step}]

    with contextlib.redirect_stdout(io.StringIO()):
        training.run(
            step,
            {"step": jnp.int32(0)},
            lambda index: np.int32(index),
            num_steps,
            folder=folder,
            name="nothing",
            save_every=2,
            rollouts_of=rollouts,
        )
    both = [
        [line["step"] for line in training.read_log(folder / name)]
        for name in ("metrics.jsonl", "rollouts.jsonl")
    ]
    return both[0] if both[0] == both[1] else both


def tables(random: np.random.Generator, folder: pathlib.Path) -> Iterator[Trial]:
    """A table of win rates, damaged or of another kind."""
    whole = folder / "tables"
    whole.mkdir()
    matrix = evaluation.win_rate_matrix(np.full((4, 2, 2), 0.5))
    evaluation.write_win_rate_csv(whole / "win_rates.csv", ["a", "b"], matrix)
    others = ["method,tau\nipo,0.1\n", "a\n", "1,2,3\n4,5,6\n", ",a,b\na,x,y\nb,z,w\n"]
    while True:
        with _copy(whole) as copy:
            path = copy / "win_rates.csv"
            if random.random() < 0.5:
                number = int(random.integers(len(others)))
                path.write_text(others[number])
                what = f"another table ({number})"
            else:
                what = bytes_of_files.damage(random, path)
            if "flipped" in what:
                continue  # A flipped digit is a digit.
            yield Trial(
                name=f"win_rates.csv: {what}",
                call=lambda path=path: evaluation.read_win_rate_csv(path),
                says=("win_rates.csv",),
            )


def sources(random: np.random.Generator, folder: pathlib.Path) -> Iterator[Trial]:
    """Source files that no parser survives, among one that is sound."""
    good = 'def f(x):\n    """Return the argument."""\n    return x\n'
    (folder / "good.py").write_text(good)
    deep = int(random.integers(50_000, 120_000))
    choices: dict[str, Callable[[], bytes]] = {
        "an unknown codec": lambda: b"# coding: no-such-codec\nx = 1\n",
        "a codec of bytes": lambda: b"# coding: hex\n7061\n",
        "another codec of bytes": lambda: b"# coding: rot13\nk = 1\n",
        "nested operators": lambda: b"x = " + b"-" * deep + b"1\n",
        "nested brackets": lambda: b"x = " + b"(" * deep + b")" * deep,
        "many elif": lambda: b"if a:\n  b\n" + b"elif a:\n  b\n" * 20_000,
        "a sum of everything": lambda: b"x = 1" + b"+1" * deep,
        "NUL bytes": lambda: b"def f():\0\n    pass\n",
        "not UTF-8": lambda: b"x = '\xff\xfe'\n",
        "noise": lambda: random.bytes(int(random.integers(1, 300))),
        "half of it": lambda: good.encode()[: random.integers(1, len(good))],
    }
    while True:
        kind = sorted(choices)[random.integers(len(choices))]
        path = folder / "bad.py"
        path.write_bytes(choices[kind]())
        yield Trial(
            name=f"a source with {kind}",
            call=lambda path=path: _harvested(folder / "good.py", path),
            says=("bad.py",),
            right=lambda found: found,
        )


def _harvested(*paths: pathlib.Path) -> bool:
    """Whether the sound file's function is found beside the other file."""
    quiet = rich.console.Console(file=io.StringIO())
    files = [Source("rich", path) for path in paths]
    found = harvest.harvest(files, quiet)
    names = {pair.name for own in found.pairs.values() for pair in own}
    return "f" in names and found.files == 2
