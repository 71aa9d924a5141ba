"""The house's own errors; what providers raise stands in providers.errors.

PafarError
├─ SettingsError        a setting is missing, malformed or left at an example value
├─ BrokerUnavailable    a wake-up could not be published; the row waits for the relay
└─ DatabaseUnavailable  the database did not answer
"""

from __future__ import annotations


class PafarError(Exception):
    """Anything of ours that a caller may want to catch at once."""


class SettingsError(PafarError):
    """A setting is missing, malformed or left at an example value; the text names each one."""


class BrokerUnavailable(PafarError):
    """The broker did not take the wake-up; nothing is lost, the relay publishes it later."""


class DatabaseUnavailable(PafarError):
    """The database did not answer."""
