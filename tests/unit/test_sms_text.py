"""What texts cost, and what is done so that they cost little."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smsutil import split

from app.messages.sms_text import EXTENSION, GSM7, Encoding, Size, friendly, outside_gsm7, size

#: Texts near the limits, where it matters what may not be split.
GSM_TEXTS = st.text(st.sampled_from(sorted(GSM7)), min_size=1, max_size=330) | st.text(
    st.sampled_from("a€") | st.sampled_from(sorted(EXTENSION)), min_size=70, max_size=330
)
ANY_TEXTS = st.text(
    st.sampled_from("aç\U0001f68c日") | st.characters(exclude_characters="\x1b"), min_size=1, max_size=220
)


@given(GSM_TEXTS | ANY_TEXTS)
def test_the_count_is_another_librarys(text: str) -> None:
    theirs = split(text)
    name = {"gsm0338": Encoding.GSM7, "utf_16_be": Encoding.UCS2}[theirs.encoding]
    units = theirs.total_bytes // (1 if name is Encoding.GSM7 else 2)
    assert size(text) == Size(name, units, len(theirs.parts))


@given(st.sampled_from(sorted(GSM7)) | st.characters(exclude_characters="\x1b"))
def test_the_alphabet_is_gsm_03_38(character: str) -> None:
    assert (character in GSM7) == (split(character).encoding == "gsm0338")


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", Encoding.GSM7, 0, 1),
        ("a" * 160, Encoding.GSM7, 160, 1),
        ("a" * 161, Encoding.GSM7, 161, 2),
        ("a" * 306, Encoding.GSM7, 306, 2),
        ("a" * 307, Encoding.GSM7, 307, 3),
        ("€" * 80, Encoding.GSM7, 160, 1),
        ("a" * 152 + "€" + "a" * 152, Encoding.GSM7, 306, 3),  # the escape would end the first segment
        ("日" * 70, Encoding.UCS2, 70, 1),
        ("日" * 134, Encoding.UCS2, 134, 2),
        ("日" * 66 + "\U0001f68c" + "日" * 66, Encoding.UCS2, 134, 3),  # so would half a surrogate pair
        ("a" * 69 + "ç", Encoding.UCS2, 70, 1),  # one character is enough
    ],
)
def test_segments_as_operators_bill_them(text: str, encoding: Encoding, units: int, segments: int) -> None:
    assert size(text) == Size(encoding, units, segments)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Lagos → Abuja…", "Lagos -> Abuja..."),
        ("\u2018a\u2019 \u201cb\u201d «c» \u2013 \u2014 d\u2011e", '\'a\' "b" "c" - - d-e'),
        ("NGN\u00a015\u202f000 ₦500", "NGN 15 000 NGN500"),
        ("Ọ̀yọ́, Adébáyọ̀", "Oyo, Adébayo"),
        ("èéàùìòÇÑñÄÖÜßåÅøØæÆ", "èéàùìòÇÑñÄÖÜßåÅøØæÆ"),
        ("çáâêîôúë", "caaeioue"),
        ("Kpɔŋ, Ɓauchi, Łódź, œuvre", "Kpon, Bauchi, Lodz, oeuvre"),
        ("a\u200db\ufeffc", "abc"),
        ("½ № ﬁ", "1/2 No fi"),
        ("e\u0301", "é"),
    ],
)
def test_what_has_a_plain_twin_gets_it(text: str, plain: str) -> None:
    assert friendly(text) == plain
    assert size(plain).encoding is Encoding.GSM7


@pytest.mark.parametrize("text", ["दिल्ली-Évry → ç", "🚌 “Abuja”", "Ελλάδα", "بورتسودان"])
def test_another_script_is_left_as_it_is(text: str) -> None:
    assert friendly(text) == text
    assert outside_gsm7(text)


@given(st.text(st.characters(codec="utf-8")))
def test_friendly_changes_all_or_only_the_form(text: str) -> None:
    told = friendly(text)
    assert friendly(told) == told
    assert size(told).encoding is Encoding.GSM7 or told == unicodedata.normalize("NFC", text)


@given(st.text(st.sampled_from(sorted(GSM7))))
def test_what_is_plain_already_stays(text: str) -> None:
    assert friendly(text) == text
