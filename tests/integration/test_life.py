"""A row's life at random: whatever happens in whatever order, the promises hold after each step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat
from hypothesis import settings, stateful
from hypothesis import strategies as st
from sqlalchemy import text

from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import circuit, store, submit
from app.notifications.deliver import deliver
from app.notifications.outcome import Outcome, Skipped
from app.notifications.replay import Choice, find, replay
from app.notifications.status import FINAL, TRANSITIONS, Status
from app.providers import registry
from app.providers.errors import OutcomeUnknown, ProviderError, RateLimited, Rejected, Transient
from tests import data
from tests.hanging import PATIENCE, HangingSms
from tests.rows import change

ERRORS = [Transient("busy"), RateLimited(retry_after=5.0), Rejected("spam"), OutcomeUnknown("cut off")]
ANSWERS = st.sampled_from([None, None, None, *ERRORS, Rejected("again")])


@dataclass(frozen=True, eq=False)
class Hung:
    """A worker in the middle of a send: dead for all that anybody can see, or late."""

    message_id: UUID
    gate: Event
    ended: Future[Outcome]

    def go_on(self) -> Outcome:
        self.gate.set()
        return self.ended.result(PATIENCE)


TEXT, DELAY, OTP = "booking_confirmation_sms", "trip_delay_sms", "otp_sms"
ACCEPTED = st.sampled_from([DELAY, DELAY, OTP, OTP, TEXT])
#: What may happen next, and how often beside the others.
EVENTS = Counter(accept=2, wake_up=3, hang=2, hang_beyond_the_lease=3, come_back=3, lease_ends=1)
EVENTS += Counter(expire=1, come_again=1, replay=2)
#: To which message: mostly the newest, for much must happen to one before it breaks.
BACK = st.sampled_from([1, 1, 1, 1, 2, 2, 3])


class Life(stateful.RuleBasedStateMachine):
    """Messages of every temper, workers that die or come back late, and operators.

    All events stand in one rule: hypothesis leaves whole rules out of a run, and here each needs the others.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gateway = HangingSms(hangs=False)
        registry.install("sms", self.gateway)
        self.pool = ThreadPoolExecutor(64)
        booking = f"PF{uuid_utils.compat.uuid7().hex[-10:]}"  # each life's subject is its own
        self.arguments: dict[str, dict[str, Any]] = {
            TEXT: data.sms(booking_reference=booking),
            DELAY: data.delay(booking_reference=booking),
            OTP: data.otp(),
        }
        self.kinds: dict[UUID, str] = {}
        self.revisions: dict[UUID, int] = {}
        self.attempts: Counter[UUID] = Counter()
        self.unanswered: Counter[UUID] = Counter()  # sends that the provider may have accepted
        self.hung: list[Hung] = []
        self.under_lease: list[Hung] = []

    @stateful.initialize(kind=ACCEPTED)
    def accept(self, kind: str) -> None:
        with transaction() as connection:
            message_id = submit.accept(connection, KINDS[kind], self.arguments[kind]).id
        self.kinds[message_id] = kind

    @stateful.rule(event=st.sampled_from(list(EVENTS.elements())), kind=ACCEPTED, back=BACK, answer=ANSWERS)
    def happens(self, event: str, kind: str, back: int, answer: ProviderError | None) -> None:
        message_id = list(self.kinds)[-min(back, len(self.kinds))]
        if event == "accept":
            self.accept(kind)
        elif event == "wake_up":
            self.wake_up(message_id, answer)
        elif event == "come_back":
            self.come_back(back, answer)
        else:
            getattr(self, event)(message_id)

    def wake_up(self, message_id: UUID, answer: ProviderError | None) -> None:
        """For a final message it is one that came twice."""
        self.wait_is_over(message_id)
        before, sent = self.rows(), len(self.gateway.sent)
        outcome = self.answered(message_id, answer, lambda: deliver(message_id))
        mine = before[message_id]
        alike = [row for row in before.values() if row.subject and row.subject == mine.subject]
        newer = [row for row in alike if row.revision > mine.revision]
        if len(self.gateway.sent) > sent:
            assert mine.status not in FINAL
            assert not mine.held
            assert not newer
            assert not any(row.held for row in alike)
        if isinstance(outcome, Skipped) and outcome.reason == "superseded":
            assert newer or mine.status == Status.SKIPPED

    def hang(self, message_id: UUID) -> None:
        """A worker gets as far as the provider, and no answer comes."""
        self.wait_is_over(message_id)
        before = len(self.gateway.gates)
        self.gateway.hangs = True
        ended = self.pool.submit(deliver, message_id)
        while not ended.done() and len(self.gateway.gates) == before:
            wait([ended], timeout=0.002)  # this happens a thousand times
        self.gateway.hangs = False
        if len(self.gateway.gates) > before:  # else nothing was to be sent
            assert message_id not in [worker.message_id for worker in self.under_lease]
            worker = Hung(message_id, self.gateway.gates[-1], ended)
            self.under_lease.append(worker)
            self.hung.append(worker)

    def hang_beyond_the_lease(self, message_id: UUID) -> None:
        self.hang(message_id)
        self.lease_ends(message_id)

    def come_back(self, back: int, answer: ProviderError | None) -> None:
        if self.hung:
            worker = self.hung.pop(min(back, len(self.hung)) - 1)  # mostly the oldest
            self.answered(worker.message_id, answer, worker.go_on)
            self.under_lease = [other for other in self.under_lease if other is not worker]

    def lease_ends(self, message_id: UUID) -> None:
        change(
            "UPDATE notifications SET lease_until = clock_timestamp() WHERE id = :id AND status = 'sending'",
            id=message_id,
        )
        change("UPDATE subjects SET held_until = clock_timestamp() WHERE holder_id = :id", id=message_id)
        self.under_lease = [worker for worker in self.under_lease if worker.message_id != message_id]

    def wait_is_over(self, message_id: UUID) -> None:
        change("UPDATE notifications SET not_before = clock_timestamp() WHERE id = :id", id=message_id)

    def expire(self, message_id: UUID) -> None:
        change("UPDATE notifications SET valid_until = clock_timestamp() WHERE id = :id", id=message_id)

    def come_again(self, message_id: UUID) -> None:
        """From another program, with its arguments."""
        kind = self.kinds[message_id]
        assert submit.adopt(KINDS[kind], self.arguments[kind], str(message_id)) == message_id

    def replay(self, message_id: UUID) -> None:
        with transaction() as connection:
            expected = find(connection, Choice(ids=[message_id])).replayable
            assert replay(connection, Choice(ids=[message_id])) == len(expected)

    @stateful.invariant()
    def promises_hold(self) -> None:
        rows = self.rows()
        for message_id, row in rows.items():
            status, kind = Status(row.status), KINDS[row.kind]
            assert row.lines == (0 if status in FINAL else 1)
            assert (row.lease_until is not None) == (status is Status.SENDING)
            assert row.attempt >= self.attempts[message_id]
            self.attempts[message_id] = row.attempt
            assert row.revision == self.revisions.setdefault(message_id, row.revision)
            again = row.unknown_attempts if kind.resend_unknown else 0
            assert self.accepted_at_worst(message_id) <= 1 + again
            assert all(Status(new) in TRANSITIONS[Status(old)] for old, new in row.transitions or ())
            if kind.sensitive:
                assert list(row.payload) == ([] if status in FINAL else ["sealed"])
        held = [rows[worker.message_id] for worker in self.under_lease]
        assert all(row.status == Status.SENDING for row in held)
        assert all(row.holder_id == row.id for row in held if row.subject)

    def accepted_at_worst(self, message_id: UUID) -> int:
        accepted = [sms.reference for sms in self.gateway.sent].count(str(message_id))
        hung = [worker.message_id for worker in self.hung].count(message_id)
        return accepted + hung + self.unanswered[message_id]

    def teardown(self) -> None:
        for gate in self.gateway.gates:
            gate.set()
        self.pool.shutdown()

    def rows(self) -> dict[UUID, Any]:
        query = text(
            "SELECT n.*, holder_id, lease_until > clock_timestamp() AS held,"
            " (SELECT json_agg(json_build_array(old, new)) FROM transitions t WHERE t.id = n.id) AS transitions,"
            " (SELECT count(*) FROM outbox WHERE outbox.id = n.id) AS lines"
            " FROM notifications n LEFT JOIN subjects USING (subject) WHERE id = ANY(:ids)"
        )
        with transaction() as connection:
            return {row.id: row for row in connection.execute(query, {"ids": list(self.kinds)})}

    def answered(self, message_id: UUID, answer: ProviderError | None, send: Callable[[], Outcome]) -> Outcome:
        """Have the provider answer so to what `send` sends, if anything."""
        circuit.close_all()
        self.gateway.script[:] = [answer] if answer else []
        outcome = send()
        if isinstance(answer, OutcomeUnknown) and not self.gateway.script:
            self.unanswered[message_id] += 1
        self.gateway.script.clear()
        return outcome


@pytest.fixture
def _transitions_are_noted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """By the database itself: a step may make several. Leases end only when a test says so."""
    monkeypatch.setattr(store, "LEASE", 3600.0)
    change("CREATE TABLE transitions (id uuid, old text, new text)")
    change(
        "CREATE FUNCTION note_transition() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO transitions VALUES (OLD.id, OLD.status, NEW.status); RETURN NULL; END'"
    )
    change(
        "CREATE TRIGGER note_transition AFTER UPDATE OF status ON notifications"
        " FOR EACH ROW EXECUTE FUNCTION note_transition()"
    )
    yield
    change("DROP FUNCTION note_transition CASCADE")
    change("DROP TABLE transitions")


@pytest.mark.usefixtures("house", "_transitions_are_noted")
def test_the_promises_hold_whatever_happens() -> None:
    # The same lives every time: a failure is the change's, and can be run again.
    lives = settings(max_examples=120, stateful_step_count=30, derandomize=True, deadline=None, database=None)
    stateful.run_state_machine_as_test(Life, settings=lives)
