"""Runs one fault, judges it, and writes its report: `python -m tests.faults.one FOLDER FAULT APP SEED SIZE`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import orjson

from sandbox.processes import ProcessFailed
from tests import data
from tests.faults import canaries, invariants, ledger, readiness
from tests.faults.catalogue import Fault, Skipped, faults
from tests.faults.invariants import Breach
from tests.faults.ledger import Story
from tests.faults.rig import NotInTime, Rig
from tests.faults.sends import CODE

REPORT = "report.json"
#: SIZE of a fault: as a part of the suite, or as in real life.
SUITE, FULL = "suite", "full"
#: Seconds above a fault's limit at which a noisy machine is no excuse any more.
SLACK = 15.0
_MOST_STORIES = 20  # of offending messages in a report


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of one fault. `recovery` and `within` in seconds; `stories` are the offending messages'."""

    name: str
    what: str
    skipped: str | None = None
    intended: int = 0
    accepted: int = 0
    duplicates: int = 0
    recovery: float | None = None
    within: float | None = None
    memory: float = 0.0
    restarts: int = 0
    notes: Sequence[str] = ()
    breaches: Sequence[Breach] = ()
    stories: Sequence[dict[str, Any]] = ()


def run(fault: Fault, folder: Path, *, app: str, random: Random, full: bool) -> Report:
    """Do the harm on a rig in `folder`, whose workers run `app`, and judge."""
    since: float | None = None
    failures: list[str] = []
    with Rig(folder, app=app, random=random, full=full) as rig:
        try:
            since = fault.harm(rig)
        except Skipped as skipped:
            return Report(name=fault.name, what=fault.what, skipped=str(skipped))
        except (NotInTime, ProcessFailed) as failed:
            failures.append(str(failed))
        rig.settle()
        return _judge(fault, rig, since, failures)


def _judge(fault: Fault, rig: Rig, since: float | None, failures: list[str]) -> Report:
    stories = _stories(rig)
    recovery = None if since is None else _recovery(stories, since)
    breaches = _breaches(fault, rig, stories, failures)
    if fault.within is not None and recovery is not None and recovery > fault.within + SLACK:
        breaches.append(Breach("recovery", f"{recovery:.1f} s, allowed {fault.within:g} s"))
    offending = {breach.id for breach in breaches}
    return Report(
        name=fault.name,
        what=fault.what,
        intended=len(stories),
        accepted=sum(bool(story.accepted) for story in stories),
        duplicates=sum(max(0, story.copies - 1) for story in stories),
        recovery=recovery,
        within=fault.within,
        memory=rig.memory,
        restarts=rig.restarts,
        notes=rig.notes,
        breaches=breaches,
        stories=[story.as_json() for story in stories if story.id in offending][:_MOST_STORIES],
    )


def _breaches(fault: Fault, rig: Rig, stories: Sequence[Story], failures: list[str]) -> list[Breach]:
    """What was promised and not kept."""
    return [
        *(Breach("plan", text) for text in [*failures, *rig.failures]),
        *invariants.nothing_lost(stories, rig.to_do()),
        *invariants.states_agree(stories),
        *invariants.nothing_twice(stories, copies=fault.copies if fault.repeats else 1),
        *invariants.nothing_late(stories),
        *invariants.seats_right(rig.database_url),
        *_leaks(rig),
        *_untruths(rig),
        *invariants.bounded(stories, fault, memory=rig.memory, waiting=rig.waiting()),
    ]


def _stories(rig: Rig) -> list[Story]:
    return ledger.join(rig.intended, ledger.rows(rig.database_url), rig.entries.entries(), rig.results_client())


def _recovery(stories: Sequence[Story], since: float) -> float:
    """Seconds from `since` until the last message was final."""
    ends = [story.row["finished_at"] for story in stories if story.row and story.row["finished_at"]]
    return max(0.0, max((end.timestamp() for end in ends), default=since) - since)


def _untruths(rig: Rig) -> list[Breach]:
    """What the API said of itself; the figures go to the notes."""
    if rig.readiness is None:
        return []
    rig.readiness.stop()
    found = []
    for of, samples in rig.readiness.samples.items():
        outages = rig.readiness.outages[of]
        rig.notes += readiness.shown(samples, outages, of)
        found += readiness.truthful(samples, outages, of)
    return found


def _leaks(rig: Rig) -> list[Breach]:
    """Personal data and keys may lie in the database, and nowhere else."""
    told = rig.environment
    secrets = {
        "the e-mail address": data.email()["user_email"],
        "the phone number": data.sms()["phone_number"].lstrip("+"),
        "the passenger's name": data.sms()["user_name"],
        "the device token": data.push()["device_tokens"][0],
        "the one-time code": CODE,
        "the API's key": readiness.API_KEY,
        "the sealing key": told["PAYLOAD_KEYS"],
        "the mail password": told["SMTP_PASSWORD"],
        "the gateway's key": told["SMS_API_KEY"],
        "FCM's key": _key_of(Path(told["FIREBASE_CREDENTIALS_PATH"])),
    }
    seen = {
        **dict(canaries.files(rig.folder / "logs", "*.log")),
        "the result backend": canaries.results(rig.results_client()),
        "what the broker broadcast": bytes(rig.ears.heard),
    }
    if rig.readiness is not None:
        seen |= canaries.pages(rig.readiness.url, readiness.API_KEY)
    kept = dict(canaries.files(rig.valkey.data_dir, "*.aof"))
    return canaries.leaks(secrets, {**seen, **kept}) + canaries.leaks(rig.strangers, seen)


def _key_of(account: Path) -> str:
    """One line from the middle of the private key."""
    key: str = orjson.loads(account.read_bytes())["private_key"]
    return key.splitlines()[5]


def main() -> None:
    """Run the fault that the command line names; a SIGTERM ends everything in order."""
    folder, name, app, seed, size = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    random = Random(f"{seed}/{name}")
    report = run(faults()[name], Path(folder), app=app, random=random, full=size == FULL)
    (Path(folder) / REPORT).write_bytes(orjson.dumps(asdict(report), default=str, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
