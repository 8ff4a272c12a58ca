"""How a project's pages look: colours, links, and a logo that is what it seems."""

from pathlib import Path

import pytest

from authsrv.config import load
from authsrv.config.logos import MAX_BYTES, read_logo
from authsrv.models import ProjectLook
from tests.support.configuration import PROJECT, WEB, problems, set_environment, written

DEV = "dev = true\n"
KEY = "projects.p.look."
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0h1v1z"/></svg>'
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
JPEG = b"\xff\xd8\xff\xe0" + bytes(16)
WEBP = b"RIFF\x0a\x00\x00\x00WEBPVP8 " + bytes(16)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


def look(settings: str) -> str:
    return WEB + f"[projects.p.look]\n{settings}\n"


def test_a_whole_look_becomes_a_model(tmp_path: Path) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_bytes(SVG)
    settings = f"""logo = '{logo}'
accent = "#1a6B4f"
accent_dark = "#7fd1ae"
support_url = "https://studio.example/help"
privacy_url = "https://studio.example/privacy#players"
terms_url = "https://studio.example/terms"
"""
    config = load(written(tmp_path, PROJECT + f"[projects.p.look]\n{settings}"))
    assert config.project_models()["p"].look == ProjectLook(
        logo=str(logo),
        accent="#1a6B4f",
        accent_dark="#7fd1ae",
        support_url="https://studio.example/help",
        privacy_url="https://studio.example/privacy#players",
        terms_url="https://studio.example/terms",
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(look("support_url = 'mailto:help+eu@studio.example'"), id="mail"),
        pytest.param(look("support_url = 'mailto:help@studio.example?subject=Sign-in%20fails'"), id="mail, subject"),
        pytest.param(DEV + look("support_url = 'http://127.0.0.1:3000/help'"), id="http in development"),
    ],
)
def test_sound_links_are_read(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == []


MISTAKES = [
    pytest.param(look("accent = 'red'"), "accent", "this is no colour", "#rrggbb", id="name of a colour"),
    pytest.param(look("accent = '#fff'"), "accent", "this is no colour", "#rrggbb", id="short colour"),
    pytest.param(look("accent_dark = '#12345g'"), "accent_dark", "this is no colour", "#rrggbb", id="dark colour"),
    pytest.param(
        look("accent_dark = '#123456;}'"), "accent_dark", "this is no colour", "#rrggbb", id="more than a colour"
    ),
    *(
        pytest.param(
            look(f"{name} = 'http://studio.example/'"), name, "the address is on plain http", "use https", id=name
        )
        for name in ("support_url", "privacy_url", "terms_url")
    ),
    pytest.param(
        look("privacy_url = 'mailto:help@studio.example'"),
        "privacy_url",
        "this is no address of a web page",
        "https",
        id="mail where a page is read",
    ),
    *(
        pytest.param(look(f"support_url = '{address}'"), "support_url", "this is no mail address", "mailto:", id=what)
        for what, address in (
            ("mail without a host", "mailto:help"),
            ("mail without a name", "mailto:@studio.example"),
            ("mail with a space", "mailto:help me@studio.example"),
            ("mail to two", "mailto:a@studio.example,b@studio.example"),
        )
    ),
]


@pytest.mark.parametrize(("text", "key", "what", "remedy"), MISTAKES)
def test_each_mistake_is_one_problem_with_its_key_and_remedy(
    tmp_path: Path, text: str, key: str, what: str, remedy: str
) -> None:
    [problem] = problems(tmp_path, text)
    assert problem.key == KEY + key
    assert problem.what.startswith(what)
    assert remedy in problem.remedy


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        pytest.param(SVG, "image/svg+xml", id="SVG"),
        pytest.param(b'<?xml version="1.0" encoding="UTF-8"?>\n<!-- drawn -->\n' + SVG, "image/svg+xml", id="XML head"),
        pytest.param(b"\xef\xbb\xbf" + SVG, "image/svg+xml", id="byte order mark"),
        pytest.param(
            b'<s:svg xmlns:s="http://www.w3.org/2000/svg"><s:g/></s:svg>', "image/svg+xml", id="SVG with a prefix"
        ),
        pytest.param(PNG, "image/png", id="PNG"),
        pytest.param(JPEG, "image/jpeg", id="JPEG"),
        pytest.param(WEBP, "image/webp", id="WebP"),
        pytest.param(PNG + bytes(MAX_BYTES - len(PNG)), "image/png", id="as large as possible"),
    ],
)
def test_a_logo_is_known_by_its_content(tmp_path: Path, content: bytes, media_type: str) -> None:
    path = tmp_path / "logo.txt"
    path.write_bytes(content)
    assert problems(tmp_path, look(f"logo = '{path}'")) == []
    logo = read_logo(path)
    assert (logo.media_type, logo.content) == (media_type, content)


