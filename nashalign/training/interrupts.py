"""Ctrl-C and SIGTERM, remembered until the step under way is done."""

import signal
import sys
import threading


class Interrupts:
    """While the block runs, notes the first SIGINT or SIGTERM instead of dying of it.

    A second signal acts as it would have without this. Signals that were ignored before
    (those of a background job) stay ignored; outside the main thread, where Python
    allows no handlers, nothing is noted.

    Attributes:
      received: the signal, or None.
    """

    def __init__(self):
        """Notes nothing before the block is entered."""
        self.received: signal.Signals | None = None
        self._before = {}

    def __enter__(self) -> "Interrupts":
        """Sets the handlers."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._note)
        return self

    def __exit__(self, *exception) -> None:
        """Restores the handlers."""
        self._restore()

    def raise_received(self, message: str) -> None:
        """Raises what the noted signal calls for, if there is one.

        Args:
          message: what was saved and how to resume.

        Raises:
          KeyboardInterrupt: after SIGINT, with the message.
          SystemExit: after SIGTERM, with code 143; the message goes to stderr.
        """
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt(message)
        if self.received == signal.SIGTERM:
            print(message, file=sys.stderr, flush=True)
            raise SystemExit(128 + signal.SIGTERM)

    def _note(self, number, _frame) -> None:
        """Handles the first signal."""
        self.received = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        """Puts the earlier handlers back."""
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before = {}
