"""Secrets of a client as hashes with an end: what is read, what is refused, and what is warned of in time."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from authsrv.config import Config, json_schema, load
from authsrv.config.client_secrets import moment_text
from authsrv.models import ClientSecret, Digest
from tests.support.configuration import CLIENT, CONFIDENTIAL, LONG, WEB, problems, set_environment, written

ONE, TWO, THREE = (sha256(name.encode()).hexdigest() for name in ("one", "two", "three"))
MARCH = int(datetime(2027, 3, 1, tzinfo=UTC).timestamp())
DAY = 86400
KEY = "projects.p.clients.web.secret_hashes"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


def hashes(*entries: str) -> str:
    return f"secret_hashes = [{', '.join(entries)}]\n"


def one(digest: str = ONE, expires: str = "") -> str:
    return f"{{ sha256 = '{digest}'{f', expires = {expires}' if expires else ''} }}"


def loaded(directory: Path, text: str, now: int = MARCH) -> Config:
    return load(written(directory, text), clock=lambda: float(now))


def warned(directory: Path, text: str, now: int = MARCH) -> list[tuple[str, str, str]]:
    return [(each.key, each.what, each.remedy) for each in loaded(directory, text, now).warnings]


ENDS = [
    pytest.param("", None, id="none"),
    pytest.param("2027-03-01", MARCH, id="a date is its midnight in UTC"),
    pytest.param("2027-03-01T09:30:00Z", MARCH + 34200, id="UTC"),
    pytest.param("2027-03-01T09:30:00+01:00", MARCH + 30600, id="offset"),
    pytest.param("2027-03-01 09:30:00.999Z", MARCH + 34200, id="fraction"),
    pytest.param("1969-12-31", -DAY, id="long ago"),
    pytest.param("9999-12-31T23:59:59Z", 253402300799, id="the last second"),
]


@pytest.mark.parametrize(("written_as", "expires_at"), ENDS)
def test_a_hash_becomes_a_secret_with_its_end(tmp_path: Path, written_as: str, expires_at: int | None) -> None:
    web = loaded(tmp_path, WEB + hashes(one(ONE.upper(), written_as))).clients()["web"]
    assert web.secrets == (ClientSecret(Digest(bytes.fromhex(ONE)), expires_at),)
    assert not web.public


def test_all_ways_to_write_a_secret_work_beside_each_other(tmp_path: Path) -> None:
    text = CONFIDENTIAL + "secrets = [{ env = 'KEY' }]\n" + hashes(one(ONE), one(TWO, "2027-03-01"))
    known = [("canary" + LONG).encode(), b"0123456789abcdef0123456789abcdef"]
    assert loaded(tmp_path, text).clients()["web"].secrets == (
        *(ClientSecret(Digest(sha256(secret).digest())) for secret in known),
        ClientSecret(Digest(bytes.fromhex(ONE))),
        ClientSecret(Digest(bytes.fromhex(TWO)), MARCH),
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(WEB + "type = 'confidential'\n" + hashes(one()), id="confidential by hashes alone"),
        pytest.param(CLIENT + "type = 'server'\n" + hashes(one()), id="server by hashes alone"),
        pytest.param(WEB + "pkce = 'optional'\nintrospect = true\n" + hashes(one()), id="type left out"),
        pytest.param(WEB + f"[[projects.p.clients.web.secret_hashes]]\nsha256 = '{ONE}'\n", id="array of tables"),
        pytest.param(WEB + hashes(*(one(f"{number:064x}") for number in range(8))), id="eight"),
        pytest.param(WEB + hashes(one(expires="2001-01-01")), id="only an expired one"),
    ],
)
def test_sound_files_are_read_and_such_clients_are_confidential(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == []
    assert not loaded(tmp_path, text).clients()["web"].public


MISTAKES = [
    pytest.param(one(ONE[:-1]), KEY + "[0].sha256", "this is no SHA-256: it has 63 characters", "hex", id="too short"),
    pytest.param(one(ONE + "0"), KEY + "[0].sha256", "this is no SHA-256: it has 65 characters", "hex", id="too long"),
    pytest.param(one(""), KEY + "[0].sha256", "this is no SHA-256: it has 0 characters", "hex", id="empty"),
    pytest.param(one("g" + ONE[1:]), KEY + "[0].sha256", "this is no SHA-256: it has characters that", "hex", id="hex"),
    pytest.param(one(ONE[:-1] + "\\n"), KEY + "[0].sha256", "this is no SHA-256", "hex", id="line feed"),
    pytest.param(one("canary"), KEY + "[0].sha256", "this is no SHA-256", "never the secret itself", id="the secret"),
    pytest.param("{ sha256 = 5 }", KEY + "[0].sha256", "this is not a text", "in quotes", id="number"),
    pytest.param("{ expires = 2027-03-01 }", KEY + "[0].sha256", "this is required", "add it", id="no hash"),
    pytest.param(f"'{ONE}'", KEY + "[0]", "this is not a table", "write it as a table", id="no table"),
    pytest.param(
        f"{{ sha256 = '{ONE}', expire = 2027-03-01 }}",
        KEY + "[0].expire",
        "there is no such key",
        "did you mean expires?",
        id="H02 misspelt",
    ),
    pytest.param(
        one(expires="'2027-03-01'"), KEY + "[0].expires", "this is no date", "without quotes", id="date as a text"
    ),
    pytest.param(one(expires="1803859200"), KEY + "[0].expires", "this is no date", "2027-03-01", id="number as date"),
    pytest.param(one(expires="true"), KEY + "[0].expires", "this is no date", "2027-03-01", id="true as date"),
    pytest.param(one(expires="09:30:00"), KEY + "[0].expires", "this is no date", "2027-03-01", id="time of day"),
    pytest.param(
        one(expires="2027-03-01T09:30:00"), KEY + "[0].expires", "this time could be in any", "write Z", id="no zone"
    ),
    pytest.param(
        one(sha256(b"").hexdigest()), KEY + "[0]", "this is the SHA-256 of an empty text", "new web", id="empty secret"
    ),
    pytest.param(
        f"{one()}, {one(ONE.upper(), '2027-03-01')}",
        KEY + "[1]",
        "this is the same secret as secret_hashes[0]",
        "remove one",
        id="repeated",
    ),
    pytest.param(
        ", ".join(one(f"{number:064x}") for number in range(9)),
        KEY,
        "the list is too long",
        "8 or fewer",
        id="nine",
    ),
]


@pytest.mark.parametrize(("entries", "key", "what", "remedy"), MISTAKES)
def test_each_mistake_is_one_problem_with_its_line_and_remedy(
    tmp_path: Path, entries: str, key: str, what: str, remedy: str
) -> None:
    text = WEB + hashes(entries)
    [problem] = problems(tmp_path, text.replace("'" + ONE[:-1] + "\\n'", '"' + ONE[:-1] + '\\n"'))
    assert (problem.key, problem.line) == (key, text.count("\n"))
    assert problem.what.startswith(what)
    assert remedy in problem.remedy


TOGETHER = [
    pytest.param(
        "type = 'public'\n" + hashes(one()), "type", "a public client has no secret", "confidential", id="public client"
    ),
    pytest.param(
        "secret = { env = 'SECRET' }\n" + hashes(one(sha256(("canary" + LONG).encode()).hexdigest())),
        "secret_hashes[0]",
        "this is the same secret as secret",
        "remove one",
        id="hash of the secret",
    ),
    pytest.param(
        "secret = { env = 'SECRET' }\nsecrets = [{ env = 'SECRET' }]\n",
        "secrets[0]",
        "this is the same secret as secret",
        "remove one",
        id="secret twice",
    ),
    pytest.param(
        "secret = { env = 'SECRET' }\n" + hashes(*(one(f"{number:064x}") for number in range(8))),
        "secret_hashes",
        "the client has more than 8 secrets",
        "remove those that have expired",
        id="nine in all",
    ),
]


@pytest.mark.parametrize(("settings", "key", "what", "remedy"), TOGETHER)
def test_what_does_not_fit_together_is_one_problem(
    tmp_path: Path, settings: str, key: str, what: str, remedy: str
) -> None:
    [problem] = problems(tmp_path, WEB + settings)
    assert problem.key == f"projects.p.clients.web.{key}"
    assert problem.what.startswith(what)
    assert remedy in problem.remedy


def test_a_client_without_any_secret_is_told_how_to_get_one(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, CLIENT + "type = 'server'\n")
    assert problem.remedy.endswith("make one with: authsrv clients secret new web")


SOON = "this secret expires on 2027-03-01"
GONE = "this secret expired on 2027-03-01"
MAKE = "make one with: authsrv clients secret new web"
LAST = ", and no other lasts longer"
SWITCH = "let the client use another one of its secrets before that day"
WARNINGS = [
    pytest.param(-31 * DAY, (one(expires="2027-03-01"),), [], id="31 days before"),
    pytest.param(-30 * DAY - 1, (one(expires="2027-03-01"),), [], id="a second more than 30 days before"),
    pytest.param(-30 * DAY, (one(expires="2027-03-01"),), [(0, SOON + LAST, MAKE)], id="30 days before"),
    pytest.param(-1, (one(expires="2027-03-01"),), [(0, SOON + LAST, MAKE)], id="a second before"),
    pytest.param(0, (one(expires="2027-03-01"),), [(0, GONE + LAST, MAKE)], id="that second"),
    pytest.param(-DAY, (one(expires="2027-03-01"), one(TWO)), [(0, SOON, SWITCH)], id="soon, and another"),
    pytest.param(DAY, (one(TWO), one(expires="2027-03-01")), [(1, GONE, "remove it")], id="over, and another"),
    pytest.param(
        -DAY,
        (one(expires="2027-03-01"), one(TWO, "2027-03-01T00:00:01Z")),
        [(0, SOON + LAST, MAKE), (1, f"{SOON}T00:00:01Z{LAST}", MAKE)],
        id="two that end soon",
    ),
    pytest.param(0, (one(), one(TWO, "2027-04-01")), [], id="nothing ends soon"),
]


@pytest.mark.parametrize(("since", "entries", "expected"), WARNINGS)
def test_a_secret_is_warned_of_from_thirty_days_before_its_end(
    tmp_path: Path, since: int, entries: tuple[str, ...], expected: list[tuple[int, str, str]]
) -> None:
    found = warned(tmp_path, WEB + hashes(*entries), MARCH + since)
    assert found == [(f"{KEY}[{place}]", what, remedy) for place, what, remedy in expected]


def test_a_secret_in_the_environment_lasts(tmp_path: Path) -> None:
    assert warned(tmp_path, CONFIDENTIAL + hashes(one(expires="2027-03-01"))) == [(f"{KEY}[0]", GONE, "remove it")]


def test_nothing_is_warned_of_that_could_not_be_read(tmp_path: Path) -> None:
    text = WEB + hashes(one(expires="2001-01-01"), one(TWO, "'soon'"))
    [problem] = problems(tmp_path, text)
    assert problem.key == f"{KEY}[1].expires"


def test_a_moment_is_written_so_that_it_is_read_back(tmp_path: Path) -> None:
    for moment in (MARCH, MARCH + 1, MARCH + DAY - 1, -1, 0):
        text = WEB + hashes(one(expires=moment_text(moment)))
        assert loaded(tmp_path, text).clients()["web"].secrets[0].expires_at == moment


def test_an_editor_can_check_hashes_and_dates() -> None:
    fields = json_schema()["$defs"]["SecretHash"]["properties"]
    assert fields["sha256"]["pattern"] == "^[0-9A-Fa-f]{64}$"
    assert {form.get("format") for form in fields["expires"]["anyOf"]} == {"date", "date-time", None}


def test_thirty_days_are_counted_from_now_by_the_clock_of_the_machine(tmp_path: Path) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    [warning] = load(written(tmp_path, WEB + hashes(one(expires=tomorrow)))).warnings
    assert warning.what == f"this secret expires on {tomorrow}{LAST}"
