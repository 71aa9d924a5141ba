"""What the tests of every task module need."""

from __future__ import annotations

from typing import Any

import pytest

from app.messages.base import InvalidPayload
from tests.rows import rows

#: Seconds for a task to be done. Generous: the machine may be busy with something else.
SOON = 30


def refusal(task: Any, arguments: dict[str, Any]) -> set[str]:
    """The fields that a refusal names; nothing is written then."""
    with pytest.raises(InvalidPayload) as caught:
        task.delay(**arguments)
    assert rows() == []
    return {problem.partition(": ")[0] for problem in str(caught.value).split("; ")}
