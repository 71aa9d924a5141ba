"""The application is made when it is first used, and once."""

from __future__ import annotations

import subprocess
import sys

from tests.house import ROOT

LOADED = """
import sys
from app.core.celery_app import QUEUES, celery_app
print("celery.app.base" in sys.modules)
print(celery_app.main, "celery.app.base" in sys.modules)
"""
AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from app.core.celery_app import celery_app

together = Barrier(16)

def made(_):
    together.wait()
    return celery_app.set_current.__self__

with ThreadPoolExecutor(16) as pool:
    print(len({id(each) for each in pool.map(made, range(16))}))
"""


def test_celery_is_loaded_when_the_application_is_first_used() -> None:
    assert _printed(LOADED) == ["False", "pafar True"]


def test_threads_that_use_it_first_at_the_same_time_have_the_same() -> None:
    assert _printed(AT_ONCE) == ["1"]


def _printed(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
