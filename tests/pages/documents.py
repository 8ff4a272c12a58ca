"""What a browser would see in a page: its elements with their attributes, and its text."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import cast

from starlette.responses import HTMLResponse

Attributes = dict[str, str]


@dataclass(slots=True)
class Document:
    elements: list[tuple[str, Attributes]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def attributes_of(self, tag: str) -> list[Attributes]:
        return [attributes for name, attributes in self.elements if name == tag]

    def of_id(self, wanted: str) -> Attributes:
        (found,) = [attributes for _, attributes in self.elements if attributes.get("id") == wanted]
        return found

    def values(self, *names: str) -> list[str]:
        return [each[name] for _, each in self.elements for name in names if name in each]

    @property
    def outline(self) -> list[tuple[str, tuple[str, ...]]]:
        """Element and attribute names: all that no text from outside may change."""
        return [(name, tuple(attributes)) for name, attributes in self.elements]

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.document = Document()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.document.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self.get_starttag_text() and not cast("str", self.get_starttag_text()).startswith(("<style", "<script")):
            self.document.texts.append(data)


def read(response: HTMLResponse) -> Document:
    reader = _Reader()
    reader.feed(bytes(response.body).decode())
    reader.close()
    return reader.document
