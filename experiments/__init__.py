"""Launch files: one file, or folder, is one result."""

import signal
import sys

# `python -m experiments.NAME` begins here, seconds before its main function is: Ctrl-C
# then ends it as it ends any program, not with a traceback through half an import.
if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) not in (
    signal.SIG_IGN,
    None,
):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
