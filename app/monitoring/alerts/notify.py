"""Tells operators of alerts, by e-mail and by signed webhook; what could not be told is tried again.

Webhooks follow Standard Webhooks 1.0 (https://www.standardwebhooks.com): a receiver knows a repetition by its id.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from itertools import chain

import orjson
import structlog
from pydantic import BaseModel, ConfigDict, SecretStr

from app.core.config import Settings
from app.monitoring.alerts.message import compose
from app.monitoring.alerts.state import Event
from app.providers import registry
from app.providers.errors import Misconfigured, Permanent, ProviderError
from app.providers.http import HttpClient
from app.providers.http_exchange import HttpError, Request

log = structlog.get_logger(__name__)

#: Seconds in which sends of one turn may begin, and those that the webhook's receiver has for its answer.
BUDGET, WEBHOOK_TIMEOUT = 20.0, 15.0
#: Waits between tries double up to LONGEST_WAIT; after GIVE_UP nobody is helped by the news.
FIRST_WAIT, LONGEST_WAIT, GIVE_UP = timedelta(seconds=15), timedelta(minutes=10), timedelta(days=1)
WEBHOOK, EMAIL = "webhook", "email"


class Undelivered(Exception):
    """It was not taken; the text says why, without address or secret."""


class Refused(Undelivered):
    """It will never be taken."""


class Delivery(BaseModel):
    """One event on its way to one target: "webhook", or "email:2" for the third of ALERT_EMAILS.

    `id` stays the same however often it is tried.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    target: str
    event: Event
    attempts: int = 0
    due_at: datetime


def plan(events: Sequence[Event], settings: Settings) -> list[Delivery]:
    """What is to be delivered of `events`, in their order, to every target that is set."""
    targets = [f"{EMAIL}:{n}" for n in range(len(_addresses(settings)))]
    targets += [WEBHOOK] if settings.alert_webhook_url else []
    return [
        Delivery(id=f"alert_{uuid.uuid4().hex}", target=target, event=event, due_at=event.at)
        for event in events
        for target in targets
    ]


def send_due(deliveries: Sequence[Delivery], settings: Settings, now: datetime) -> list[Delivery]:
    """Try what is due and return what is left. Each target has a thread: one that hangs holds up no other."""
    by_target: dict[str, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        by_target[delivery.target].append(delivery)
    if not by_target:
        return []
    with ThreadPoolExecutor(len(by_target)) as pool:
        return list(
            chain.from_iterable(pool.map(lambda own: _send_in_turn(own, settings, now), by_target.values()))
        )


def sign(secret: SecretStr, delivery_id: str, timestamp: int, body: bytes) -> str:
    """The value of webhook-signature: "v1," and the HMAC-SHA256 of id.timestamp.body in base64."""
    key = base64.b64decode(secret.get_secret_value().removeprefix("whsec_"))
    signed = hmac.new(key, f"{delivery_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def _send_in_turn(deliveries: Sequence[Delivery], settings: Settings, now: datetime) -> Sequence[Delivery]:
    """Send one target's deliveries in order, for "resolved" must not overtake "raised". Returns those left."""
    end = time.monotonic() + BUDGET
    for n, delivery in enumerate(deliveries):
        if delivery.due_at > now or time.monotonic() > end:
            return deliveries[n:]
        try:
            _send(delivery, settings)
        except Undelivered as error:
            log.warning(
                "an alert was not delivered",
                alert=delivery.event.alert.key,
                target=delivery.target,
                attempt=delivery.attempts + 1,
                reason=str(error),
            )
            if not isinstance(error, Refused) and now - delivery.event.at < GIVE_UP:
                return [_later(delivery, now), *deliveries[n + 1 :]]
    return []


def _later(delivery: Delivery, now: datetime) -> Delivery:
    wait = min(FIRST_WAIT * 2 ** min(delivery.attempts, 10), LONGEST_WAIT)
    return delivery.model_copy(update={"attempts": delivery.attempts + 1, "due_at": now + wait})


def _send(delivery: Delivery, settings: Settings) -> None:
    """Deliver. Raises Undelivered."""
    channel, _, place = delivery.target.partition(":")
    if channel == WEBHOOK:
        _post(delivery, settings)
    elif int(place) < len(addresses := _addresses(settings)):  # else that operator was taken off the list
        _mail(delivery, addresses[int(place)])


def _mail(delivery: Delivery, address: str) -> None:
    try:
        registry.email().send(compose(delivery.event, reference=delivery.id, to=address))
    except ProviderError as error:
        never = isinstance(error, Permanent) and not isinstance(error, Misconfigured)
        raise (Refused if never else Undelivered)(f"{type(error).__name__}: {error}") from None


def _post(delivery: Delivery, settings: Settings) -> None:
    if settings.alert_webhook_url is None or settings.alert_webhook_secret is None:
        return
    event = delivery.event
    alert = event.alert.model_dump(mode="json", exclude={"told_at", "well_since"})
    body = orjson.dumps(
        {"type": event.type, "timestamp": event.at, "data": {"status": event.alert.status, **alert}}
    )
    timestamp = int(time.time())  # of this try: receivers refuse what is minutes old
    headers = {
        "Content-Type": "application/json",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(settings.alert_webhook_secret, delivery.id, timestamp, body),
    }
    ca_file = str(settings.http_ca_file) if settings.http_ca_file else None
    with closing(HttpClient(ca_file=ca_file, timeout=WEBHOOK_TIMEOUT, connections=1, multiplex=False)) as http:
        try:
            status = http.request(Request(url=settings.alert_webhook_url, headers=headers, body=body)).status
        except HttpError as error:
            raise Undelivered(f"no answer: {error}") from None
    if status == 410:  # the standard's way to say that nobody listens here any more
        raise Refused("the receiver is gone (410); mend ALERT_WEBHOOK_URL")
    if not 200 <= status < 300:
        raise Undelivered(f"the receiver answered {status}")


def _addresses(settings: Settings) -> list[str]:
    return settings.alert_emails.split(",") if settings.alert_emails else []
