"""Environments of the peers, of pinned versions, each apart from nashalign's own.

One that exists is left as it is; one that cannot be made is named, and the benchmark
then reports its rows as missing. Python 3.11, from the registry that pip is set to.

Run: python -m experiments.benchmarks.peers.environments

Takes: a few minutes and 3 GB.
"""

import dataclasses
import pathlib
import shutil
import subprocess
import sys

from nashalign import command_line, terminal

# Tunix asks for much that training and sampling do not need: it is installed without
# what it requires, and with what its sampler and its DPO trainer import.
PINS = {
    "trl": (
        ("torch==2.13.0", "transformers==5.24.0", "trl==1.16.0", "tokenizers==0.23.3"),
        (),
    ),
    # The mixture of a later transformers shares one cache between two models, and a
    # later TRL has no Nash-MD trainer.
    "trl_nash": (
        (
            "torch==2.13.0",
            "transformers==5.0.0",
            "trl==1.13.0",
            "tokenizers==0.22.2",
            # TRL imports it without asking for it.
            "requests==2.34.2",
        ),
        (),
    ),
    "tunix": (
        (
            "jax==0.10.2",
            "flax==0.12.8",
            "optax==0.2.8",
            "orbax-checkpoint==0.12.8",
            "qwix==0.1.8",
            "google-metrax==0.2.4",
            "sentencepiece==0.2.3",
            "jaxtyping==0.3.11",
            "huggingface_hub==2.4.0",
            "safetensors==0.8.0",
            "perfetto==0.59.1",
            "pandas==3.1.1",
            "pillow==13.0.0",
            "tqdm==4.70.1",
        ),
        ("google-tunix==0.1.7",),
    ),
}
"""Name -> what is installed with what it requires, and what without."""

_VERSION = (3, 11)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Which environments, and where."""

    environments: pathlib.Path = pathlib.Path("runs/peers")
    """The folder that they are made in."""
    names: tuple[str, ...] = tuple(PINS)
    """Which of them."""


def python_of(folder: pathlib.Path, name: str) -> pathlib.Path:
    """The interpreter of an environment.

    Args:
      folder: where the environments are.
      name: of one.
    """
    return folder.absolute() / name / "bin" / "python"


def main(config: Config) -> int:
    """Makes what is not there; returns how many could not be made."""
    for name in config.names:
        if name not in PINS:
            raise ValueError(f"--names {name}: there are {', '.join(PINS)}.")
    failed = 0
    console = terminal.console()
    for name in config.names:
        if python_of(config.environments, name).exists():
            console.print(f"{name}: is there already")
            continue
        try:
            _make(config.environments, name)
            console.print(f"{name}: made")
        except (OSError, subprocess.CalledProcessError) as error:
            failed += 1
            shutil.rmtree(config.environments / name, ignore_errors=True)
            console.print(f"{name}: cannot be made: {error}")
    return failed


def _make(folder: pathlib.Path, name: str) -> None:
    """Makes one environment."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([_interpreter(), "-m", "venv", str(folder / name)], check=True)
    install = [str(python_of(folder, name)), "-m", "pip", "install", "--quiet"]
    whole, alone = PINS[name]
    subprocess.run([*install, *whole], check=True)
    if alone:
        subprocess.run([*install, "--no-deps", *alone], check=True)


def _interpreter() -> str:
    """A Python of the version that the pins are of."""
    if sys.version_info[:2] == _VERSION:
        return sys.executable
    name = "python{}.{}".format(*_VERSION)
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"there is no {name}")
    return found


command = command_line.command(
    main,
    Config,
    name="python -m experiments.benchmarks.peers.environments",
    about=__doc__,
)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
