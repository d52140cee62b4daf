"""Weights in safetensors files: which tensors they are, read and written."""

import dataclasses
import functools
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
import safetensors.numpy

from nashalign import policies
from nashalign.policies import weights
from nashalign.policies.families.llama import FAMILY
from nashalign.policies.weights import layout as layout_module
from nashalign.policies.weights.layout import Part, layout

ROOT = pathlib.Path(__file__).parents[2]
HEADS, HEAD, WIDTH, INNER, LAYERS = 3, 4, 5, 7, 2
SHAPE = policies.LlamaConfig(
    vocab_size=11,
    hidden_size=WIDTH,
    intermediate_size=INNER,
    num_hidden_layers=LAYERS,
    num_attention_heads=HEADS,
    num_key_value_heads=1,
    head_dim=HEAD,
)
QUERIES, KEYS = HEADS * HEAD, HEAD
QKV = ("q_proj", "k_proj", "v_proj")


def kernels(**outputs):
    """Projections of a stack of layers, each with a bias."""
    return {
        name: {"kernel": (LAYERS, WIDTH, size), "bias": (LAYERS, size)}
        for name, size in outputs.items()
    }


def drawn(shapes):
    """Random numbers of these shapes."""
    draw = np.random.default_rng(0)
    return jax.tree.map(
        lambda shape: draw.standard_normal(shape, np.float32),
        shapes,
        is_leaf=lambda shape: isinstance(shape, tuple),
    )


def fused(*, turned, groups=1):
    """Places queries, keys and values, and gate and up, in one tensor each."""

    def stored(config, path, layer):
        assert config is SHAPE
        *_, module, key = path
        number = (*QKV, "gate_proj", "up_proj").index(module)
        name, part = ("qkv", number) if number < 3 else ("gate_up", number - 3)
        return policies.Place(
            tensor=f"{'.'.join(path[:-2])}.{layer}.{name}.{key}",
            turned=turned and key == "kernel",
            part=part,
            groups=groups if name == "qkv" else 1,
        )

    return stored


def side_by_side(matrices):
    """Phi-3: rows of queries, of keys, of values, as `[outputs, inputs]`."""
    return np.concatenate([matrix.T for matrix in matrices], 0)


def head_by_head(matrices):
    """GPT-NeoX: `[heads, 3, head]` rows."""
    rows = [matrix.T.reshape(HEADS, HEAD, *matrix.shape[:-1]) for matrix in matrices]
    return np.stack(rows, 1).reshape(-1, *matrices[0].shape[:-1])


def thirds(matrices):
    """GPT-2: columns of queries, of keys, of values, as `[inputs, outputs]`."""
    return np.concatenate(matrices, -1)


# Family's places, projections, and how queries, keys and values lie in one tensor.
LAYOUTS = {
    "Phi-3": (
        fused(turned=True),
        kernels(
            q_proj=QUERIES, k_proj=KEYS, v_proj=KEYS, gate_proj=INNER, up_proj=INNER
        ),
        side_by_side,
    ),
    "GPT-NeoX": (
        fused(turned=True, groups=HEADS),
        kernels(q_proj=QUERIES, k_proj=QUERIES, v_proj=QUERIES),
        head_by_head,
    ),
    "GPT-2": (
        fused(turned=False),
        kernels(q_proj=QUERIES, k_proj=QUERIES, v_proj=QUERIES),
        thirds,
    ),
}


def family(name):
    return dataclasses.replace(FAMILY, stored=LAYOUTS[name][0])


def saved(folder, own, params):
    """Writes parameters as one file and returns its tensors."""
    float32 = np.dtype(np.float32)
    [(name, tensors)] = weights.sharded(own, SHAPE, params, float32, 10**9).items()
    weights.write_weights(folder / name, tensors, params, float32)
    return safetensors.numpy.load_file(folder / name)


