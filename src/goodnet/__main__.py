"""`python -m goodnet`, and what the command `goodnet` starts."""

from __future__ import annotations

import os
import signal

_INTERRUPTED = 130


def _leave(*_: object) -> None:
    """End at once: nothing has begun while modules are still being imported."""
    os.write(2, b"goodnet: interrupted; nothing was left half written\n")
    os._exit(_INTERRUPTED)


for _each in (signal.SIGINT, signal.SIGTERM):
    if signal.getsignal(_each) != signal.SIG_IGN:
        signal.signal(_each, _leave)


def main() -> None:
    """Run the command line."""
    from goodnet.cli import main as run

    run()


if __name__ == "__main__":
    main()
