"""A process that loads a checkpoint and prints how much memory that took at most.

    python -m tests.policies.loading FOLDER SMALL WAY

WAY is `default`, `fsdp` or `data`; SMALL is a folder that is loaded before.

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
    if way == "default":
        return None
    mesh = jax.make_mesh((1, 8) if way == "fsdp" else (4, 2), ("data", "fsdp"))
    axis = jax.sharding.PartitionSpec(None, "fsdp")
    whole = jax.sharding.PartitionSpec()
    return lambda shapes: jax.tree.map(
        lambda leaf: jax.sharding.NamedSharding(mesh, axis if leaf.ndim > 1 else whole),
        shapes,
    )


def main(folder, small, way):
    """Measures, once all is there that loading anything brings along."""
    policies.load_pretrained(small, shardings(way))
    before, peak, done = anonymous(), [0], threading.Event()

    def watch():
        while not done.wait(0.001):
            peak[0] = max(peak[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    params = policies.load_pretrained(folder, shardings(way)).params
    done.set()
    watcher.join()
    leaves = jax.tree.leaves(params)
    placed = [
        [share.data.nbytes for share in leaf.addressable_shards] for leaf in leaves
    ]
    print(
        json.dumps(
            {
                "peak": max(peak[0], anonymous()) - before,
                "params": sum(map(sum, placed)),
                "largest": max(leaf.nbytes for leaf in leaves),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
