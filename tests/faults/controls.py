"""The suite must be able to fail: with one of the product's safeguards off, it must see the harm."""

from __future__ import annotations

from tests.faults.runner import Job

#: Each runs a fault with workers of an app in `broken`, and passes only if that rule is found broken.
CONTROLS = [
    Job(name="with-the-sweep-off", fault="broker-emptied", app="tests.faults.broken.sweep", breach="I1"),
    Job(name="with-the-lease-off", fault="worker-stopped-at-work", app="tests.faults.broken.lease", breach="I2"),
    Job(name="with-masking-off", fault="foreign-messages", app="tests.faults.broken.masking", breach="I5"),
]
