"""The account page of each project as a client of ours, so that signing in to it is signing in to a client.

Owns its id, and what a sign-in to it asks. It stands in no registry: no request can name it, no endpoint authenticates
it, and it gets no code.
"""

import json
from collections.abc import Callable, Mapping

from authsrv.models import ACCOUNT_PREFIX, Client, ClientSecret, Digest, Project
from authsrv.redirects import append_query

AGAIN = "again"
"""What the page says to somebody who had to sign in again."""
_NOBODYS = ClientSecret(Digest(bytes(32)), expires_at=0)
"""What makes it a confidential client: a digest that no secret has."""


class AccountClients:
    """The account pages of the projects that there are at present."""

    def __init__(self, issuer: str, projects: Callable[[], Mapping[str, Project]]) -> None:
        self._page = f"{issuer}/account"
        self._projects = projects

    def of(self, project: Project) -> Client:
        """The project's account page."""
        return Client(
            client_id=f"{ACCOUNT_PREFIX}{project.key}",
            project=project,
            name=project.name,
            secrets=(_NOBODYS,),
            redirect_uris=(self.address(project), self.address(project, AGAIN), self.deletion(project)),
            is_account_page=True,
        )

    def address(self, project: Project, done: str = "") -> str:
        """The page's address. It names the project where there are several; `done` is what the page shall say."""
        return append_query(self._page, [*self._named(project), *([("done", done)] if done else [])])

    def deletion(self, project: Project) -> str:
        """The address of the page on which the account is deleted."""
        return append_query(f"{self._page}/delete", self._named(project))

    def _named(self, project: Project) -> list[tuple[str, str]]:
        return [("project", project.key)] if len(self._projects()) > 1 else []

    def named(self, client_id: str) -> Client | None:
        """The account page that this is the id of. None for any other client, and once the project is gone."""
        if not client_id.startswith(ACCOUNT_PREFIX):
            return None
        project = self._projects().get(client_id.removeprefix(ACCOUNT_PREFIX))
        return self.of(project) if project else None


def entry(client: Client) -> Mapping[str, str]:
    """The parameters of a sign-in to an account page."""
    uri, _, _ = client.redirect_uris
    return {"client_id": client.client_id, "redirect_uri": uri, "response_type": "code", "scope": "openid"}


def entry_again(client: Client, sub: str, max_age: int, *, deleting: bool) -> Mapping[str, str]:
    """The same for a player who must have signed in lately, so many seconds ago at most."""
    _, page, deletion = client.redirect_uris
    wanted = json.dumps({"id_token": {"sub": {"value": sub}}})
    return {**entry(client), "redirect_uri": deletion if deleting else page, "claims": wanted, "max_age": str(max_age)}