@pytest.mark.parametrize("above", [(), ("encoder",), ("model", "decoder")])
@pytest.mark.parametrize("name", LAYOUTS)
def test_leaves_of_one_tensor_lie_in_it_as_the_family_says(name, above, tmp_path):
    _, shapes, together = LAYOUTS[name]
    layers = drawn(shapes)
    params = {"layers": layers}
    for key in reversed(above):
        params = {key: params}
    tensors = saved(tmp_path, family(name), params)
    for layer in range(LAYERS):
        for key in ("kernel", "bias"):
            stored = tensors[f"{'.'.join((*above, 'layers'))}.{layer}.qkv.{key}"]
            parts = [layers[own][key][layer] for own in QKV]
            np.testing.assert_array_equal(stored, together(parts))
    again = weights.read_weights(tmp_path, family(name), SHAPE, params)
    jax.tree.map(np.testing.assert_array_equal, again, params)


@pytest.mark.parametrize("block", [1, 9, 2**22])
@pytest.mark.parametrize("name", LAYOUTS)
def test_any_slice_of_a_part_is_read_from_the_tensor_alone(name, block, monkeypatch):
    monkeypatch.setattr(layout_module, "_BLOCK", block)
    own, params = family(name), {"layers": drawn(LAYOUTS[name][1])}
    draw = np.random.default_rng(1)
    for parts in layout(own, SHAPE, params).values():
        whole = np.full(parts[0].stored_shape, np.nan, np.float32)
        values = [draw.standard_normal(part.shape, np.float32) for part in parts]
        for part, value in zip(parts, values, strict=True):
            part.put(whole, value)
        assert np.isfinite(whole).all()
        for part, value in zip(parts, values, strict=True):
            everything = (slice(None),) * value.ndim
            drawn_ends = (
                [sorted(draw.integers(0, n + 1, 2)) for n in value.shape]
                for _ in range(20)
            )
            slices = (tuple(slice(*pair) for pair in ends) for ends in drawn_ends)
            for index in (everything, *slices):
                found = np.empty_like(value[index])
                part.fill(found, whole, index)
                np.testing.assert_array_equal(found, value[index])


def test_a_leaf_outside_of_a_stack_is_stored_whole():
    shapes = {"embed_tokens": {"embedding": np.zeros((11, WIDTH))}}
    [[part]] = layout(FAMILY, SHAPE, shapes).values()
    assert (part.layer, part.stored_shape) == (None, (11, WIDTH))
    assert part.place == policies.Place(tensor="model.embed_tokens.weight")


@pytest.mark.parametrize("numbers", [(0, 0, 1), (0, 2, 3), (1, 2, 3)])
def test_two_leaves_in_one_place_or_none_in_between_are_refused(numbers):
    own = dataclasses.replace(
        FAMILY,
        stored=lambda config, path, layer: policies.Place(
            tensor="qkv", part=numbers[QKV.index(path[0])]
        ),
    )
    params = {name: {"bias": np.zeros(4)} for name in QKV}
    with pytest.raises(ValueError, match="qkv is stored in parts that are not "):
        layout(own, SHAPE, params)


def spoilt(folder, change):
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    change(tensors)
    safetensors.numpy.save_file(tensors, path)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda t: t.pop("layers.1.qkv.kernel"),
            r"lacks layers.1.qkv.kernel; its weights",
        ),
        (
            lambda t: t.update({"layers.1.qkv.kernel": np.zeros((19, WIDTH))}),
            r"layers.1.qkv.kernel has shape \(19, 5\), .* asks for \(20, 5\)",
        ),
        (
            lambda t: t.update({"layers.1.q_proj.kernel": np.zeros((12, WIDTH))}),
            "has unknown layers.1.q_proj.kernel",
        ),
        (
            lambda t: t["layers.1.gate_up.bias"].fill(np.inf),
            "layers.1.gate_up.bias holds NaN or infinity",
        ),
    ],
)
def test_a_spoilt_tensor_of_several_leaves_is_named_once(tmp_path, change, message):
    own, params = family("Phi-3"), {"layers": drawn(LAYOUTS["Phi-3"][1])}
    saved(tmp_path, own, params)
    spoilt(tmp_path, change)
    with pytest.raises(ValueError, match=message):
        weights.read_weights(tmp_path, own, SHAPE, params)


