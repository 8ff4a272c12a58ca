"""The `[projects.KEY.registration]` block: which clients may register themselves, and what they may have.

Owns names, ranges and defaults. What a client may say of itself is judged in `registered_clients.py`.
"""

from typing import Annotated, Literal

from pydantic import Field

from authsrv.config.client_secrets import DAY, secret_digest
from authsrv.config.clients import ClientSettings, Flag, TokenSettings
from authsrv.models import Project, RegistrationMode, RegistrationPolicy, SigningAlgorithm
from authsrv.settings import Secret, Settings


class RegistrationSettings(Settings):
    """Clients that register themselves (RFC 7591). Three switches, of which none opens another."""

    mode: RegistrationMode = Field(
        "off",
        description="off, token (with an initial access token) or open (anybody; in one project of the server only).",
    )
    initial_tokens: dict[str, Secret] = Field(
        {}, description="Initial access tokens by a name of your choice, of 32 characters or more."
    )
    management: Flag = Field(
        False, description="Let registered clients read, change and delete their registration (RFC 7592)."
    )
    scopes: tuple[str, ...] = Field(
        ("openid", "profile", "offline_access"), description="Scopes that registered clients may ask for."
    )
    pkce: Literal["required", "optional"] = Field(
        "required", description="Whether PKCE must be used; optional is for registered clients with a secret."
    )
    max_clients: Annotated[int, Field(strict=True)] = Field(
        1000, ge=1, le=100_000, description="How many registered clients the project has at most."
    )
    unused_days: Annotated[int, Field(strict=True)] = Field(
        30, ge=1, le=366, description="After how many days a client goes to which nobody has signed in."
    )
    blocked: tuple[str, ...] = Field((), description="Ids of registered clients that are shut out.")

    def policy(
        self,
        project: Project,
        tokens: TokenSettings,
        *,
        callable_hosts: tuple[str, ...],
        algorithms: tuple[SigningAlgorithm, ...],
        dev: bool,
    ) -> RegistrationPolicy:
        """The block as the rest of the server knows it: with digests for tokens."""
        initial = {secret_digest(secret.get_secret_value()): name for name, secret in self.initial_tokens.items()}
        return RegistrationPolicy(
            project=project,
            mode=self.mode,
            management=self.management,
            scopes=self.scopes,
            initial_tokens=initial,
            most_clients=self.max_clients,
            unused_seconds=self.unused_days * DAY,
            pkce_required=self.pkce == "required",
            lifetimes=ClientSettings().lifetimes(tokens),
            callable_hosts=callable_hosts,
            algorithms=algorithms,
            blocked=frozenset(self.blocked),
            dev=dev,
        )
