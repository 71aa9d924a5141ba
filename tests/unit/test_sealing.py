"""What is sealed opens only where it was sealed, and only with a key that is still there."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.config import get_settings
from app.core.errors import SettingsError
from app.core.sealing import NONCE_BYTES, CannotOpen, UnknownKey, seal, unseal

OLD, NEW, OTHER = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))
CODE, ROW, OTHER_ROW = b'{"otp_code":"493817"}', "row-1", "row-2"

UseKeys = Callable[..., None]


@pytest.fixture
def use_keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[UseKeys]:
    """Sets PAYLOAD_KEYS, newest first; without any, unsets it."""

    def use(*keys: str) -> None:
        monkeypatch.setenv("PAYLOAD_KEYS", ",".join(keys))
        get_settings.cache_clear()

    use(OLD)
    yield use
    monkeypatch.undo()
    get_settings.cache_clear()


@given(plain=st.binary(max_size=300), where=st.text(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_what_is_sealed_opens_again(use_keys: UseKeys, plain: bytes, where: str) -> None:
    assert unseal(seal(plain, bound_to=where), bound_to=where) == plain


def test_nothing_of_it_shows_and_the_same_never_looks_the_same(use_keys: UseKeys) -> None:
    first, second = seal(CODE, bound_to=ROW), seal(CODE, bound_to=ROW)
    assert first != second
    content = base64.b64decode(first.partition(":")[2])
    assert b"493817" not in content
    assert "493817" not in first
    assert OLD not in first
    assert content[:NONCE_BYTES] != base64.b64decode(second.partition(":")[2])[:NONCE_BYTES]


def test_it_does_not_open_in_another_row(use_keys: UseKeys) -> None:
    sealed = seal(CODE, bound_to=ROW)
    with pytest.raises(CannotOpen) as refusal:
        unseal(sealed, bound_to=OTHER_ROW)
    assert "PAYLOAD_KEYS" in str(refusal.value)  # what an operator has to look at
    assert OLD not in str(refusal.value)


def test_a_new_key_seals_and_the_old_one_still_opens(use_keys: UseKeys) -> None:
    before = seal(CODE, bound_to=ROW)
    use_keys(NEW, OLD)
    after = seal(CODE, bound_to=ROW)
    assert unseal(before, bound_to=ROW) == unseal(after, bound_to=ROW) == CODE
    use_keys(NEW)
    assert unseal(after, bound_to=ROW) == CODE
    with pytest.raises(CannotOpen):
        unseal(before, bound_to=ROW)


def test_another_key_opens_nothing(use_keys: UseKeys) -> None:
    sealed = seal(CODE, bound_to=ROW)
    use_keys(OTHER)
    with pytest.raises(UnknownKey):
        unseal(sealed, bound_to=ROW)


@pytest.mark.parametrize("position", [0, NONCE_BYTES - 1, NONCE_BYTES, -1])
def test_one_changed_bit_is_noticed(use_keys: UseKeys, position: int) -> None:
    name, _, content = seal(CODE, bound_to=ROW).partition(":")
    raw = bytearray(base64.b64decode(content))
    raw[position] ^= 1
    with pytest.raises(CannotOpen):
        unseal(f"{name}:{base64.b64encode(raw).decode()}", bound_to=ROW)


@pytest.mark.parametrize("kept", [0, 1, 7, NONCE_BYTES, NONCE_BYTES + 15])
def test_what_was_cut_short_is_noticed(use_keys: UseKeys, kept: int) -> None:
    name, _, content = seal(CODE, bound_to=ROW).partition(":")
    cut = base64.b64encode(base64.b64decode(content)[:kept]).decode()
    with pytest.raises(CannotOpen):
        unseal(f"{name}:{cut}", bound_to=ROW)


@pytest.mark.parametrize("changed", ["", "no colon", "{name}:x", "{name}:é"])
def test_what_is_no_sealed_text_is_noticed(use_keys: UseKeys, changed: str) -> None:
    name = seal(CODE, bound_to=ROW).partition(":")[0]
    with pytest.raises(CannotOpen):
        unseal(changed.format(name=name), bound_to=ROW)


def test_without_keys_the_setting_is_named(use_keys: UseKeys) -> None:
    sealed = seal(CODE, bound_to=ROW)
    use_keys()
    for attempt in (lambda: seal(CODE, bound_to=ROW), lambda: unseal(sealed, bound_to=ROW)):
        with pytest.raises(SettingsError, match="PAYLOAD_KEYS is missing"):
            attempt()


@pytest.mark.parametrize("keys", [("short",), (OLD[:-4],), (OLD, ""), (OLD, "not base64!"), (f"{OLD} ",)])
def test_a_malformed_key_is_refused_without_being_shown(use_keys: UseKeys, keys: tuple[str, ...]) -> None:
    use_keys(*keys)
    with pytest.raises(SettingsError, match="PAYLOAD_KEYS must be keys of 32 bytes") as refusal:
        get_settings()
    assert keys[0][:20] not in str(refusal.value)
