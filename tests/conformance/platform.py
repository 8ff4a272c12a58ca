"""What every platform must do, whatever it is: one suite, run against each platform and the source of its credentials.

Owns the demands, and knows no platform. A test file imports the tests (`from tests.conformance.platform import *`) and
defines a fixture `subject` that returns a `PlatformUnderTest` whose platform was not started and keeps no keys yet.
What only a platform that asks others must do stands in `upstream.py`.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import pytest

from authsrv.emulator.base import PLAYERS, MintedCredential, TestPlayer, UnknownCase
from authsrv.platforms.base import (
    CredentialRejected,
    Platform,
    PlatformError,
    PlatformIdentity,
    RejectionReason,
    Submission,
    UserActionReason,
)
from tests.support.outbound import AsgiOutbound
from tests.support.sources import Source

__all__ = [
    "test_a_good_credential_gives_a_stable_subject_twice",
    "test_an_unknown_kind_is_refused_without_any_call",
    "test_every_case_ends_in_a_platform_error_or_a_login_and_leaks_nothing",
    "test_every_identity_is_of_a_kind_that_the_platform_names",
    "test_its_credentials_are_of_the_kinds_that_it_takes",
    "test_junk_is_refused_by_parse_without_any_call",
    "test_players_do_not_share_a_subject",
]

JUNK = {
    "empty": "",
    "blank": "   ",
    "NUL": "\x00",
    "NUL inside": "14000000\x0011",
    "64 KiB": "A" * 65536,
    "non-ASCII": "ticket-\u00e9\u4e16",
    "full-width digits": "\uff11\uff14" * 16,
    "lone surrogate": "\udcff" * 32,
    "odd hex": "14000000abc",
    "one character": "A",
    "markup": "<script>alert(1)</script>",
    "query injection": "aa&key=0&appid=1",
    "dots": "....",
}
_WINDOW = 24  # an excerpt of a credential that long is a leak


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformUnderTest:
    """A platform with the source of its credentials, and `outbound` as its way to others.

    `submit` turns what was minted into what an endpoint would hand to `parse`. `secrets` are the configured keys and
    passwords, which may appear nowhere.
    """

    platform: Platform[Any]
    source: Source
    outbound: AsgiOutbound
    submit: Callable[[MintedCredential], Submission]
    player: TestPlayer
    secrets: tuple[str, ...]

    async def login(self, minted: MintedCredential) -> PlatformIdentity:
        return await self.platform.verify(self.platform.parse(self.submit(minted)))


def disguised(minted: MintedCredential, text: str) -> MintedCredential:
    """The same request with another text in the credential's place."""
    parameters = {name: text if value == minted.text else value for name, value in minted.parameters.items()}
    headers = {name: value.replace(minted.text, text) for name, value in minted.headers.items()}
    return replace(minted, text=text, parameters=parameters, headers=headers)


async def test_a_good_credential_gives_a_stable_subject_twice(subject: PlatformUnderTest) -> None:
    first = await subject.login(subject.source.mint(subject.player))
    second = await subject.login(subject.source.mint(subject.player))
    assert first.subject
    assert first.kind
    assert first.platform == subject.platform.name
    assert (second.kind, second.environment, second.subject) == (first.kind, first.environment, first.subject)


async def test_players_do_not_share_a_subject(subject: PlatformUnderTest) -> None:
    identities = [await subject.login(subject.source.mint(player)) for player in PLAYERS.values()]
    assert len({identity.subject for identity in identities}) == len(PLAYERS)


async def test_every_identity_is_of_a_kind_that_the_platform_names(subject: PlatformUnderTest) -> None:
    minted = [*minted_cases(subject.source, subject.player).values()]
    minted += [subject.source.mint(subject.player, kind=kind) for kind in subject.source.kinds]
    found = {identity.kind for one in minted if (identity := await identity_of(subject, one))}
    assert found == set(subject.platform.identity_kinds)


async def identity_of(subject: PlatformUnderTest, minted: MintedCredential) -> PlatformIdentity | None:
    try:
        return await subject.login(minted)
    except PlatformError:
        return None


def test_its_credentials_are_of_the_kinds_that_it_takes(subject: PlatformUnderTest) -> None:
    assert "good" in subject.source.cases
    assert set(subject.source.kinds) <= set(subject.platform.kinds)
    assert subject.source.kinds[0] == subject.platform.kinds[0]


@pytest.mark.parametrize("junk", [pytest.param(text, id=name) for name, text in JUNK.items()])
def test_junk_is_refused_by_parse_without_any_call(subject: PlatformUnderTest, junk: str) -> None:
    minted = disguised(subject.source.mint(subject.player), junk)
    with pytest.raises(CredentialRejected) as refused:
        subject.platform.parse(subject.submit(minted))
    assert refused.value.reason in get_args(RejectionReason)
    assert is_public_text(refused.value.hint)
    assert not subject.outbound.requests


def test_an_unknown_kind_is_refused_without_any_call(subject: PlatformUnderTest) -> None:
    submission = replace(subject.submit(subject.source.mint(subject.player)), kind="unknown_kind")
    with pytest.raises(CredentialRejected) as refused:
        subject.platform.parse(submission)
    assert refused.value.reason == "credential_unsupported"
    assert not subject.outbound.requests


async def test_every_case_ends_in_a_platform_error_or_a_login_and_leaks_nothing(
    subject: PlatformUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for case, minted in minted_cases(subject.source, subject.player).items():
        caplog.clear()
        told = [*await told_by(subject, minted), *(told_by_log(record) for record in caplog.records)]
        for secret in (*subject.secrets, *excerpts(minted.text)):
            assert not any(secret.lower() in text.lower() for text in told), f"case {case} leaks a secret"


def minted_cases(source: Source, player: TestPlayer) -> Mapping[str, MintedCredential]:
    """A credential of every case but those that, as their error says, happen on the emulated sign-in page."""
    minted = {}
    for case in source.cases:
        try:
            minted[case] = source.mint(player, case=case)
        except UnknownCase as unknown:
            if "in a browser" not in str(unknown):
                raise
    return minted


async def told_by(subject: PlatformUnderTest, minted: MintedCredential) -> list[str]:
    """Everything a login shows outside: representations and the texts of its error, which must keep the vocabulary."""
    told: list[str] = []
    try:
        credential = subject.platform.parse(subject.submit(minted))
        told.append(repr(credential))
        told.append(repr(await subject.platform.verify(credential)))
    except PlatformError as error:
        told += [str(link) + repr(link) + repr(vars(link)) for link in chain(error)]
        assert_vocabulary(error)
    return told


def told_by_log(record: logging.LogRecord) -> str:
    return record.getMessage() + (repr(record.exc_info) if record.exc_info else "")


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what a traceback would show below it."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def assert_vocabulary(error: PlatformError) -> None:
    known = {*get_args(RejectionReason), *get_args(UserActionReason), None}
    assert getattr(error, "reason", None) in known


def excerpts(text: str) -> list[str]:
    """Pieces of a credential; whoever shows much of it shows at least one of them."""
    return [
        piece for start in range(0, len(text), _WINDOW) if len(piece := text[start : start + _WINDOW]) >= _WINDOW // 2
    ]


def is_public_text(text: str) -> bool:
    """What RFC 6749 section 5.2 allows in an error_description."""
    return bool(text) and text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
