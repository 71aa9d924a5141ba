"""What all tables share: the metadata with its naming rule, and column types."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, MetaData, Numeric, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

#: Named constraints, so that a migration can drop what another made.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Parent of every table."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: BigInteger,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[str]: JSONB,
        Decimal: Numeric(12, 2),
        UUID: Uuid,
    }


#: A key that the database numbers.
Id = Annotated[int, mapped_column(primary_key=True)]
#: When the row was written, by the database's clock.
CreatedAt = Annotated[datetime, mapped_column(server_default=func.clock_timestamp())]
#: A counter that starts at nought.
Counter = Annotated[int, mapped_column(server_default=text("0"))]
