"""Sample data: terminals, routes, buses, two weeks of trips, and passengers to travel on them."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

_DAYS = 14  # of trips, from tomorrow

#: city, name, time zone
_TERMINALS = [
    ("Lagos", "Jibowu Terminal", "Africa/Lagos"),
    ("Abuja", "Utako Motor Park", "Africa/Lagos"),
    ("Accra", "Circle Station", "Africa/Accra"),
    ("Kumasi", "Kejetia Terminal", "Africa/Accra"),
    ("Dakar", "Gare des Baux Maraîchers", "Africa/Dakar"),
    ("Saint-Louis", "Gare routière", "Africa/Dakar"),
]
#: plate, model, seats
_BUSES = [
    ("LAG-412-XA", "Yutong ZK6122", 49),
    ("ABJ-208-KT", "Marcopolo Paradiso", 45),
    ("GR-1187-24", "Scania Touring", 49),
    ("DK-5521-BA", "King Long XMQ6127", 53),
]
#: from, to, km, hours on the road, leaves at (local time), price, currency, plate
_TRIPS = [
    ("Lagos", "Abuja", 760, 12, "06:30", 15000, "NGN", "LAG-412-XA"),
    ("Abuja", "Lagos", 760, 12, "07:00", 15000, "NGN", "ABJ-208-KT"),
    ("Lagos", "Accra", 462, 10, "08:15", 28000, "NGN", "LAG-412-XA"),
    ("Accra", "Kumasi", 250, 5, "09:00", 140, "GHS", "GR-1187-24"),
    ("Dakar", "Saint-Louis", 265, 5, "10:30", 6500, "XOF", "DK-5521-BA"),
]
#: name, e-mail, phone, locale, device token (None: no app)
_PASSENGERS = [
    ("Ada Obi", "ada.obi@passengers.example", "+2348031234501", "en_NG", "sandbox-phone-ada"),
    ("Aïssatou Diop", "aissatou.diop@passengers.example", "+221771234501", "fr_SN", "sandbox-phone-aissatou"),
    ("Kwame Mensah", "kwame.mensah@passengers.example", "+233241234501", "en_GH", "sandbox-phone-kwame"),
    ("Zoë Adeyemi", "zoe.adeyemi@passengers.example", "+2348121234501", "en_NG", "sandbox-phone-zoe"),
    ("Ngozi Eze", "ngozi.eze@passengers.example", "+2348031234502", "en_NG", None),
]

_INSERT_TERMINAL = """
    INSERT INTO terminals (city, name, timezone)
    SELECT new.* FROM (VALUES (%s, %s, %s)) AS new (city, name, timezone)
    WHERE NOT EXISTS (SELECT FROM terminals old WHERE (old.city, old.name) = (new.city, new.name))"""
_INSERT_BUS = """
    INSERT INTO buses (plate, model, seat_count) VALUES (%s, %s, %s) ON CONFLICT (plate) DO NOTHING"""
_INSERT_ROUTE = """
    INSERT INTO routes (origin_id, destination_id, distance_km)
    SELECT origin.id, destination.id, %(km)s FROM terminals origin, terminals destination
    WHERE origin.city = %(origin)s AND destination.city = %(destination)s
    ON CONFLICT (origin_id, destination_id) DO NOTHING"""
_INSERT_TRIPS = """
    INSERT INTO trips
        (route_id, bus_id, departure_time, arrival_time, price, currency, total_seats, available_seats)
    SELECT routes.id, buses.id, departs, departs + make_interval(hours => %(hours)s), %(price)s, %(currency)s,
        buses.seat_count, buses.seat_count
    FROM routes
    JOIN terminals origin ON origin.id = origin_id AND origin.city = %(origin)s
    JOIN terminals destination ON destination.id = destination_id AND destination.city = %(destination)s
    JOIN buses ON plate = %(plate)s
    CROSS JOIN generate_series(1, %(days)s) AS day
    CROSS JOIN LATERAL (
        SELECT ((now() AT TIME ZONE origin.timezone)::date + day + %(leaves)s::time) AT TIME ZONE origin.timezone
    ) AS local (departs)
    WHERE NOT EXISTS (SELECT FROM trips WHERE route_id = routes.id AND departure_time = departs)"""
_INSERT_PASSENGER = """
    INSERT INTO users (name, email, phone, locale) VALUES (%s, %s, %s, %s) ON CONFLICT (email) DO NOTHING"""
_INSERT_PHONE = """
    INSERT INTO device_tokens (user_id, token, platform) SELECT id, %(token)s, 'android' FROM users
    WHERE email = %(email)s ON CONFLICT (token) DO NOTHING"""


@dataclass(frozen=True, slots=True)
class Passenger:
    """Somebody who books."""

    id: int
    name: str


def seed(database_url: str) -> list[Passenger]:
    """Add what is missing of the sample data; return its passengers. The tables must be there."""
    trips = [
        dict(
            zip(
                ("origin", "destination", "km", "hours", "leaves", "price", "currency", "plate"), trip, strict=True
            )
        )
        for trip in _TRIPS
    ]
    emails = [email for _, email, *_ in _PASSENGERS]
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.executemany(_INSERT_TERMINAL, _TERMINALS)
        cursor.executemany(_INSERT_BUS, _BUSES)
        cursor.executemany(_INSERT_ROUTE, trips)
        cursor.executemany(_INSERT_TRIPS, [{**trip, "days": _DAYS} for trip in trips])
        cursor.executemany(_INSERT_PASSENGER, [passenger[:4] for passenger in _PASSENGERS])
        cursor.executemany(
            _INSERT_PHONE, [{"email": email, "token": token} for _, email, *_, token in _PASSENGERS if token]
        )
        cursor.execute("SELECT id, name FROM users WHERE email = ANY(%s) ORDER BY id", [emails])
        return [Passenger(*row) for row in cursor]
