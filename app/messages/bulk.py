"""What a bulk push is made of: whom it goes to, and the app's data it carries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainValidator

from app.messages.fields import cleaned
from app.messages.recipients import MAX_TOKEN_LENGTH, are_tokens

MAX_BULK_TOKENS = 1_000_000  #: about 200 MB: what one call holds in memory, and one transaction writes
BODY_LIMIT = 1000  #: phones show some 200 characters, and the rest when it is unfolded
#: Bytes of title, body and data as JSON: FCM takes 4096, of which our own data need less than 150.
MAX_CONTENT = 3900

#: FCM keeps some names for itself.
#: https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages#Message.FIELDS.data
_NAME = re.compile(r"(?!from$|message_type$|google|gcm)[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Audience:
    """`tokens` holds each token once, with how many times it was given."""

    users: int
    tokens: Mapping[str, int] = field(repr=False)

    @property
    def given(self) -> int:
        """How many tokens were given, those given twice counted twice."""
        return sum(self.tokens.values())


def _audience(value: object) -> Audience:
    by_user = list(value.values()) if isinstance(value, Mapping) else []
    if all(isinstance(tokens, list | tuple) and are_tokens(tokens) for tokens in by_user):
        audience = Audience(len(by_user), Counter(chain.from_iterable(by_user)))
        if 0 < audience.given <= MAX_BULK_TOKENS:
            return audience
    raise ValueError(
        f"must map each user to a list of tokens, 1 to {MAX_BULK_TOKENS} in all,"
        f" each 1 to {MAX_TOKEN_LENGTH} printable characters"
    )


def _body(value: object) -> str:
    if (text := cleaned(value, BODY_LIMIT)) is None:
        raise ValueError(f"must be text of 1 to {BODY_LIMIT} characters without control characters")
    return text


def _data(value: object) -> dict[str, str]:
    """FCM takes strings only; numbers and truth values become what JSON calls them."""
    pairs = value.items() if isinstance(value, Mapping) else [(None, None)]
    data = {name: _scalar(given) for name, given in pairs if isinstance(name, str) and _NAME.fullmatch(name)}
    if len(data) < len(pairs) or None in data.values():
        raise ValueError(
            "must map names (1 to 64 letters, digits, _ . -, but not from, message_type, google…, gcm…)"
            f" to texts of 1 to {BODY_LIMIT} characters, numbers or truth values"
        )
    return {name: text for name, text in data.items() if text is not None}


def _scalar(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else cleaned(value, BODY_LIMIT)


UserTokens = Annotated[Audience, PlainValidator(_audience), Field(exclude=True)]  #: never in a campaign's own row
Body = Annotated[str, BeforeValidator(_body)]
PushData = Annotated[dict[str, str], BeforeValidator(_data)]
