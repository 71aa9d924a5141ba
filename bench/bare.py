"""The least Celery application: `celery -A bench.bare worker`."""

from __future__ import annotations

import os

from celery import Celery

celery_app = Celery("bare", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["CELERY_RESULT_BACKEND"])
