"""The doubles in memory keep the promises that the real providers are held to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.providers.errors import InvalidRecipient, RateLimited, Transient
from app.providers.memory import MemoryEmail, MemoryPush, MemorySms
from tests.providers.suites import EMAIL, PUSH, EmailSuite, PushSuite, SmsSuite


class TestMemoryEmail(EmailSuite):
    @pytest.fixture
    def provider(self) -> MemoryEmail:
        return MemoryEmail()

    @pytest.fixture
    def rate_limit(self, provider: MemoryEmail) -> Callable[[float], None]:
        return lambda seconds: provider.script.append(RateLimited(retry_after=seconds))

    def test_keeps_what_it_accepted_and_nothing_else(self, provider: MemoryEmail) -> None:
        provider.script.append(Transient())
        with pytest.raises(Transient):
            provider.send(EMAIL)
        provider.send(EMAIL)
        assert provider.sent == [EMAIL]


class TestMemorySms(SmsSuite):
    @pytest.fixture
    def provider(self) -> MemorySms:
        return MemorySms()

    @pytest.fixture
    def rate_limit(self, provider: MemorySms) -> Callable[[float], None]:
        return lambda seconds: provider.script.append(RateLimited(retry_after=seconds))


class TestMemoryPush(PushSuite):
    @pytest.fixture
    def provider(self) -> MemoryPush:
        return MemoryPush()

    @pytest.fixture
    def refuse_all(self, provider: MemoryPush) -> Callable[[], None]:
        return lambda: provider.script.append(Transient())

    @pytest.fixture
    def kill(self, provider: MemoryPush) -> Callable[[str], None]:
        return lambda token: provider.tokens.update({token: InvalidRecipient()})

    def test_keeps_what_it_accepted_with_its_token(
        self, provider: MemoryPush, kill: Callable[[str], None]
    ) -> None:
        kill("dead")
        provider.send(PUSH, ["one", "dead", "one"])
        assert provider.sent == [(PUSH, "one")]
