"""`/assets/{project}/logo`: the image that a project's pages show, read when the configuration is."""

from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from authsrv.errors import NotFound
from authsrv.models import Project

_TYPES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"RIFF", "image/webp"))
_CACHE = "public, max-age=300"


def images_of(projects: Mapping[str, Project]) -> Mapping[str, bytes]:
    """The images of these projects, by key. Raises OSError for a file that cannot be read."""
    named = {key: project.look.logo for key, project in projects.items() if project.look.logo}
    return {key: Path(file).read_bytes() for key, file in named.items()}


class Logos:
    """The images of all projects, in memory."""

    def __init__(self) -> None:
        self._images: Mapping[str, bytes] = {}

    def replace(self, images: Mapping[str, bytes]) -> None:
        """Show these images instead of the present ones."""
        self._images = images

    async def __call__(self, request: Request) -> Response:
        """The image; its policy forbids an SVG to load or run anything."""
        image = self._images.get(request.path_params["project"])
        if image is None:
            raise NotFound
        return Response(image, media_type=_type_of(image), headers={"cache-control": _CACHE})


def _type_of(image: bytes) -> str:
    return next((media_type for magic, media_type in _TYPES if image.startswith(magic)), "image/svg+xml")
