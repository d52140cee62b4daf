"""One tool, pinned to a core, that does what it is asked: a line of JSON each way.

This file and its neighbours run in environments that lack nashalign, so that each one
stands alone. What a request names is looked up in the tool's `MEASURES` (a function of
what is given that prepares, and returns what is timed) or in its `ANSWERS` (a function
of what is given that returns what JSON can say).

Run: python serving.py TOOL CORE
"""

import importlib
import json
import os
import sys
import time
import traceback

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main(tool: str, core: int) -> None:
    """Serves until the input ends."""
    os.sched_setaffinity(0, {core})
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    # Libraries print what they like: answers have an output of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    ready = {}
    module = None
    for line in sys.stdin:
        try:
            # The tool is imported once the process is pinned: libraries count cores.
            module = module or importlib.import_module(tool)
            answer = _answer(module, ready, json.loads(line))
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(module, ready, request):
    """What a request is answered with."""
    if request["do"] == "prepare":
        run = module.MEASURES[request["name"]](request["given"])
        ready[request["key"]] = run
        # Twice: what comes back from a first run may be compiled for once more.
        run()
        return _timed(run)
    if request["do"] == "run":
        return _timed(ready[request["key"]])
    if request["do"] == "release":
        ready.clear()
        return {}
    if request["do"] == "peak":
        return {"value": _peak()}
    return {"value": module.ANSWERS[request["name"]](request["given"])}


def _timed(run):
    """Seconds of this process that a run takes, and what it returns beside."""
    begun = time.process_time()
    found = run()
    return {"seconds": time.process_time() - begun, **(found or {})}


def _peak():
    """Bytes that this process has held at most, its libraries and programs included.

    `getrusage` would not do: a process inherits the largest size of what started it.
    """
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    raise RuntimeError("/proc/self/status has no VmHWM")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
