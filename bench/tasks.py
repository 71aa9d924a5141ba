"""Tasks for `celery … worker -I bench.tasks`, of whichever application: what is left when ours are taken away."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from app.providers import registry
from app.providers.base import Sms

NOOP, BARE_TEXT = "bench.noop", "bench.bare_text"
#: As the product's task words it.
TEXT = "Pafar: booking PF7K2QXM confirmed, Lagos-Abuja, 27 Nov 09:00, seats 12, 13, NGN 30,000.00."


@shared_task(name=NOOP, ignore_result=True)
def noop() -> None:
    """Do nothing."""


@shared_task(name=BARE_TEXT, bind=True)
def bare_text(self: Any) -> str:
    """POST one text, and nothing else: no row, no rules, no record."""
    message = Sms(reference=str(self.request.id), to="+2348031234567", text=TEXT, valid_for=3600)
    return registry.sms().send(message).provider_id
