"""Adapters as PEFT stores them: two matrices beside each module of the base.

A stored module may be several projections of ours, side by side. Its adapter is then
theirs together: the rows of `A` one after another, `B` in blocks. One that PEFT has
trained has one `A` for all of them, which each of ours is given.
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

from nashalign import conventions, writing
from nashalign.policies import lora as adapters
from nashalign.policies.adapters import config_file
from nashalign.policies.families import Config, Family
from nashalign.policies.lora import A, B, Lora
from nashalign.policies.policy import Params
from nashalign.policies.weights import layout

WEIGHTS = "adapter_model.safetensors"
_PREFIX, _SUFFIX = "base_model.model.", ".weight"


@dataclasses.dataclass(frozen=True)
class _Module:
    """A module of the base that has an adapter.

    Attributes:
      name: as it is stored, without what it holds.
      parts: which of our kernels it is made of.
    """

    name: str
    parts: tuple[layout.Part, ...]

    @property
    def short(self) -> str:
        """What `target_modules` calls it."""
        return self.name.rpartition(".")[2]

    def key(self, matrix: str) -> str:
        """Returns the name of one of its two stored matrices."""
        return f"{_PREFIX}{self.name}.lora_{matrix}.weight"


def require_storable(family: Family, config: Config, params: Params) -> None:
    """Requires adapters that PEFT's format can hold.

    Args:
      family: the model's.
      config: its shape.
      params: with adapters, or their shapes.

    Raises:
      ValueError: some of the projections that are stored as one module have adapters,
        and some have none.
    """
    list(_modules(family, config, params))


def our_targets(
    family: Family, config: Config, shapes: Params, lora: Lora, folder: pathlib.Path
) -> Lora:
    """Returns adapters whose targets, stored modules, have the names that are ours.

    Args:
      family: the model's.
      config: its shape.
      shapes: of the base's parameters.
      lora: as it is read from a folder.
      folder: that one, to begin a message with.

    Raises:
      ValueError: a target is none of the projections of the layers.
    """
    if lora.targets is None:
        return lora
    found = []
    for target in lora.targets:
        own = set()
        for name, parts in layout.layout(family, config, shapes).items():
            module = f".{name.removesuffix(_SUFFIX)}"
            if module.endswith(f".{target}"):
                own |= set(map(_projection, parts))
        if not own or None in own:
            raise ValueError(
                f"{folder / conventions.ADAPTER}: target_modules has {target!r:.60}, "
                "which is none of the projections in the layers of the base; merge the "
                "adapter into its base with PEFT, and load that."
            )
        found += sorted(map(str, own))
    return dataclasses.replace(lora, targets=tuple(dict.fromkeys(found)))


def _projection(part: layout.Part) -> str | None:
    """The name of a projection in a layer; None of what is none."""
    projects = part.layer is not None and part.leaf[-1] == "kernel"
    return part.leaf[-2] if projects else None


def write_adapters(
    folder: pathlib.Path,
    family: Family,
    config: Config,
    params: Params,
    lora: Lora,
    base: pathlib.Path,
) -> None:
    """Writes the adapters of a policy, both files together.

    Args:
      folder: which exists.
      family: the model's.
      config: its shape.
      params: with adapters.
      lora: their rank and scale.
      base: the folder of the base.

    Raises:
      ValueError: see `require_storable`.
      OSError: it cannot be written.
    """
    modules = list(_modules(family, config, params))
    tensors: dict[str, np.ndarray] = {}
    for module in modules:
        tensors |= _tensors(module, params)
    text = config_file.adapter_options(
        lora,
        {module.short: len(module.parts) for module in modules},
        base=base,
        task_type=_task_type(family),
        turned=all(part.place.turned for own in modules for part in own.parts),
    )
    with writing.replacing_together(folder, conventions.ADAPTER) as beside:
        with beside(WEIGHTS) as partial:
            try:
                safetensors.numpy.save_file(tensors, partial, metadata={"format": "pt"})
            except safetensors.SafetensorError as error:
                raise OSError(str(error)) from error
        with beside(conventions.ADAPTER) as partial:
            partial.write_text(text, "utf-8")


def read_adapters(
    folder: pathlib.Path, family: Family, config: Config, shapes: Params
) -> Params:
    """Reads the adapters of a policy.

    Args:
      folder: with `adapter_model.safetensors`.
      family: the model's.
      config: its shape.
      shapes: of the policy's parameters with adapters.

    Returns:
      The adapters, float32, in nested dictionaries.

    Raises:
      FileNotFoundError: the file is absent.
      ValueError: it is damaged, or a matrix is missing, unknown or of another shape.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} has no {WEIGHTS}; an adapter is stored there."
        )
    try:
        tensors = safetensors.numpy.load_file(path)
        stored = {name: np.asarray(own, np.float32) for name, own in tensors.items()}
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path} is cut short or no safetensors file ({error}); copy it again."
        ) from error
    modules = list(_modules(family, config, shapes))
    expected = {module.key(matrix) for module in modules for matrix in "AB"}
    for what, names in (
        ("lacks", sorted(expected - stored.keys())),
        ("has unknown", sorted(stored.keys() - expected)),
    ):
        if names:
            raise ValueError(
                f"{path} {what} {', '.join(names[:3])}; it does not belong to its "
                f"{conventions.ADAPTER} or to its base."
            )
    found: dict[str, Any] = {}
    for module in modules:
        _place(found, shapes, module, stored, path)
    return found


