"""A row's life at random: whatever happens in whatever order, the promises hold after each step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import circuit, submit
from app.notifications.deliver import deliver
from app.notifications.outcome import Outcome, Skipped
from app.notifications.replay import Choice, find, replay
from app.notifications.status import FINAL, TRANSITIONS, Status
from app.providers import registry
from app.providers.base import Receipt, Sms
from app.providers.errors import OutcomeUnknown, ProviderError, RateLimited, Rejected, Transient
from app.providers.memory import MemorySms
from tests import data
from tests.house import wait_until
from tests.rows import change

ANSWERS = st.sampled_from(
    [None, None, Transient("busy"), RateLimited(retry_after=5.0), Rejected("spam"), OutcomeUnknown("cut off")]
)


@dataclass(eq=False)
class Hung:
    """A worker in the middle of a send: dead for all that anybody can see, or late."""

    message_id: UUID
    gate: Event = field(default_factory=Event)
    ended: Future[Outcome] = field(default_factory=Future)


class HangingSms(MemorySms):
    """Takes each text at once; the answer to one for whom `hang` is set comes when its gate is opened."""

    hang: Hung | None = None

    def send(self, message: Sms) -> Receipt:
        """Keep one text. Raises what is scripted."""
        hung, self.hang = self.hang, None
        if hung:
            assert hung.gate.wait(60)
        return super().send(message)


class Life(RuleBasedStateMachine):
    """Messages of every temper, workers that die or come back late, and operators."""

    messages: Bundle[UUID] = Bundle("messages")
    hung: Bundle[Hung] = Bundle("hung")

    def __init__(self) -> None:
        super().__init__()
        self.gateway = HangingSms()
        registry.install("sms", self.gateway)
        self.pool = ThreadPoolExecutor(64)
        booking = f"PF{uuid_utils.compat.uuid7().hex[-10:]}"  # each life's subject is its own
        self.arguments: dict[str, dict[str, Any]] = {
            "booking_confirmation_sms": data.sms(booking_reference=booking),
            "trip_delay_sms": data.delay(booking_reference=booking),
            "otp_sms": data.otp(),
        }
        self.kinds: dict[UUID, str] = {}
        self.attempts: Counter[UUID] = Counter()
        self.unanswered: Counter[UUID] = Counter()  # sends that the provider may have accepted
        self.under_lease: list[Hung] = []
        self.everybody: list[Hung] = []

    @initialize(target=messages)
    def some_of_each(self) -> Any:
        return multiple(*(self.accept_one(kind) for kind in [*self.arguments, "trip_delay_sms"]))

    @rule(target=messages, kind=st.sampled_from(["trip_delay_sms", "otp_sms"]))
    def accept(self, kind: str) -> UUID:
        return self.accept_one(kind)

    @rule(message_id=messages, answer=ANSWERS, due=st.sampled_from([True, True, False]))
    def wake_up(self, message_id: UUID, answer: ProviderError | None, due: bool) -> None:
        """For a final message it is one that came twice, for one that is held or waits one too early."""
        if due:
            self.wait_ends(message_id)
        before, sent = self.rows(), len(self.gateway.sent)
        outcome = self.answered(message_id, answer, lambda: deliver(message_id))
        mine = before[message_id]
        alike = [row for row in before.values() if row.subject and row.subject == mine.subject]
        newer = [row for row in alike if row.revision > mine.revision]
        if len(self.gateway.sent) > sent:
            assert mine.status not in FINAL
            assert not mine.held
            assert not newer
            assert not any(before[worker.message_id] in alike for worker in self.under_lease)
        if isinstance(outcome, Skipped) and outcome.reason == "superseded":
            assert newer or mine.status == Status.SKIPPED

    @rule(target=hung, message_id=messages)
    def hang(self, message_id: UUID) -> Any:
        self.wait_ends(message_id)
        self.gateway.hang = worker = Hung(message_id)
        worker.ended = self.pool.submit(deliver, message_id)
        wait_until(lambda: worker.ended.done() or self.gateway.hang is None, 60)
        if self.gateway.hang:  # nothing was to be sent
            self.gateway.hang = None
            worker.ended.result()
            return multiple()
        self.under_lease.append(worker)
        self.everybody.append(worker)
        return worker

    @rule(worker=consumes(hung), answer=ANSWERS)
    def come_back(self, worker: Hung, answer: ProviderError | None) -> None:
        def open_gate() -> Outcome:
            worker.gate.set()
            return worker.ended.result(60)

        self.answered(worker.message_id, answer, open_gate)
        self.under_lease = [other for other in self.under_lease if other is not worker]

    @rule(message_id=messages)
    def lease_runs_out(self, message_id: UUID) -> None:
        change(
            "UPDATE notifications SET lease_until = clock_timestamp() WHERE id = :id AND status = 'sending'",
            id=message_id,
        )
        change("UPDATE subjects SET held_until = clock_timestamp() WHERE holder_id = :id", id=message_id)
        self.under_lease = [worker for worker in self.under_lease if worker.message_id != message_id]

    @rule(message_id=messages, what=st.sampled_from(["expires", "comes again", "is replayed"]))
    def something_else(self, message_id: UUID, what: str) -> None:
        if what == "expires":
            change("UPDATE notifications SET valid_until = clock_timestamp() WHERE id = :id", id=message_id)
        elif what == "comes again":  # from another program, with its arguments
            kind = self.kinds[message_id]
            assert submit.adopt(KINDS[kind], self.arguments[kind], str(message_id)) == message_id
        else:
            with transaction() as connection:
                expected = find(connection, Choice(ids=[message_id])).replayable
                assert replay(connection, Choice(ids=[message_id])) == len(expected)

    @invariant()
    def promises_hold(self) -> None:
        for message_id, row in self.rows().items():
            status, kind = Status(row.status), KINDS[row.kind]
            assert row.lines == (0 if status in FINAL else 1)
            assert (row.lease_until is not None) == (status is Status.SENDING)
            assert row.attempt >= self.attempts[message_id]
            self.attempts[message_id] = row.attempt
            accepted = [sms.reference for sms in self.gateway.sent].count(str(message_id))
            at_worst = accepted + self.unanswered[message_id]
            assert at_worst <= 1 + (row.unknown_attempts if kind.resend_unknown else 0)
            if kind.sensitive:
                assert list(row.payload) == ([] if status in FINAL else ["sealed"])

    @invariant()
    def one_of_a_subject_is_under_way(self) -> None:
        rows = self.rows()
        subjects = [rows[worker.message_id].subject for worker in self.under_lease]
        assert max(Counter(filter(None, subjects)).values(), default=0) <= 1

    @invariant()
    def only_allowed_transitions_happen(self) -> None:
        query = text("SELECT old, new FROM transitions WHERE id = ANY(:ids)")
        with transaction() as connection:
            for old, new in connection.execute(query, {"ids": list(self.kinds)}):
                assert Status(new) in TRANSITIONS[Status(old)]

    def accept_one(self, kind: str) -> UUID:
        with transaction() as connection:
            message_id = submit.accept(connection, KINDS[kind], self.arguments[kind]).id
        self.kinds[message_id] = kind
        return message_id

    def wait_ends(self, message_id: UUID) -> None:
        change("UPDATE notifications SET not_before = clock_timestamp() WHERE id = :id", id=message_id)

    def teardown(self) -> None:
        for worker in self.everybody:
            worker.gate.set()
        self.pool.shutdown()

    def rows(self) -> dict[UUID, Any]:
        query = text(
            "SELECT n.*, lease_until > clock_timestamp() AS held,"
            " (SELECT count(*) FROM outbox WHERE outbox.id = n.id) AS lines"
            " FROM notifications n WHERE id = ANY(:ids)"
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
def _transitions_are_noted() -> Iterator[None]:
    """By the database itself: a step may make several."""
    change("CREATE TABLE transitions (id uuid, old text, new text)")
    change(
        "CREATE FUNCTION note_transition() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO transitions VALUES (NEW.id, OLD.status, NEW.status); RETURN NULL; END'"
    )
    change(
        "CREATE TRIGGER note_transition AFTER UPDATE OF status ON notifications"
        " FOR EACH ROW EXECUTE FUNCTION note_transition()"
    )
    yield
    change("DROP TRIGGER note_transition ON notifications")
    change("DROP FUNCTION note_transition")
    change("DROP TABLE transitions")
    circuit.close_all()
    registry.close()


@pytest.mark.usefixtures("house", "_transitions_are_noted")
def test_the_promises_hold_whatever_happens() -> None:
    # The same lives every time: a failure is the change's, and can be run again.
    lives = settings(max_examples=70, stateful_step_count=25, derandomize=True, deadline=None, database=None)
    run_state_machine_as_test(Life, settings=lives)
