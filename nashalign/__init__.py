"""Online preference optimisation of language models, seen as a two-player game."""

import signal
import sys

__version__ = "0.1.0"

# `python -m nashalign.algorithms` begins here, seconds before its main function is:
# Ctrl-C ends it as it ends any program. Programs that import the library keep theirs.
if (
    sys.argv[:1] == ["-m"]
    and "nashalign.algorithms" in sys.orig_argv
    and signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None)
):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