def _modules(family, config, params) -> Iterator[_Module]:
    """The stored modules that have adapters."""
    for name, parts in layout.layout(family, config, _base_shapes(params)).items():
        adapted = [A in _at(params, part.leaf[:-1]) for part in parts]
        kernels = all(part.leaf[-1] == "kernel" for part in parts)
        if not kernels or not any(adapted):
            continue
        if not all(adapted):
            own = ", ".join(part.leaf[-2] for part in parts)
            raise ValueError(
                f"{own} are stored as one {name}: they have adapters together, or none "
                "has; name all of them, or merge the adapters when they are exported."
            )
        yield _Module(name.removesuffix(_SUFFIX), tuple(parts))


def _tensors(module: _Module, params: Params) -> dict[str, np.ndarray]:
    """The two matrices of a module."""
    own = [(_leaf(params, part, A), _leaf(params, part, B)) for part in module.parts]
    first = np.concatenate([np.asarray(a).T for a, _ in own])
    rank = own[0][1].shape[0]
    last = np.zeros((module.parts[0].outputs, len(first)), first.dtype)
    for place, (part, (_, b)) in enumerate(zip(module.parts, own, strict=True)):
        block = last[:, place * rank : (place + 1) * rank]
        _of_rank(part, rank).put(block, np.asarray(b))
    return {
        module.key("A"): np.ascontiguousarray(first, np.float32),
        module.key("B"): np.ascontiguousarray(last, np.float32),
    }


def _place(found, shapes, module: _Module, stored, path) -> None:
    """Puts a module's two matrices where the policy has them."""
    a, b = (stored[module.key(matrix)] for matrix in "AB")
    rank = _at(shapes, module.parts[0].leaf[:-1])[B].shape[-2]
    inputs, outputs = module.parts[0].shape[0], module.parts[0].outputs
    number = len(module.parts)
    ranks = {rank, number * rank}
    if (
        a.shape[:1] != b.shape[1:]
        or len(a) not in ranks
        or not (a.shape == (len(a), inputs) and b.shape == (outputs, len(a)))
    ):
        raise ValueError(
            f"{path}: the adapter of {module.name} has shapes {a.shape} and {b.shape}, "
            f"not ({rank}, {inputs}) and ({outputs}, {rank})."
        )
    for place, part in enumerate(module.parts):
        own: np.ndarray = np.empty((len(a), part.shape[-1]), np.float32)
        _of_rank(part, len(a)).fill(own, b, (slice(None), slice(None)))
        first = a
        if len(a) != rank:
            block = slice(place * rank, (place + 1) * rank)
            first, kept = a[block], own[block]
            if np.count_nonzero(own) != np.count_nonzero(kept):
                raise ValueError(
                    f"{path}: rank_pattern gives {module.name} the rank {len(a)}; that "
                    f"is supported where each of its {number} parts has {rank} of it."
                )
            own = kept
        _set(found, shapes, part, A, first.T)
        _set(found, shapes, part, B, own)


def _of_rank(part, rank):
    """Where a part's outputs are in a module's second matrix, `[outputs, r]`."""
    return dataclasses.replace(
        part,
        place=dataclasses.replace(part.place, turned=True),
        shape=(rank, part.shape[-1]),
    )


def _set(found, shapes, part, name, values) -> None:
    """Puts a matrix into nested dictionaries, in its layer if it has one."""
    for key in part.leaf[:-1]:
        found, shapes = found.setdefault(key, {}), shapes[key]
    if name not in found:
        found[name] = np.empty(shapes[name].shape, np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"the adapter of {'.'.join(part.leaf[:-1])} holds NaN.")
    found[name][... if part.layer is None else part.layer] = values


def _leaf(params, part, name):
    """A matrix beside a kernel, of one layer."""
    own = _at(params, part.leaf[:-1])[name]
    return own if part.layer is None else own[part.layer]


def _at(params, path: Sequence[str]):
    """What is at a path."""
    for key in path:
        params = params[key]
    return params


def _base_shapes(params):
    """The shapes of the base."""
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), params)
    return adapters.base(shapes)


def _task_type(family):
    """PEFT's name of what a model is for."""
    causal = family.architecture.endswith("ForCausalLM")
    return "CAUSAL_LM" if causal else "SEQ_2_SEQ_LM"
