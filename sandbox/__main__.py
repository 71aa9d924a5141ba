"""`python -m sandbox`: the platform with everything it needs, on this machine alone, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path


def main() -> int:
    """Run the sandbox; return the exit status."""
    began = time.monotonic()
    arguments = _parse()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        from sandbox.run import run  # noqa: PLC0415 - what it imports belongs to the time that the start takes

        return run(arguments.folder, once=arguments.once, port=arguments.port, began=began)
    except KeyboardInterrupt:
        return 0  # nothing had been started yet


def _interrupt(*_: object) -> None:
    # Asked to stop, we stop in order: a second Ctrl-C must not leave half of it running.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    folder = Path(__file__).resolve().parents[1] / ".sandbox"
    parser.add_argument("--once", action="store_true", help="make one booking, print what was received, and end")
    parser.add_argument("--port", type=port, help="port of the inbox page (default: the first free one from 8025)")
    parser.add_argument(
        "--folder", type=Path, default=folder, help="where data and logs lie (default: %(default)s)"
    )
    return parser.parse_args()


def port(text: str) -> int:
    """A TCP port. Raises ValueError or ArgumentTypeError, which argparse tells with this name."""
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is no port; allowed are 1 to 65535")
    return number


if __name__ == "__main__":
    sys.exit(main())