def test_a_file_may_call_its_tensors_otherwise_but_not_both_ways(tmp_path):
    own = dataclasses.replace(
        family("GPT-2"), renamed=lambda name: name.removeprefix("transformer.")
    )
    params = {"layers": drawn(LAYOUTS["GPT-2"][1])}
    saved(tmp_path, own, params)

    def rename(tensors):
        tensors["transformer.layers.0.qkv.bias"] = tensors.pop("layers.0.qkv.bias")

    spoilt(tmp_path, rename)
    again = weights.read_weights(tmp_path, own, SHAPE, params)
    jax.tree.map(np.testing.assert_array_equal, again, params)
    spoilt(tmp_path, lambda t: t.update({"layers.0.qkv.bias": np.zeros(3)}))
    with pytest.raises(ValueError, match="has layers.0.qkv.bias twice"):
        weights.read_weights(tmp_path, own, SHAPE, params)


# Reading into shardings.

SMALL = dataclasses.replace(SHAPE, hidden_size=8, intermediate_size=16, vocab_size=32)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder and the parameters in it."""
    folder, init = tmp_path_factory.mktemp("small"), policies.llama(SMALL).init
    params = init(jax.random.key(0))
    policies.save_pretrained(folder, params, SMALL)
    return folder, params


SPEC = jax.sharding.PartitionSpec


@pytest.mark.parametrize(
    "spec",
    [SPEC(), SPEC("data"), SPEC(None, "fsdp"), SPEC("data", None, "fsdp")],
    ids=str,
)
def test_every_device_gets_its_share_of_the_numbers(small, spec):
    folder, params = small
    mesh = jax.make_mesh((2, 4), ("data", "fsdp"))

    def shardings(shapes):
        def sharding(leaf):
            return jax.sharding.NamedSharding(mesh, SPEC(*spec[: leaf.ndim]))

        return jax.tree.map(sharding, shapes)

    loaded = policies.load_pretrained(folder, shardings).params
    wanted = jax.device_put(params, shardings(params))
    jax.tree.map(np.testing.assert_array_equal, loaded, wanted)
    for own, other in zip(
        jax.tree.leaves(loaded), jax.tree.leaves(wanted), strict=True
    ):
        assert own.sharding == other.sharding
        for share, right in zip(
            own.addressable_shards, other.addressable_shards, strict=True
        ):
            assert share.device == right.device
            np.testing.assert_array_equal(share.data, right.data)


def test_a_share_is_read_once_however_many_devices_have_it(small, monkeypatch):
    folder, params = small
    read, original = [], Part.fill

    def fill(part, found, stored, index):
        read.append(found.size)
        original(part, found, stored, index)

    monkeypatch.setattr(Part, "fill", fill)
    mesh = jax.make_mesh((4, 2), ("data", "fsdp"))
    policies.load_pretrained(folder, jax.sharding.NamedSharding(mesh, SPEC("fsdp")))
    assert sum(read) == sum(leaf.size for leaf in jax.tree.leaves(params))


def test_one_sharding_may_be_of_all_that_is_below_a_key(small):
    folder, params = small
    devices = jax.devices()
    shardings = {name: None for name in params} | {
        "layers": jax.sharding.SingleDeviceSharding(devices[3])
    }
    loaded = policies.load_pretrained(folder, shardings).params
    for name, leaves in loaded.items():
        wanted = {devices[3]} if name == "layers" else {devices[0]}
        assert all(leaf.devices() == wanted for leaf in jax.tree.leaves(leaves))
    # As what `init` makes: it goes where what it is used with is.
    assert not loaded["norm"]["scale"].committed


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_parameters_are_of_the_type_that_was_asked_for(small, dtype):
    folder, params = small
    loaded = policies.load_pretrained(folder, dtype=dtype).params
    wanted = jax.tree.map(lambda leaf: np.asarray(leaf).astype(dtype), params)
    for own, other in zip(
        jax.tree.leaves(loaded), jax.tree.leaves(wanted), strict=True
    ):
        assert own.dtype == dtype
        np.testing.assert_array_equal(own, other)


def test_a_type_that_cannot_hold_the_numbers_is_refused(small, tmp_path):
    folder = shutil.copytree(small[0], tmp_path / "model")
    with pytest.raises(TypeError, match="dtype is int32; parameters are floating"):
        policies.load_pretrained(folder, dtype=np.int32)
    spoilt(folder, lambda t: t["model.norm.weight"].fill(1e5))
    assert policies.load_pretrained(folder).params["norm"]["scale"][0] == 1e5
    with pytest.raises(ValueError, match="norm.weight .* infinity as float16"):
        policies.load_pretrained(folder, dtype=np.float16)


SLACK = 12 * 2**20


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Parameters of 126 MB, the largest leaf 34 MB, in bfloat16."""
    folder = tmp_path_factory.mktemp("large")
    config = dataclasses.replace(
        SHAPE,
        vocab_size=2**14,
        hidden_size=512,
        intermediate_size=3072,
        num_hidden_layers=4,
        num_key_value_heads=8,
        num_attention_heads=8,
        head_dim=64,
        tie_word_embeddings=True,
    )
    shapes = jax.eval_shape(policies.llama(config).init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), shapes)
    policies.save_pretrained(folder, params, config, dtype="bfloat16")
    return folder


