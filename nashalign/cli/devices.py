"""Options of a command that say over which devices it is shared out."""

import dataclasses
import functools

import jax

from nashalign import policies, training


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mesh:
    """Over which devices training is shared out."""

    devices: int | None = None
    """How many; all by default."""
    fsdp: int = 1
    """Over how many of them the state is shared out; the rest share the batch."""

    def make(self) -> jax.sharding.Mesh:
        """Returns the devices that are asked for.

        Raises:
          ValueError: there are fewer.
        """
        devices = jax.devices()
        number = len(devices) if self.devices is None else self.devices
        if number > len(devices):
            raise ValueError(
                f"--mesh.devices is {number}, and there are {len(devices)} devices."
            )
        return training.make_mesh(devices[:number], fsdp=self.fsdp)

    def shardings(self) -> policies.Shardings | None:
        """Returns where a policy is read to: each device's share, where it has one.

        A model that no device can hold whole is never on one.
        """
        if self.fsdp == 1:
            return None
        return functools.partial(training.fully_sharded, mesh=self.make())
