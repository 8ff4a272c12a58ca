"""What must fit between a project's PlayFab title and the clients that ask for its sessions.

Owns the warnings about a scope that gives nothing. Knows no key and makes no call.
"""

from collections.abc import Iterator

from authsrv.config.clients import ClientSettings
from authsrv.config.problems import Finding
from authsrv.config.schema import Config, ProjectSettings
from authsrv.playfab import NAME


def playfab_warnings(config: Config) -> Iterator[Finding]:
    """Clients to which the scope is promised, and that get no session by it."""
    for key, project in config.projects.items():
        for client_id, client in project.clients.items():
            found = _warning(key, project, client)
            if found:
                yield found.below(("projects", key, "clients", client_id))


def _warning(key: str, project: ProjectSettings, client: ClientSettings) -> Finding | None:
    if NAME in (client.extra_scopes or ()):
        return Finding(
            ("extra_scopes",), f"extra_scopes are the studio's own, and {NAME} gives nothing here", "list it in scopes"
        )
    if NAME not in client.effective_scopes:
        return None
    if project.playfab is None:
        remedy = f"add [projects.{key}.{NAME}] with title_id and secret_key, or remove the scope"
        return Finding(("scopes",), f"the project has no PlayFab title, so the scope {NAME} gives nothing", remedy)
    if not client.first_party:
        what = f"a PlayFab session is for the studio's own clients only, so the scope {NAME} gives nothing"
        return Finding(("scopes",), what, "remove the scope, or first_party = false")
    return None
