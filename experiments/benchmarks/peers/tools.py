"""Workers: a process for each tool, in its environment, asked by lines of JSON."""

import dataclasses
import json
import os
import pathlib
import subprocess
from collections.abc import Mapping
from typing import Any

_SERVING = pathlib.Path(__file__).parent / "workers" / "serving.py"
# What one's own shell says must not change what is measured.
_UNSET = ("JAX_COMPILATION_CACHE_DIR", "XLA_FLAGS", "PYTHONPATH")
_SET = {
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclasses.dataclass(frozen=True)
class Tool:
    """Where a tool is found.

    Attributes:
      module: of `workers`, what is measured of it.
      python: the interpreter of its environment.
      path: a checkout of nashalign that it imports, if it does.
    """

    module: str
    python: pathlib.Path
    path: pathlib.Path | None = None


class Failed(Exception):
    """A worker that could not do what it was asked; says why."""


class Worker:
    """A process of a tool, pinned to a core.

    Args:
      tool: where it is found.
      core: the number of the core.
      log: a file that what the process says is added to.
    """

    def __init__(self, tool: Tool, core: int, log: pathlib.Path):
        """Starts the process; libraries are imported at its first request."""
        names = {k: v for k, v in os.environ.items() if k not in _UNSET} | _SET
        if tool.path:
            names["PYTHONPATH"] = str(tool.path)
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [str(tool.python), str(_SERVING), tool.module, str(core)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=names,
                text=True,
            )

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Returns what the process answers.

        Args:
          do: `prepare`, `run`, `release`, `peak` or `answer`.
          **request: what that needs; see `workers/serving.py`.

        Raises:
          Failed: it cannot, or has ended.
        """
        source, target = self._process.stdout, self._process.stdin
        assert source and target
        try:
            target.write(json.dumps({"do": do, **request}) + "\n")
            target.flush()
            line = source.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Failed(f"its process has ended with {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def close(self) -> None:
        """Ends the process."""
        # Leaving it closes what goes in and out, and waits.
        with self._process:
            pass


class Workers:
    """One worker of each tool, started when it is first asked for.

    Args:
      tools: name -> where it is found.
      core: that all are pinned to, in turn.
      log: where they say what they do.
    """

    def __init__(self, tools: Mapping[str, Tool], core: int, log: pathlib.Path):
        """Starts nothing yet."""
        self._tools, self._core, self._log = tools, core, log
        self._running: dict[str, Worker] = {}

    def __enter__(self):
        """Returns itself."""
        return self

    def __exit__(self, *_):
        """Ends all of them."""
        for worker in self._running.values():
            worker.close()

    def __getitem__(self, name: str) -> Worker:
        """The worker of a tool.

        Raises:
          Failed: there is no such tool on this machine.
        """
        if name not in self._running:
            self._running[name] = self.fresh(name)
        return self._running[name]

    def fresh(self, name: str) -> Worker:
        """Another worker of a tool, which the caller closes.

        Raises:
          Failed: there is no such tool on this machine.
        """
        tool = self._tools.get(name)
        if tool is None or not tool.python.exists():
            where = f" at {tool.python}" if tool else ""
            raise Failed(f"missing: no environment{where}")
        return Worker(tool, self._core, self._log)

    def release(self) -> None:
        """Lets every worker forget what it has prepared."""
        for worker in self._running.values():
            worker.ask("release")
