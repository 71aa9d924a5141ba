"""What every provider of a kind must do, the doubles in memory too: each one subclasses its kind's suite."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

import pytest

from app.providers.base import Email, Push, PushProvider, Receipt, Sms
from app.providers.errors import InvalidRecipient, ProviderError, RateLimited, Transient

EMAIL = Email(reference="0192e4c0-0001", to="ada@mail.example", subject="Your seat", text="4A", html="<p>4A</p>")
SMS = Sms(reference="0192e4c0-0002", to="+2348031234567", text="Seat 4A", valid_for=600)
PUSH = Push(reference="0192e4c0-0003", title="Your seat", body="4A", data={"booking": "B1"}, tag="B1", ttl=600)


_Kind = TypeVar("_Kind")
_Taken_contra = TypeVar("_Taken_contra", contravariant=True)


class Sender(Protocol[_Taken_contra]):
    """An EmailProvider or SmsProvider."""

    def send(self, message: _Taken_contra) -> Receipt: ...

    def close(self) -> None: ...


class OneRecipientSuite(Generic[_Kind]):
    """`provider` takes `message`; `rate_limit(seconds)` has its next call told to wait."""

    message: _Kind

    def test_accepts_and_names_what_it_took(self, provider: Sender[_Kind]) -> None:
        ids = {provider.send(self.message).provider_id for _ in range(3)}
        assert len(ids) == 3
        assert all(ids)

    def test_raises_a_wait_once(self, provider: Sender[_Kind], rate_limit: Callable[[float], None]) -> None:
        rate_limit(30)
        with pytest.raises(Transient):
            provider.send(self.message)
        assert provider.send(self.message).provider_id

    def test_serves_many_threads(self, provider: Sender[_Kind]) -> None:
        with ThreadPoolExecutor(8) as pool:
            receipts = list(pool.map(lambda _: provider.send(self.message), range(80)))
        assert len({receipt.provider_id for receipt in receipts}) == 80

    def test_can_be_used_after_close(self, provider: Sender[_Kind]) -> None:
        provider.send(self.message)
        provider.close()
        assert provider.send(self.message).provider_id


class EmailSuite(OneRecipientSuite[Email]):
    """SMTP has no way to say how long to wait: for it, `rate_limit` ignores the seconds."""

    message = EMAIL


class SmsSuite(OneRecipientSuite[Sms]):
    message = SMS

    def test_says_how_long_to_wait(self, provider: Sender[Sms], rate_limit: Callable[[float], None]) -> None:
        rate_limit(30)
        with pytest.raises(RateLimited) as caught:
            provider.send(self.message)
        assert caught.value.retry_after == 30


class PushSuite:
    """`refuse_all()` has the next call fail as a whole; `kill(token)` makes a token dead."""

    def test_gives_one_result_a_token_in_order(self, provider: PushProvider, kill: Callable[[str], None]) -> None:
        kill("dead")
        first, dead, last = provider.send(PUSH, ["one", "dead", "two"])
        assert isinstance(first, Receipt)
        assert isinstance(dead, InvalidRecipient)
        assert isinstance(last, Receipt)
        assert first.provider_id != last.provider_id

    def test_sends_once_to_a_token_named_twice(self, provider: PushProvider) -> None:
        first, again = provider.send(PUSH, ["one", "one"])
        assert first == again

    def test_nobody_is_nothing(self, provider: PushProvider) -> None:
        assert provider.send(PUSH, []) == []

    def test_raises_when_no_token_could_be_tried(
        self, provider: PushProvider, refuse_all: Callable[[], None]
    ) -> None:
        refuse_all()
        with pytest.raises(ProviderError):
            provider.send(PUSH, ["one"])
        assert isinstance(provider.send(PUSH, ["one"])[0], Receipt)

    def test_serves_many_threads(self, provider: PushProvider) -> None:
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda n: provider.send(PUSH, [f"{n}/a", f"{n}/b"]), range(80)))
        assert len({one.provider_id for pair in results for one in pair if isinstance(one, Receipt)}) == 160

    def test_can_be_used_after_close(self, provider: PushProvider) -> None:
        provider.send(PUSH, ["one"])
        provider.close()
        assert isinstance(provider.send(PUSH, ["one"])[0], Receipt)
