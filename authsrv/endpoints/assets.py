"""`/assets/{project}/logo`: the image that a project's pages show, read when the configuration is."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from authsrv.errors import NotFound
from authsrv.records import dataclass

_CACHE = "public, max-age=300"


@dataclass(frozen=True, slots=True)
class Image:
    """A picture as it goes out."""

    media_type: str
    content: bytes


class Logos:
    """The images of all projects, in memory."""

    def __init__(self) -> None:
        self._images: Mapping[str, Image] = {}

    def replace(self, images: Mapping[str, Image]) -> None:
        """Show these images instead of the present ones."""
        self._images = images

    async def __call__(self, request: Request) -> Response:
        """The image; its policy forbids an SVG to load or run anything."""
        image = self._images.get(request.path_params["project"])
        if image is None:
            raise NotFound
        return Response(image.content, media_type=image.media_type, headers={"cache-control": _CACHE})
