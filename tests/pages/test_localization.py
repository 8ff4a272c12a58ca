"""Which language a page is drawn in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.pages.localization import LOCALES, negotiate


@pytest.mark.parametrize(
    ("accept_language", "locale"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE-at", "de"),
        ("de-CH-1996", "de"),
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("en-GB,de;q=0.9", "en"),
        ("se,de;q=0.5", "de"),
        ("en;q=0.3,de;q=0.8,fr;q=0.5", "de"),
        ("en;q=0.5, ja;q=0.5", "en"),
        ("de;q=0,fr;q=0.1", "fr"),
        ("de;q=0.000", "en"),
        ("es-419", "es"),
        ("pt", "pt-BR"),
        ("pt-PT", "pt-BR"),
        ("pt-BR", "pt-BR"),
        ("ja-JP", "ja"),
        ("ko-KR", "ko"),
        ("zh", "zh-Hans"),
        ("zh-CN", "zh-Hans"),
        ("zh-SG", "zh-Hans"),
        ("zh-Hans-HK", "zh-Hans"),
        ("zh-TW", "en"),
        ("zh-TW,ja;q=0.5", "ja"),
        ("zh-Hant-TW,zh-TW,ko;q=0.2", "ko"),
        ("zh-HK,zh;q=0.9", "zh-Hans"),
        ("*", "en"),
        ("*,de;q=0.5", "de"),
        (" de ; q=0.7 , fr;Q=0.8", "fr"),
        ("de;q=2,fr;q=0.1", "fr"),
        ("de;q=nan,fr;q=0.1", "fr"),
        ("de;q=,fr;q=0.1", "fr"),
        ("de;level=1,fr;q=0.1", "fr"),
        (",,;,de", "de"),
        ("../../etc/passwd, de", "de"),
        ("d\u0435, fr", "fr"),
        ("x" * 100_000 + ",de", "en"),
    ],
)
def test_the_header_is_read_by_quality_and_looked_up(accept_language: str, locale: str) -> None:
    assert negotiate("", accept_language) == locale


@pytest.mark.parametrize(
    ("ui_locales", "accept_language", "locale"),
    [
        ("fr de", "ko", "fr"),
        ("se xx de", "ko", "de"),
        ("fr-CA fr en", "", "fr"),
        ("zh-TW", "ja", "ja"),
        ("se", "ko", "ko"),
        ("<script>", "", "en"),
        ("a" * 100_000, "de", "de"),
    ],
)
def test_ui_locales_go_first_in_their_own_order(ui_locales: str, accept_language: str, locale: str) -> None:
    assert negotiate(ui_locales, accept_language) == locale


@given(st.text(), st.text())
def test_garbage_gives_a_language(ui_locales: str, accept_language: str) -> None:
    assert negotiate(ui_locales, accept_language) in LOCALES


@given(st.lists(st.sampled_from(["de", ";", "q=", ",", "0.5", "-", "*", " ", "\t", "1", "zh-TW"]), max_size=40))
def test_almost_a_header_gives_a_language(parts: list[str]) -> None:
    assert negotiate("".join(parts), "".join(parts)) in LOCALES
