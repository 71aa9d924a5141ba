"""What a text message costs, and how it is kept cheap: alphabets, segments, and characters with a plain twin."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import Enum

#: The extension table of GSM 03.38 (3GPP TS 23.038, 6.2.1.1): each takes an escape before it.
EXTENSION = frozenset("\f^{}\\[~]|€")
#: With the basic alphabet (6.2.1); a text with any other character goes out in UCS-2.
GSM7 = EXTENSION | frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)


class Encoding(Enum):
    """How a text travels, and the units that fit alone and in each of several (3GPP TS 23.040, 9.2.3.24.1)."""

    GSM7 = ("GSM-7", 160, 153)  #: septets
    UCS2 = ("UCS-2", 70, 67)  #: UTF-16 units

    def __init__(self, title: str, alone: int, joined: int) -> None:
        self.title = title
        self.alone = alone
        self.joined = joined


@dataclass(frozen=True, slots=True)
class Size:
    """What operators bill: `segments`, of `units` septets or UTF-16 units in all."""

    encoding: Encoding
    units: int
    segments: int


def size(text: str) -> Size:
    """How `text` travels; neither an escaped character nor a surrogate pair is split over two segments."""
    used = set(text)
    if used <= GSM7:
        encoding, wide = Encoding.GSM7, used & EXTENSION
    else:
        encoding, wide = Encoding.UCS2, {character for character in used if character > "\uffff"}
    units = len(text) + sum(map(text.count, wide))
    if units <= encoding.alone:
        return Size(encoding, units, 1)
    segments, room = 1, encoding.joined
    for character in text:
        width = 2 if character in wide else 1
        if width > room:
            segments, room = segments + 1, encoding.joined
        room -= width
    return Size(encoding, units, segments)


def outside_gsm7(text: str) -> set[str]:
    """The characters of `text` that GSM-7 lacks, each of which makes the whole text cost twice as much or more."""
    return set(text) - GSM7


def friendly(text: str) -> str:
    """`text` in GSM-7 where that takes only plain punctuation and the loss of accents GSM-7 lacks.

    All or nothing: a text in another script stays as it is, since dropping marks would spoil it.
    """
    if not outside_gsm7(text):  # as most are
        return text
    composed = unicodedata.normalize("NFC", text)
    plain = "".join(c if c in GSM7 else _plain(c) for c in composed)
    return composed if outside_gsm7(plain) else plain


def _plain(character: str) -> str:
    parts = unicodedata.normalize("NFKD", _TWINS.get(character, character))
    return "".join(_TWINS.get(part, part) for part in parts if not unicodedata.combining(part))


#: Plain twins of what Unicode does not take apart: punctuation, signs, and letters of African and European names.
_TWINS = {
    **dict.fromkeys("\u2018\u2019\u201b\u2032\u2039\u203a\u00b4\u02b9\u02bb\u02bc\u02bd`", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2022\u00b7\u2043", "-"),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", ""),  # no width, or a hyphen only where a line ends
    "\u201a": ",",
    "\u2044": "/",
    "\u2026": "...",
    "\u2190": "<-",
    "\u2192": "->",
    "\u2194": "<->",
    "\u00d7": "x",
    "\u20a6": "NGN",
    "\u20b5": "GHS",
    **dict(zip("ĐđĦħŁłıŦŧƁɓƊɗƉɖƑƒƓɠƘƙŊŋƆɔƎǝƏəƐɛƔɣƲʋƳƴ", "DdHhLliTtBbDdDdFfGgKkNnOoEeEeEeGgVvYy", strict=True)),
    **{"Œ": "OE", "œ": "oe", "Ɲ": "NY", "ɲ": "ny", "Þ": "TH", "þ": "th", "Ð": "D", "ð": "d"},
}
