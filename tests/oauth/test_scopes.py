import pytest

from authsrv.errors import InvalidScope
from authsrv.models import Client, Project
from authsrv.oauth import scopes

PROJECT = Project("p", "00000000-0000-0000-0000-000000000000", "P")
STRICT = Client("c", PROJECT, "C", scopes=frozenset({"openid", "profile", "offline", "match:join"}))
XSOLLA = Client("40", PROJECT, "X", scopes=frozenset({"offline"}), extra_scopes=None, profile="xsolla")


@pytest.mark.parametrize(
    ("client", "requested", "expected"),
    [
        pytest.param(STRICT, "openid offline", ("openid", "offline"), id="listed values are granted"),
        pytest.param(STRICT, "offline openid", ("offline", "openid"), id="in the order asked"),
        pytest.param(STRICT, "openid openid", ("openid",), id="once each"),
        pytest.param(STRICT, "openid admin", ("openid",), id="unknown values are dropped"),
        pytest.param(STRICT, "offline_access", ("offline_access",), id="offline_access is offline"),
        pytest.param(STRICT, "", ("match:join", "openid", "profile"), id="nothing asked: the list without offline"),
        pytest.param(XSOLLA, "offline anything", ("offline", "anything"), id="xsolla takes any value"),
        pytest.param(XSOLLA, "", (), id="xsolla: nothing asked is nothing"),
    ],
)
def test_a_client_gets_what_its_entry_allows(client: Client, requested: str, expected: tuple[str, ...]) -> None:
    assert scopes.granted(client, requested) == expected


@pytest.mark.parametrize(
    "requested",
    [
        pytest.param('open"id', id="quote"),
        pytest.param("open\\id", id="backslash"),
        pytest.param("openid\u00a0profile", id="no-break space"),
        pytest.param("openid\tprofile", id="tab"),
        pytest.param(" ".join(f"s{n}" for n in range(200)), id="200 values"),
        pytest.param("x" * 200, id="a value of 200 characters"),
        pytest.param("admin root", id="nothing left"),
        pytest.param("   ", id="only spaces"),
    ],
)
def test_A24_bad_scopes_are_refused(requested: str) -> None:
    with pytest.raises(InvalidScope):
        scopes.granted(STRICT, requested)
