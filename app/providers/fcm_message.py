"""A push in the words of FCM's HTTP v1 API: what all platforms get, and what each needs besides."""

from __future__ import annotations

import time
from typing import Any

from app.providers.base import Push

#: Seconds that FCM keeps a message at most: 28 days.
MAX_TTL = 2_419_200
#: Bytes of an apns-collapse-id.
MAX_COLLAPSE_ID = 64
#: Android's notification channels, which a passenger may silence one by one; the app names them to the phone.
TRIPS_CHANNEL, OFFERS_CHANNEL = "trips", "offers"
#: Before a Firebase installation id, which names an app on a phone as a registration token does and is to take
#: its place. No token begins so: it begins with 22 characters and a colon.
#: https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
FID = "fid:"


def target_of(token: str) -> dict[str, Any]:
    """The message's target: a registration token, or FID and an installation id."""
    return {"fid": token.removeprefix(FID)} if token.startswith(FID) else {"token": token}


def content_of(message: Push) -> dict[str, Any]:
    """The message without its target.

    No collapse_key: FCM limits collapsible messages to 20 in a burst for a device. A tag replaces only what the
    phone shows.
    """
    android: dict[str, Any] = {
        "priority": "NORMAL" if message.offer else "HIGH",
        "notification": {"channel_id": OFFERS_CHANNEL if message.offer else TRIPS_CHANNEL},
    }
    apns_headers = {"apns-priority": "5" if message.offer else "10", "apns-push-type": "alert"}
    if message.tag:
        android["notification"]["tag"] = message.tag
        cut = message.tag.encode()[:MAX_COLLAPSE_ID].decode(errors="ignore")
        apns_headers["apns-collapse-id"] = cut
    if (ttl := _ttl(message)) is not None:
        android["ttl"] = f"{ttl}s"
        apns_headers["apns-expiration"] = str(int(time.time()) + ttl)
    return {
        "notification": {"title": message.title, "body": message.body},
        "data": {**message.data, "nid": message.reference},
        "android": android,
        "webpush": _webpush(message),
        "apns": {"headers": apns_headers, "payload": {"aps": {"sound": "default"}}},
    }


def _webpush(message: Push) -> dict[str, Any]:
    """What browsers are told: the headers of RFC 8030 (5.2 and 5.3), and the options of a Notification.

    Without `renotify` a newer one with the same tag would take the older one's place in silence.
    """
    headers = {"Urgency": "low" if message.offer else "high"}
    if (ttl := _ttl(message)) is not None:
        headers["TTL"] = str(ttl)
    return {"headers": headers} | ({"notification": {"tag": message.tag, "renotify": True}} if message.tag else {})


def _ttl(message: Push) -> int | None:
    return None if message.ttl is None else max(0, min(message.ttl, MAX_TTL))
