#!/usr/bin/env python
"""Checks the set-up: prints what is configured, pings what must answer, exits 0 only if all of it is usable."""

from __future__ import annotations

import sys

from app.setup_check import main

if __name__ == "__main__":
    sys.exit(main())
