"""Faults by what others put into the queues: garbage, and messages that are none of ours."""

from __future__ import annotations

import json
import time
from typing import Any

from celery import Celery
from kombu import Connection

from app.core.celery_app import QUEUES
from app.core.transport import priority_list
from tests.faults.catalogue import fault
from tests.faults.rig import Rig
from tests.faults.workers import SOON

SMS_TASK = "app.tasks.sms_tasks.send_booking_confirmation_sms"
#: Somebody whose data another program put into its messages: no log, event or result of ours may repeat them.
STRANGER = {"user_email": "zebulon@stranger.test", "phone_number": "+2348099998877", "user_name": "Zebulon Quirk"}

_GARBAGE = (
    b"\x80\x04\x95 not JSON at all",
    b"",
    b"{",
    b'"a string"',
    b"[]",
    b"{}",
    b"null",
    b'{"body": "e30=", "headers": {}, "properties": {}}',
    b'{"body": "!", "headers": null, "properties": null}',
    b"[" * 100_000,
)


@fault(within=60.0)
def garbage_in_the_queues(rig: Rig) -> float:
    """Ten list items that are no messages, raw bytes too, among the real ones."""
    rig.worker()
    rig.supervise()
    client = rig.broker_client()
    began = time.time()
    for number, garbage in enumerate(_GARBAGE):
        client.lpush(priority_list(QUEUES[number % 3], 3), garbage)
        rig.submit_each(2)
    rig.settle()
    rig.expect(rig.restarts == 0, f"the worker died {rig.restarts} times")
    return began


@fault(within=60.0, memory=1024.0)  # ten copies of the 60 MB, as text, bytes and base64
def foreign_messages(rig: Rig) -> float:
    """Messages of other programs: unknown task, wrong arguments, pickle, 60 MB, deeply nested."""
    rig.worker()
    rig.supervise()
    rig.strangers = {f"a stranger's {what}": value.lstrip("+") for what, value in STRANGER.items()}
    began = time.time()
    with Celery(broker=rig.environment["CELERY_BROKER_URL"], set_as_current=False) as stock:
        stock.send_task("app.tasks.sms_tasks.send_nothing", kwargs=STRANGER, queue="sms")
        stock.send_task(SMS_TASK, kwargs=STRANGER, queue="sms")
        stock.send_task(SMS_TASK, args=[STRANGER["phone_number"], STRANGER["user_name"], {}], queue="sms")
        stock.send_task(SMS_TASK, args=list(STRANGER.values()) * 2, queue="sms")
        stock.send_task(SMS_TASK, kwargs=STRANGER | {"user_name": "x" * 60_000_000}, queue="sms")
        stock.send_task(SMS_TASK, kwargs=STRANGER, queue="sms", serializer="pickle")
    _publish(rig, json.dumps([[], STRANGER, {}]).encode(), headers={})
    _publish(rig, b"[" * 100_000, headers={"task": SMS_TASK, "id": "nested"})
    _publish(rig, b"\xff" + json.dumps(STRANGER).encode(), headers={"task": SMS_TASK, "id": "no-text"})
    rig.submit_each(20)
    rig.wait(lambda: rig.waiting() == 0, SOON * 2, "all is taken from the queues")
    rig.settle()
    rig.expect(rig.restarts == 0, f"the worker died {rig.restarts} times")
    return began


def _publish(rig: Rig, body: bytes, *, headers: dict[str, Any]) -> None:
    with Connection(rig.environment["CELERY_BROKER_URL"]) as connection:
        channel: Any = connection.channel()
        message = channel.prepare_message(body, content_type="application/json", headers=headers)
        channel.basic_publish(message, exchange="sms", routing_key="sms")