def peaks(*arguments):
    """What fresh processes find one after another: a busy machine disturbs some."""
    command = [sys.executable, "-m", "tests.policies.loading", *arguments]
    for _ in range(3):
        yield json.loads(subprocess.check_output(command, cwd=ROOT))


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").is_file(), reason="no /proc")
@pytest.mark.parametrize("way", ["default", "data"])
def test_loading_takes_one_leaf_more_than_the_parameters(small, large, way):
    def is_small(found):
        assert found["params"] > 100e6 * (4 if way == "data" else 1)
        # Some buffers of the host become those of several devices, uncopied.
        assert found["peak"] > 0.5 * found["params"]
        return found["peak"] < found["params"] + found["largest"] + SLACK

    assert any(map(is_small, peaks(large, small[0], way)))


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").is_file(), reason="no /proc")
def test_saving_takes_no_more_than_a_tensor_and_its_copy(small, large, tmp_path):
    def is_small(found):
        # Arrays that are computed go when the threads that made them are done.
        slack = found["largest"]
        return found["peak"] < 2 * found["largest"] + slack < 0.8 * found["params"]

    before = shutil.copytree(small[0], tmp_path / "small")
    assert any(map(is_small, peaks(large, before, "save")))


# Writing in shards.


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_file_is_one_that_the_formats_own_library_reads_and_writes(
    small, tmp_path, dtype
):
    params = small[1]
    policies.save_pretrained(tmp_path, params, SMALL, dtype=dtype)
    path = tmp_path / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    kernel = params["layers"]["up_proj"]["kernel"][1]
    stored = tensors["model.layers.1.mlp.up_proj.weight"]
    np.testing.assert_array_equal(stored, np.asarray(kernel.T).astype(dtype))
    with safetensors.safe_open(path, "np") as file:
        assert file.metadata() == {"format": "pt"}
    # Numbers begin where a reader may map them as they are.
    assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0


@pytest.mark.parametrize("limit, number", [(10**9, 1), (2500, 4), (1, 21)])
def test_shards_are_as_large_as_they_may_be_and_come_back(
    small, tmp_path, limit, number
):
    params = small[1]
    policies.save_pretrained(tmp_path, params, SMALL, max_shard_size=limit)
    shards = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    names = [f"model-{n:05}-of-{number:05}.safetensors" for n in range(1, number + 1)]
    assert shards == (names if number > 1 else ["model.safetensors"])
    sizes = {
        name: {
            key: own.nbytes
            for key, own in safetensors.numpy.load_file(tmp_path / name).items()
        }
        for name in shards
    }
    assert all(sum(own.values()) <= limit or len(own) == 1 for own in sizes.values())
    if number > 1:
        index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
        places = {key: name for name, own in sizes.items() for key in own}
        assert index["weight_map"] == places
        total = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
        assert index["metadata"]["total_size"] == total
    loaded = policies.load_pretrained(tmp_path)
    assert loaded.config == SMALL
    jax.tree.map(np.testing.assert_array_equal, loaded.params, params)


