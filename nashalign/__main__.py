"""The commands of the wheel; `nashalign --help` lists them."""

import sys
from collections.abc import Sequence

from nashalign.cli import align, audit, compare, generate, train_judge

_COMMANDS = {
    "align": align,
    "generate": generate,
    "compare": compare,
    "train-judge": train_judge,
    "audit": audit,
}


def main(arguments: Sequence[str] | None = None) -> int | str:
    """Runs a command; returns an exit code or a sentence.

    Args:
      arguments: of the command line; those of this process by default.
    """
    first, *others = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if first in _COMMANDS:
        return _COMMANDS[first].command(others)
    known = "\n".join(
        f"  nashalign {name:<12} {(own.__doc__ or '').splitlines()[0]}"
        for name, own in _COMMANDS.items()
    )
    usage = f"usage: nashalign COMMAND --help\n\n{known}"
    if first in ("-h", "--help"):
        print(usage)
        return 0
    return f"error: there is no command {first!r}\n{usage}"


def run() -> None:
    """Runs a command and ends the process with what it has returned."""
    sys.exit(main())


if __name__ == "__main__":
    run()
