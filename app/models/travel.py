"""What is travelled: terminals, routes, buses, trips, bookings with their seats, payments, positions."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, PrimaryKeyConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, CreatedAt, Id


class BookingStatus(StrEnum):
    """The life of a booking."""

    PENDING = "pending"  #: seats held, not yet paid
    CONFIRMED = "confirmed"  #: paid
    CANCELLED = "cancelled"  #: given back by the passenger or the operator
    EXPIRED = "expired"  #: not paid in time


class PaymentStatus(StrEnum):
    """What became of money."""

    COMPLETED = "completed"  #: it paid for a booking
    NEEDS_REFUND = "needs_refund"  #: it came too late, or twice; somebody must give it back


class User(Base):
    """A passenger and how to reach them."""

    __tablename__ = "users"

    id: Mapped[Id]
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)
    phone: Mapped[str | None]
    locale: Mapped[str | None]
    offers_refused_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


class Terminal(Base):
    """Where buses leave and arrive."""

    __tablename__ = "terminals"

    id: Mapped[Id]
    name: Mapped[str]
    city: Mapped[str]
    timezone: Mapped[str]


class Route(Base):
    """From one terminal to another."""

    __tablename__ = "routes"
    __table_args__ = (UniqueConstraint("origin_id", "destination_id"),)

    id: Mapped[Id]
    origin_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"))
    destination_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"))
    distance_km: Mapped[int | None]

    origin: Mapped[Terminal] = relationship(foreign_keys=origin_id)
    destination: Mapped[Terminal] = relationship(foreign_keys=destination_id)


class Bus(Base):
    """A vehicle."""

    __tablename__ = "buses"

    id: Mapped[Id]
    plate: Mapped[str] = mapped_column(unique=True)
    model: Mapped[str]
    seat_count: Mapped[int]


class Trip(Base):
    """One bus on one route at one time. `available_seats` is kept right by whoever claims or frees a seat."""

    __tablename__ = "trips"
    __table_args__ = (
        CheckConstraint("available_seats BETWEEN 0 AND total_seats", name="available_seats"),
        Index(None, "departure_time"),
    )

    id: Mapped[Id]
    route_id: Mapped[int] = mapped_column(ForeignKey("routes.id"))
    bus_id: Mapped[int] = mapped_column(ForeignKey("buses.id"))
    departure_time: Mapped[datetime]
    arrival_time: Mapped[datetime | None]
    price: Mapped[Decimal]
    currency: Mapped[str]
    total_seats: Mapped[int]
    available_seats: Mapped[int]

    route: Mapped[Route] = relationship()
    bus: Mapped[Bus] = relationship()


class Booking(Base):
    """Seats on a trip, held until `expires_at` and then paid or let go."""

    __tablename__ = "bookings"
    __table_args__ = (
        Index("ix_bookings_pending_expiry", "expires_at", postgresql_where=text("status = 'pending'")),
        Index(None, "user_id"),
    )

    id: Mapped[Id]
    reference: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    trip_id: Mapped[int] = mapped_column(ForeignKey("trips.id"))
    status: Mapped[str]
    total_amount: Mapped[Decimal]
    currency: Mapped[str]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]

    user: Mapped[User] = relationship()
    trip: Mapped[Trip] = relationship()
    seats: Mapped[list[BookingSeat]] = relationship(order_by="BookingSeat.seat_no", viewonly=True)


class BookingSeat(Base):
    """One seat of a booking; `live` while the booking is pending or confirmed.

    The partial unique index is what stops a seat from being sold twice.
    """

    __tablename__ = "booking_seats"
    __table_args__ = (
        PrimaryKeyConstraint("booking_id", "seat_no"),
        Index("uq_live_seat", "trip_id", "seat_no", unique=True, postgresql_where=text("live")),
    )

    booking_id: Mapped[int] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    seat_no: Mapped[str]
    trip_id: Mapped[int] = mapped_column(ForeignKey("trips.id"))
    live: Mapped[bool] = mapped_column(server_default=text("true"))


class Payment(Base):
    """Money for a booking; `transaction_id` is the gateway's, or ours for one that was paid here."""

    __tablename__ = "payments"
    __table_args__ = (
        Index(None, "booking_id"),
        Index("ix_payments_needs_refund", "created_at", postgresql_where=text("status = 'needs_refund'")),
    )

    id: Mapped[Id]
    transaction_id: Mapped[str] = mapped_column(unique=True)
    booking_id: Mapped[int] = mapped_column(ForeignKey("bookings.id"))
    amount: Mapped[Decimal]
    currency: Mapped[str]
    method: Mapped[str]
    status: Mapped[str]
    created_at: Mapped[CreatedAt]

    booking: Mapped[Booking] = relationship()


class TripLocation(Base):
    """Where a bus was; partitioned by day on `recorded_at`, dropped by the day."""

    __tablename__ = "trip_locations"
    __table_args__ = (
        PrimaryKeyConstraint("recorded_at", "id"),
        Index(None, "trip_id", "recorded_at"),
        {"postgresql_partition_by": "RANGE (recorded_at)"},
    )

    id: Mapped[int] = mapped_column(server_default=text("nextval('trip_locations_id_seq')"))
    recorded_at: Mapped[datetime]
    trip_id: Mapped[int]
    latitude: Mapped[float]
    longitude: Mapped[float]
    speed_kmh: Mapped[float | None]
