"""What a producer pays to import the application, and how soon a worker is ready, beside a bare application's.

Neither `import celery` nor our application loads Celery before it is used, so that row is not all that is paid.
The application when it is made stands beside a bare one, which is made as it is imported; and so does what a
producer imports in truth, its tasks, with which SQLAlchemy and the rules of every message come.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from itertools import count

from bench.measure import Figures, Row, at_most, compare, in_turn, rounds_of
from sandbox.processes import Process
from tests.house import ROOT, House

ROUNDS = 11
OURS, CELERY, BARE = "import app.core.celery_app", "import celery", "import bench.bare"
MADE, TASKS = "from app.core.celery_app import celery_app; celery_app.main", "import app.tasks.sms_tasks"
WORKERS = {"our worker, ready": "app.core.celery_app", "a bare app's worker, ready": "bench.bare"}
SECONDS = "s"
_numbers = count()


def measure(house: House, smoke: bool) -> list[Row]:
    """Seconds of each import and each start."""
    rounds = rounds_of(smoke, ROUNDS)
    imports = in_turn({code: partial(_import, code) for code in (OURS, CELERY, MADE, TASKS, BARE)}, rounds)
    workers = in_turn({name: partial(_start, house, app) for name, app in WORKERS.items()}, rounds)
    worker, bare = WORKERS
    return [
        compare(imports, OURS, CELERY, SECONDS, target=at_most(2)),
        compare(imports, MADE, BARE, SECONDS, target=at_most(2)),
        compare(imports, TASKS, BARE, SECONDS),
        compare(workers, worker, bare, SECONDS, target=at_most(2)),
    ]


def _import(code: str) -> Figures:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    return {SECONDS: time.perf_counter() - started}


def _start(house: House, app: str) -> Figures:
    house.clean()
    log = house.folder / f"start-{next(_numbers)}.log"
    command = [sys.executable, "-m", "celery", "-A", app, "worker", "--loglevel=info"]
    started = time.perf_counter()
    worker = Process("start", command, run_dir=house.folder, log_path=log, cwd=ROOT, env=dict(os.environ))
    try:
        worker.wait_ready(lambda: " ready." in log.read_text(), 60)
        return {SECONDS: time.perf_counter() - started}
    finally:
        worker.stop(60)