BOMB = b'<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + SVG


@pytest.mark.parametrize(
    ("content", "what", "remedy"),
    [
        pytest.param(b"", "this is no SVG, PNG, JPEG or WebP image", "formats", id="empty"),
        pytest.param(b"GIF89a" + bytes(9), "this is no SVG, PNG, JPEG or WebP image", "formats", id="GIF"),
        pytest.param(b"RIFF\0\0\0\0WAVE", "this is no SVG, PNG, JPEG or WebP image", "formats", id="sound"),
        pytest.param(b"\xff" + PNG, "this is no SVG, PNG, JPEG or WebP image", "formats", id="PNG further on"),
        pytest.param(b"<html><body/></html>", "this is no SVG, PNG, JPEG or WebP image", "formats", id="HTML"),
        pytest.param(b"<svg/>", "this is no SVG, PNG, JPEG or WebP image", "formats", id="SVG without its namespace"),
        pytest.param(
            b'<a xmlns="http://www.w3.org/1999/xhtml">' + SVG + b"</a>",
            "this is no SVG, PNG, JPEG or WebP image",
            "formats",
            id="SVG inside something else",
        ),
        pytest.param(SVG[:-1], "this is no SVG, PNG, JPEG or WebP image", "formats", id="half an SVG"),
        pytest.param(
            b'<?xml version="1.0" encoding="nope"?>' + SVG,
            "this is no SVG, PNG, JPEG or WebP image",
            "formats",
            id="unknown encoding",
        ),
        pytest.param(
            b'<?xml version="1.0" encoding="utf-7"?>' + SVG,
            "this is no SVG, PNG, JPEG or WebP image",
            "formats",
            id="encoding that expat lacks",
        ),
        pytest.param(BOMB, "the SVG has a DOCTYPE", "remove it", id="SVG with entities"),
        pytest.param(b"<!DOCTYPE svg>" + SVG, "the SVG has a DOCTYPE", "remove it", id="SVG with a DOCTYPE"),
        pytest.param(PNG + bytes(MAX_BYTES), "the image has more than 256 KiB", "smaller", id="too large"),
    ],
)
def test_a_logo_that_is_none_is_refused(tmp_path: Path, content: bytes, what: str, remedy: str) -> None:
    path = tmp_path / "logo.svg"
    path.write_bytes(content)
    [problem] = problems(tmp_path, look(f"logo = '{path}'"))
    assert (problem.key, problem.what) == (KEY + "logo", what)
    assert remedy in problem.remedy


@pytest.mark.parametrize("name", ["none.svg", ".", "\\u0000"])
def test_a_logo_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    [problem] = problems(tmp_path, look(f'logo = "{tmp_path}/{name}"'))
    assert (problem.key, problem.what) == (KEY + "logo", "the file cannot be read")


def test_a_look_that_could_not_be_read_is_reported_once(tmp_path: Path) -> None:
    assert [problem.key for problem in problems(tmp_path, look("logo = 5\naccent = 5"))] == [
        KEY + "logo",
        KEY + "accent",
    ]
