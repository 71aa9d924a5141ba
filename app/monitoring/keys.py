"""Every Redis key of monitoring, and how long (seconds) each is kept."""

from __future__ import annotations

from functools import partial

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
#: A heartbeat outlives two that do not come, on a machine that is busy; a worker that fell silent is remembered
#: for as long as its fall may be asked about.
HEARTBEAT_LIFETIME, SILENCE_LIFETIME = 15, HOUR
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


def _key(what: str, which: str | int) -> str:
    return f"{PREFIX}{what}:{which}"


def _beside(what: str, counts: str) -> str:
    return f"{counts}:{what}"


#: Of a worker: what it last said of itself, as JSON.
heartbeat = partial(_key, "worker")
#: Of a duty of the whole house: held by the process that does it this time.
turn = partial(_key, "turn")
#: Of a task's id, a hash: what is known of it.
record = partial(_key, "task")
#: Of a minute and of an hour (whole ones since 1970), a hash: its counts.
minute, hour = partial(_key, "minute"), partial(_key, "hour")
#: Of a process: the number of the last batch that it wrote.
batch = partial(_key, "batch")
#: Of a hash of counts: that of each task's, beside the small and oftener read one of all tasks together.
by_task = partial(_beside, "tasks")
#: Of a hash of counts: that of histograms, apart from it so that counts are read without them.
times = partial(_beside, "times")
