"""Every Redis key of monitoring, and how long (seconds) each is kept."""

from __future__ import annotations

PREFIX = "pafar:"

HOUR, DAY = 3600, 24 * 3600

#: A task's record, and that of one that failed or waits for a retry.
RECORD_LIFETIME, FAILURE_LIFETIME = DAY, 7 * DAY
#: Counts by the minute serve windows of up to an hour, counts by the hour those of up to a week.
MINUTE_LIFETIME, HOUR_LIFETIME = 3 * HOUR, 8 * DAY
#: The mark that shows whether a batch arrived: longer than an outage that a worker outlives with its batch.
BATCH_LIFETIME = DAY

#: Sorted sets of task ids: until when (seconds since 1970) each is believed to run, when it last came to wait
#: for a retry, when it failed.
RUNNING, RETRYING, FAILED = f"{PREFIX}running", f"{PREFIX}retrying", f"{PREFIX}failed"
#: Counts since the beginning, for counters that only grow.
EVER = f"{PREFIX}ever"
#: Runs that were not counted because Redis was away for too long.
DROPPED = f"{PREFIX}dropped"
#: The workers seen: when each last said it was there (seconds since 1970), until it says goodbye.
WORKERS = f"{PREFIX}workers"
#: A heartbeat outlives three that do not come; a worker that fell silent is remembered for as long as its fall
#: may be asked about.
HEARTBEAT_LIFETIME, SILENCE_LIFETIME = 30, HOUR
#: A hash: how many messages workers have taken from each queue, ever.
TAKEN = f"{PREFIX}taken"
#: A list: the queues' lengths, newest first; and how many of them are kept (an hour, one every 10 s).
SAMPLES, SAMPLES_KEPT = f"{PREFIX}samples", 360
#: A hash: when a canary was last sent to each queue, when one last came through, and how long it took.
CANARIES = f"{PREFIX}canaries"
#: When beat last looked at its schedule (seconds since 1970).
BEAT = f"{PREFIX}beat"

#: A hash: how the alerts stand; and what the process holds that judges them.
ALERTS, ALERTS_BUSY = f"{PREFIX}alerts", f"{PREFIX}alerts:busy"
#: Longer than a resolved alert is listed.
ALERTS_LIFETIME = 30 * DAY


def heartbeat(worker: str) -> str:
    """What a worker last said of itself, as JSON."""
    return f"{PREFIX}worker:{worker}"


def turn(duty: str) -> str:
    """Held by the process that does a duty of the whole house this time."""
    return f"{PREFIX}turn:{duty}"


def record(task_id: str) -> str:
    """A hash: what is known of one task."""
    return f"{PREFIX}task:{task_id}"


def minute(number: int) -> str:
    """A hash: counts of one minute (minutes since 1970)."""
    return f"{PREFIX}minute:{number}"


def hour(number: int) -> str:
    """A hash: counts of one hour (hours since 1970)."""
    return f"{PREFIX}hour:{number}"


def by_task(counts: str) -> str:
    """The hash of each task's counts, beside the small and oftener read one of all tasks together."""
    return f"{counts}:tasks"


def times(counts: str) -> str:
    """The hash of histograms beside a hash of counts, apart from it so that counts are read without them."""
    return f"{counts}:times"


def batch(process: str) -> str:
    """The number of the last batch that one process wrote."""
    return f"{PREFIX}batch:{process}"
