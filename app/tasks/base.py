"""The task class of every message: the row first, then a wake-up; the row's outcome becomes Celery's state."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Concatenate, Generic, ParamSpec, cast
from uuid import UUID

import uuid_utils.compat
from celery import Task
from celery.exceptions import Ignore, Retry
from celery.result import AsyncResult
from sqlalchemy.orm import Session

from app.core.broker import broker
from app.core.celery_app import celery_app
from app.core.errors import BrokerUnavailable, DatabaseUnavailable, PafarError
from app.messages.base import InvalidPayload, Kind
from app.messages.kinds import kind_for_task
from app.notifications import submit
from app.notifications.deliver import UnknownMessage, deliver
from app.notifications.outcome import Failed, Outcome, Postponed, Sent, Skipped, Unanswered

P = ParamSpec("P")

#: What a task returns: {"success": True, "message": …} and the kind's own keys.
Result = dict[str, Any]

#: Seconds before a task whose database is away tries again.
DATABASE_AWAY_WAIT = 5
#: Celery's options for what is called when a task ends.
_CALLED_AT_THE_END = ("link", "link_error", "chain", "chord")


class DeliveryFailed(PafarError):
    """The message will never be sent; the text says why and names no recipient."""


class OutcomeNotKnown(DeliveryFailed):
    """The message was handed over, no answer came, and its kind is never sent twice."""


class MessageTask(Task, Generic[P]):  # type: ignore[type-arg]
    """A task that sends one message.

    `.delay(…)` writes the message and publishes a wake-up that holds its id alone; `.delay_in(session, …)`
    writes it in the session's own transaction. Both raise InvalidPayload, which names every bad field.
    """

    abstract = True
    typing = False  # the parameters are checked here: a wake-up rightly has none
    max_retries = 3
    default_retry_delay = DATABASE_AWAY_WAIT
    resultrepr_maxsize = 0  # shown in events alone, and taken apart for that token by token

    @property
    def kind(self) -> Kind:
        """The rules of this task's kind of message."""
        return kind_for_task(self.name)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[Result]:
        """Accept the message and have a worker send it."""
        return self.apply_async(args, kwargs)

    def delay_in(self, session: Session, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[Result]:
        """Accept the message in the session's transaction: sent if that commits, gone if it rolls back."""
        if not isinstance(session, Session):
            raise TypeError(
                "delay_in: session must be a sqlalchemy.orm.Session (of an AsyncSession, its sync_session)"
            )
        message_id = submit.accept_in(session, self.kind, self._named(args, kwargs))
        return cast("AsyncResult[Result]", self.AsyncResult(str(message_id)))

    def delay_many_in(self, session: Session, each: Sequence[Mapping[str, Any]]) -> list[AsyncResult[Result]]:
        """As `delay_in`, many messages in few statements; `each` has the parameters by name.

        Raises InvalidPayload, which names the bad ones by their index: then nothing is written.
        """
        ids = submit.accept_many(session.connection(), self.kind, each)
        return [cast("AsyncResult[Result]", self.AsyncResult(str(message_id))) for message_id in ids]

    def apply_async(  # type: ignore[override]  # the stubs name every option; ours pass through
        self, args: Any = None, kwargs: Any = None, task_id: str | None = None, **options: Any
    ) -> AsyncResult[Result]:
        """As `delay`, with Celery's options. `countdown` and `eta` wait in the row, not in a worker.

        What is called when the task ends (`link`, `link_error`, a chain's or chord's next) travels with the first
        Celery message alone: it is not called where a later attempt ends it. Raises TypeError for it with a wait.
        """
        if options.get("retries"):  # Celery itself sends a running task again, as it is
            return self._send(args, kwargs, task_id=task_id, **options)
        arguments = self._named(args or (), kwargs or {})
        wait = _seconds_until(options.pop("countdown", None), options.pop("eta", None))
        if wait and (called := [name for name in _CALLED_AT_THE_END if options.get(name)]):
            raise TypeError(f"{', '.join(called)} can't be had with countdown or eta: it would never be called")
        task_id = task_id or str(uuid_utils.compat.uuid7())
        try:
            accepted = submit.accept_task(self.kind, arguments, task_id, wait=wait)
        except DatabaseUnavailable as error:
            if self.kind.sensitive or self.kind.chunks or wait:  # what must not, or can't, lie in the broker
                raise
            return self._send_with_arguments(arguments, task_id, error, **options)
        if options and not wait:  # `link` travels with the message: Celery composes it, and says if it can't
            return self._send((), {}, task_id=task_id, **options)
        submit.publish(accepted)
        return cast("AsyncResult[Result]", self.AsyncResult(task_id))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The plain function; in a worker, a wake-up without arguments sends the row that its id names."""
        if self.request.called_directly:
            return super().__call__(*args, **kwargs)
        if args or kwargs:  # as the function does it, which would miss its parameters one by one
            return self.send_now(**self._named(args, kwargs))
        return self._conclude(lambda: submit.find(str(self.request.id)))

    def send_now(self, **arguments: Any) -> Result:
        """Send a message whose arguments came with the call, from another program or as a plain function."""
        task_id = self.request.id or str(uuid_utils.compat.uuid7())
        return self._conclude(lambda: submit.adopt(self.kind, arguments, task_id))

    def _conclude(self, find: Callable[[], UUID | None]) -> Result:
        try:
            message_id = find()
            if message_id is None:
                raise UnknownMessage(f"no message for task {self.request.id}")
            outcome = deliver(message_id)
        except DatabaseUnavailable as error:
            raise self._database_away(error) from error
        return self._settle(outcome)

    def _settle(self, outcome: Outcome) -> Result:
        match outcome:
            case Sent(result=result) | Skipped(result=result):
                return result
            case Failed(reason=reason):
                raise DeliveryFailed(reason)
            case Unanswered(reason=reason):
                raise OutcomeNotKnown(reason)
            case Postponed(wait=wait, reason=reason):
                # RETRY without a new Celery message: the row's to-do line is published when its time comes.
                raise _retry(reason, wait)
            case _:  # Busy: the worker that holds the row writes the result
                raise Ignore

    def _database_away(self, error: DatabaseUnavailable) -> Exception:
        """What to raise when the row can't be read: the message must not be lost with this run."""
        if self.request.args or self.request.kwargs:  # this Celery message may be all there is
            return self.retry(exc=error, countdown=DATABASE_AWAY_WAIT, max_retries=sys.maxsize, throw=False)
        return _retry(str(error), DATABASE_AWAY_WAIT)

    def _send_with_arguments(
        self, arguments: Mapping[str, Any], task_id: str, error: DatabaseUnavailable, **options: Any
    ) -> AsyncResult[Result]:
        """The database is away: the worker makes the row when it first sees the task."""
        submit.check(self.kind, arguments)
        try:
            with broker.producer() as producer:
                return self._send((), dict(arguments), task_id=task_id, producer=producer, retry=False, **options)
        except BrokerUnavailable:
            raise error from None  # neither took it, and the database is what the caller can wait for

    def _send(self, args: Any, kwargs: Any, **options: Any) -> AsyncResult[Result]:
        """Publish as Celery does; what it shows of the arguments in logs and events is nothing."""
        options |= {"argsrepr": "(…)", "kwargsrepr": "{…}"}
        return super().apply_async(args, kwargs, **options)

    def _named(self, args: Any, kwargs: Any) -> dict[str, Any]:
        """The arguments by parameter name; what is missing is named with the bad ones. Raises InvalidPayload."""
        try:
            return inspect.signature(self.run).bind_partial(*args, **kwargs).arguments
        except TypeError as error:
            raise InvalidPayload(f"{self.__name__}: {error}") from None


def _retry(reason: str, seconds: float) -> Retry:
    return Retry(reason, when=seconds)  # type: ignore[arg-type]  # numbers.Real, which no checker knows


def _seconds_until(countdown: float | None, eta: datetime | None) -> float:
    if eta is not None:
        if eta.tzinfo is None:
            eta = eta.replace(tzinfo=UTC)  # the app runs in UTC, and so does Celery's own reading
        return max(0.0, (eta - datetime.now(UTC)).total_seconds())
    return max(0.0, float(countdown or 0))


def message_task(
    function: Callable[Concatenate[MessageTask[P], P], Result],
) -> MessageTask[P]:
    """Register `function` as a task that sends one kind of message; its `self` is the task."""
    task = celery_app.task(bind=True, base=MessageTask, name=f"{function.__module__}.{function.__name__}")(
        function
    )
    return cast("MessageTask[P]", task)
