"""Types of what callers give: what the database would refuse is refused here, by its name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

#: A key of a row: PostgreSQL's bigint, from 1.
Key = Annotated[int, Field(ge=1, le=2**63 - 1)]
#: One character or more, none a control character: PostgreSQL's text takes no NUL.
PLAIN = r"^[^\x00-\x1f\x7f]+$"
#: How the passenger paid, in the gateway's word.
PaymentMethod = Annotated[str, Field(max_length=40, pattern=PLAIN)]
