"""The pages of linking by code: which facts become which page, and the address of every form. Decides nothing."""

from starlette.requests import Request
from starlette.responses import Response

from authsrv.accounts.browser.link_page import LinkDone, LinkView, account_name
from authsrv.accounts.cases import Proof
from authsrv.accounts.link_codes import FoundCode
from authsrv.endpoints.screens import Facts, Screens, card_of, remember
from authsrv.models import Player
from authsrv.pages.policy import form_target
from authsrv.pages.views import (
    Form,
    LinkCheckPage,
    LinkCodePage,
    LinkConfirmPage,
    LinkedPage,
    LinkNotice,
    PlatformButton,
    Receiver,
)


class LinkScreens:
    """Draws the pages of `/link`."""

    def __init__(self, screens: Screens, facts: Facts) -> None:
        self._screens = screens
        self._facts = facts
        self._page = f"{facts.issuer}/link"

    def code(self, request: Request, code: str, provider: str, notice: LinkNotice = "") -> Response:
        """Where a code is typed."""
        page = LinkCodePage(self._page, code, provider, notice)
        return self._screens.draw(request, page, 400 if notice == "wrong" else 200)

    def view(self, request: Request, view: LinkView) -> Response:
        """Whose player it is; once a platform account was chosen, what will be linked."""
        remember(request, view.found.client.project)
        form = Form(self._page, view.handle, view.csrf, view.shown)
        receiver, number = receiver_of(view.found), view.found.code.check_number
        other = self._screens.player(view.other) if view.other else None
        targets = self._targets(view.found)
        if view.proof is None:
            client, buttons = card_of(view.found.client), self._buttons(view)
            return self._screens.draw(
                request, LinkCheckPage(form, client, receiver, number, buttons, other, form_targets=targets)
            )
        title, account = self._title(view.proof), account_name(view.proof)
        return self._screens.draw(
            request, LinkConfirmPage(form, title, account, receiver, number, other, form_targets=targets)
        )

    def done(self, request: Request, done: LinkDone) -> Response:
        """It is linked."""
        remember(request, done.found.client.project)
        page = LinkedPage(card_of(done.found.client), self._title(done.proof), receiver_of(done.found))
        return self._screens.draw(request, page)

    def _buttons(self, view: LinkView) -> tuple[PlatformButton, ...]:
        offered = self._facts.platforms_of(view.found.code.project)
        wanted = [name for name in offered if view.provider in {"", name}]
        return tuple(PlatformButton(name, self._facts.titles[name], f"{self._page}/{name}") for name in wanted)

    def _targets(self, found: FoundCode) -> tuple[str, ...]:
        back = (form_target(found.code.return_to),) if found.code.return_to else ()
        return tuple(dict.fromkeys((*self._screens.anywhere, *back)))

    def _title(self, proof: Proof) -> str:
        return self._facts.titles.get(proof.platform, proof.platform)


def receiver_of(found: FoundCode) -> Receiver:
    """The player of a code."""
    player: Player = found.loaded.player
    return Receiver(player.display_name, player.created_at)
