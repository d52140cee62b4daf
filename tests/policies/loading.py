"""A process that loads a checkpoint and prints how much memory that took at most.

    python -m tests.policies.loading FOLDER SMALL WAY

WAY is `default`, `fsdp` or `data`, or `save`: then what is loaded is saved below SMALL,
and that is measured. SMALL is a folder that is loaded, or saved, before.

Memory is the process's own: pages of files that the system may drop do not count.
"""

import json
import pathlib
import sys
import threading

import jax

from nashalign import policies

jax.config.update("jax_num_cpu_devices", 8)


def anonymous():
    """Bytes of the process that no file backs."""
    status = pathlib.Path("/proc/self/status").read_text("ascii")
    [line] = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return 1024 * int(line.split()[1])


def shardings(way):
    """Where the parameters go: one device, shares of eight, or of two four times."""
    if way in ("default", "save"):
        return None
    mesh = jax.make_mesh((1, 8) if way == "fsdp" else (4, 2), ("data", "fsdp"))
    axis = jax.sharding.PartitionSpec(None, "fsdp")
    whole = jax.sharding.PartitionSpec()
    return lambda shapes: jax.tree.map(
        lambda leaf: jax.sharding.NamedSharding(mesh, axis if leaf.ndim > 1 else whole),
        shapes,
    )


def measured(work):
    """What a piece of work returns, and how many bytes it took at most."""
    before, peak, done = anonymous(), [0], threading.Event()

    def watch():
        while not done.wait(0.001):
            peak[0] = max(peak[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    found = work()
    done.set()
    watcher.join()
    return found, max(peak[0], anonymous()) - before


def save(loaded, folder):
    """Saves in float32."""
    policies.save_pretrained(folder, loaded.params, loaded.config)


def main(folder, small, way):
    """Measures, once all is there that loading anything brings along."""
    begun = policies.load_pretrained(small, shardings(way))
    loaded, peak = measured(lambda: policies.load_pretrained(folder, shardings(way)))
    if way == "save":
        save(begun, f"{small}/again")
        _, peak = measured(lambda: save(loaded, f"{small}/large"))
    leaves = jax.tree.leaves(loaded.params)
    placed = [
        [share.data.nbytes for share in leaf.addressable_shards] for leaf in leaves
    ]
    found = {
        "peak": peak,
        "params": sum(map(sum, placed)),
        "largest": max(leaf.nbytes for leaf in leaves),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
