"""The configuration block of Epic Games: its options, their mistakes and their risks.

Owns what an admin writes. Knows no credential and no call.
"""

from typing import Literal, get_args

from pydantic import Field

from authsrv.platforms.base import PlatformSettings
from authsrv.settings import BaseAddress, Secret, Settings

Kind = Literal["exchange_code", "id_token", "connect_id_token", "authorization_code"]
_CODE_KINDS: frozenset[Kind] = frozenset({"exchange_code", "authorization_code"})


class EpicHosts(Settings):
    """Where Epic is. Changed only to reach the emulator, and only with `dev = true`."""

    api: BaseAddress = Field(
        default="https://api.epicgames.dev",
        description="Base address of Epic's API, without a slash at its end.",
    )
    www: BaseAddress = Field(
        default="https://www.epicgames.com",
        description="Base address of the pages that players are sent to, without a slash at its end.",
    )


class EpicSettings(PlatformSettings):
    """The block `[projects.X.platforms.epicgames]`. The ids stand in Epic's Developer Portal under Product Settings."""

    accept: tuple[Kind, ...] = Field(
        default=get_args(Kind), min_length=1, description="The kinds of credential that players may log in with."
    )
    client_ids: tuple[str, ...] = Field(
        min_length=1, description="The ids of the product's Epic clients, which are the accepted audiences of a token."
    )
    client_id: str = Field(
        default="",
        pattern=r"^[!-9;-~]*$",
        description="The Epic client that redeems codes; its policy must allow the grants.",
    )
    client_secret: Secret | None = Field(default=None, description="The secret of the Epic client that redeems codes.")
    application_id: str = Field(
        default="", description="The Epic Account Services application that redeemed codes must belong to."
    )
    product_ids: tuple[str, ...] = Field(
        default=(), description="The products that a token may come from; empty admits every product of the clients."
    )
    sandbox_ids: tuple[str, ...] = Field(
        default=(), description="The sandboxes that a token may come from; required in production."
    )
    deployment_ids: tuple[str, ...] = Field(
        default=(), description="The deployments that a token may come from or a game may name; required in production."
    )
    default_deployment_id: str = Field(
        default="", description="The deployment that a code is redeemed for when the game names none."
    )
    scopes: tuple[str, ...] = Field(
        default=("basic_profile", "openid"),
        description="The scopes asked for with a code, which must equal the permissions of the Epic application.",
    )
    allowed_external_accounts: tuple[str, ...] = Field(
        default=("epicgames",), description="The kinds of account that may stand behind an EOS Connect token."
    )
    allow_device_accounts: bool = Field(
        default=False, description="Whether EOS Connect accounts with nobody behind them may log in."
    )
    require_id_token: bool = Field(
        default=False, description="Whether a redeemed code without an id_token is refused as a mistake of the set-up."
    )
    id_token_reuse: bool = Field(
        default=False, description="Whether an id_token may log in more than once while it is valid."
    )
    browser_sign_in: bool = Field(
        default=True, description="Whether players may sign in on Epic's page, if client_id and client_secret are set."
    )
    browser_pkce: bool = Field(
        default=False, description="Whether that sign-in sends a PKCE challenge, which Epic does not document."
    )
    hosts: EpicHosts = Field(
        default=EpicHosts(), description="Where Epic is; to be changed only for the emulator, with dev = true."
    )

    @property
    def signs_in_browsers(self) -> bool:
        """Whether players are sent to Epic's page, from where they come back with a code."""
        return self.browser_sign_in and bool(self.client_id and self.client_secret)

    @property
    def redeems_codes(self) -> bool:
        """Whether codes come at all, from games or from the browser."""
        return self.signs_in_browsers or not _CODE_KINDS.isdisjoint(self.accept)

    @property
    def known_deployments(self) -> frozenset[str]:
        """The deployments that a request may name."""
        return frozenset({*self.deployment_ids, self.default_deployment_id} - {""})

    def addresses(self) -> tuple[str, ...]:
        """The one host that is called; `www` is only ever named to players."""
        return (self.hosts.api,)

    def problems(self, *, dev: bool) -> list[str]:
        """What is wrong with the block beyond its types."""
        table = [
            (
                self.redeems_codes and not (self.client_id and self.client_secret),
                "client_id and client_secret are missing: set both, or take the two kinds of code out of accept",
            ),
            (
                bool(self.client_id) and self.client_id not in self.client_ids,
                "client_id is not in client_ids: add it, because the tokens of redeemed codes name it as audience",
            ),
            (
                not dev and not (self.sandbox_ids and self.deployment_ids),
                "sandbox_ids or deployment_ids is missing: list the released game's, or development tokens can log in",
            ),
            (
                bool(self.deployment_ids and self.default_deployment_id)
                and self.default_deployment_id not in self.deployment_ids,
                "default_deployment_id is not in deployment_ids: add it, or name one that is",
            ),
            (
                self.require_id_token and self.redeems_codes and "openid" not in self.scopes,
                "require_id_token needs the scope openid: add it to scopes and to the Epic application",
            ),
            (not dev and self.hosts != EpicHosts(), "hosts may be changed only with dev = true: remove the block"),
        ]
        return [text for wrong, text in table if wrong]

    def warnings(self) -> list[str]:
        """What is allowed but risky."""
        table = [
            (
                self.redeems_codes and "openid" not in self.scopes,
                "scopes lacks openid: Epic then sends no id_token with a code, and its sandbox cannot be checked",
            ),
            (
                self.redeems_codes and not self.default_deployment_id,
                "default_deployment_id is missing: codes that come without a deployment_id may be refused",
            ),
            (self.id_token_reuse, "id_token_reuse lets a stolen id_token log in until it expires"),
            (
                self.allow_device_accounts,
                "allow_device_accounts admits accounts with nobody behind them, which cannot be recovered",
            ),
        ]
        return [text for risky, text in table if risky]
