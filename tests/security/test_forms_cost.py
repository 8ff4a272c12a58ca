"""What a form may cost: names that nobody knows are not decoded, however long they are."""

import pytest

from authsrv.endpoints import forms


def test_F02_a_name_longer_than_any_known_one_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_: bytes) -> bytes:
        raise AssertionError("decoded")

    monkeypatch.setattr(forms, "unquote_to_bytes", forbidden)
    form = forms.parse_form(b"%41" * 43_000 + b"=x&" + b"&".join([b"%41" * 200] * 250) + b"&state=12345678")
    assert form.take({"state"}) == {"state": "12345678"}


def test_a_known_name_may_be_written_all_in_percent_signs() -> None:
    name = "".join(f"%{byte:02x}" for byte in b"code_challenge_method").encode()
    assert forms.parse_form(name + b"=S256").take({"code_challenge_method"}) == {"code_challenge_method": "S256"}