def test_a_size_of_shards_that_is_none_is_refused(small, tmp_path):
    for wrong, error in ((0, ValueError), ("5GB", TypeError)):
        with pytest.raises(error, match="max_shard_size"):
            policies.save_pretrained(
                tmp_path / "out", small[1], SMALL, max_shard_size=wrong
            )
    with pytest.raises(TypeError, match="dtype is int8; parameters are floating"):
        policies.save_pretrained(tmp_path / "out", small[1], SMALL, dtype="int8")
    assert not (tmp_path / "out").exists()


class Killed(BaseException):
    """Nothing catches it, as nothing does a kill."""


SHARDS, ONE = 3000, 10**9


@pytest.mark.parametrize(
    "old, new",
    [
        (SHARDS, SHARDS),
        *(
            pytest.param(*sizes, marks=pytest.mark.full)
            for sizes in [(2000, SHARDS), (SHARDS, ONE), (ONE, SHARDS), (ONE, ONE)]
        ),
    ],
)
def test_a_kill_at_any_moment_leaves_the_old_the_new_or_what_does_not_load(
    tmp_path, monkeypatch, old, new
):
    config = dataclasses.replace(SMALL, num_hidden_layers=1, vocab_size=8)
    other = dataclasses.replace(config, rope_theta=99.0)
    shapes = jax.eval_shape(policies.llama(config).init, jax.random.key(0))
    models = {
        own: jax.tree.map(functools.partial(filled, own.rope_theta), shapes)
        for own in (config, other)
    }
    start, left = tmp_path / "start", []
    policies.save_pretrained(start, models[config], config, max_shard_size=old)
    for moment in range(100):
        folder = shutil.copytree(start, tmp_path / str(moment))
        calls = iter(range(moment))
        with monkeypatch.context() as patch:
            for owner, name in ((os, "replace"), (os, "fsync"), (os, "unlink")):
                patch.setattr(owner, name, dying(getattr(owner, name), calls))
            try:
                policies.save_pretrained(
                    folder, models[other], other, max_shard_size=new
                )
            except Killed:
                left.append(what_is_left(folder, models))
            else:
                break
    assert what_is_left(folder, models) == other
    # First it is the old one, then none, then the new one.
    moments = [config, None, other]
    assert [own for own, _ in itertools.groupby(left)] == moments
    stored = {path.name for path in folder.glob("model*")}
    policies.save_pretrained(
        tmp_path / "fresh", models[other], other, max_shard_size=new
    )
    assert stored == {path.name for path in (tmp_path / "fresh").glob("model*")}


def filled(number, leaf):
    """An array of a shape that is this number everywhere."""
    return np.full(leaf.shape, number, leaf.dtype)


def dying(function, calls):
    """The function, until there are no calls left."""

    def called(*args, **kwargs):
        if next(calls, None) is None:
            raise Killed
        return function(*args, **kwargs)

    return called


def what_is_left(folder, models):
    """The config of the model that a folder holds; None where it does not load."""
    try:
        loaded = policies.load_pretrained(folder)
    except FileNotFoundError:
        return None
    jax.tree.map(np.testing.assert_array_equal, loaded.params, models[loaded.config])
    return loaded.config


def test_what_a_killed_save_left_behind_is_removed_by_the_next(small, tmp_path):
    left = tmp_path / ".partial-1-model-00001-of-00002.safetensors"
    left.write_bytes(bytes(9))
    policies.save_pretrained(tmp_path, small[1], SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
