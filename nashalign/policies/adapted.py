"""Checkpoints with adapters: made of a checkpoint, and saved beside it."""

import pathlib
import shutil

import jax

from nashalign import conventions, writing
from nashalign.policies import adapters, config_file, lora, pretrained
from nashalign.policies.families import Config, family_of
from nashalign.policies.policy import Params
from nashalign.policies.precision import cast


def adapt(
    start: pretrained.Pretrained,
    wanted: lora.Lora,
    key: jax.Array,
    *,
    base_dtype: str | None = None,
) -> pretrained.Pretrained:
    """Returns a checkpoint with fresh adapters, which change nothing yet.

    Its parameters are those that were there, the same arrays, with two matrices beside
    each kernel that is adapted.

    Args:
      start: a checkpoint without adapters.
      wanted: size and place of the adapters.
      key: of their first matrices.
      base_dtype: name of the type in which the base is kept; its own where it is None.

    Raises:
      ValueError: it has adapters already; a target is none of its projections, or some
        of those that are stored as one module are targets and some are not.
    """
    if start.lora is not None:
        raise ValueError(
            "the policy has adapters already: leave the rank out to train these, or "
            "merge them into their base first"
        )
    family = family_of(start.config)
    policy = family.build(start.config, wanted)
    own = jax.jit(lambda key: lora.trained(policy.init(key)))(key)
    _require_targets(start.params, own, wanted)
    params = lora.join(cast(start.params, base_dtype), own)
    return pretrained.Pretrained(
        policy=policy, params=params, config=start.config, lora=wanted
    )


def save_adapters(
    folder: pathlib.Path | str,
    params: Params,
    config: Config,
    wanted: lora.Lora,
    *,
    base: pathlib.Path | str,
) -> None:
    """Writes the adapters of a policy as a folder in PEFT's format.

    `load_pretrained` reads it with its base, as PEFT does. `adapter_config.json` is
    written last: a new folder that was not finished does not load.

    Args:
      folder: made if need be; files of the same names in it are replaced.
      params: with adapters.
      config: the shape of the base.
      wanted: size and place of the adapters.
      base: the folder of the base, or of an adapter of the same base; the tokenizer's
        files are copied from it.

    Raises:
      ValueError: they have no adapters, or PEFT's format cannot hold them.
      OSError: the folder cannot be written.
    """
    folder, base = pathlib.Path(folder), pathlib.Path(base)
    if not lora.has_adapters(params):
        raise ValueError("the parameters have no adapters; use save_pretrained")
    family = family_of(config)
    adapters.require_storable(family, config, params)
    folder.mkdir(parents=True, exist_ok=True)
    for name in pretrained.TOKENIZER_FILES:
        if (base / name).is_file():
            with writing.replacing(folder / name) as partial:
                shutil.copyfile(base / name, partial)
    model = conventions.base_folder(base) or base
    adapters.write_adapters(folder, family, config, params, wanted, model)


def is_written(folder: pathlib.Path) -> bool:
    """Returns whether a folder holds a policy, whole or as adapters."""
    names = (config_file.NAME, conventions.ADAPTER)
    return any((folder / name).exists() for name in names)


def _require_targets(params, own, wanted):
    """Requires that every target is a projection that has been given an adapter."""
    paths = jax.tree.leaves_with_path(own)
    known = {path[-2].key for path, _ in paths}
    if unknown := set(wanted.targets or known) - known:
        every = {
            path[-2].key
            for path, _ in jax.tree.leaves_with_path(params)
            if path[-1].key == "kernel" and "layers" in [entry.key for entry in path]
        }
        raise ValueError(
            f"{', '.join(sorted(unknown))} is none of the projections of the policy; "
            f"they are {', '.join(sorted(every))}"
        )
