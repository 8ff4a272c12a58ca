"""Every system of a full run, in the order of the table. A new one is a module beside this and a line here."""

from collections.abc import Callable

from bench.systems.authsrv import Authsrv
from bench.systems.authsrv_postgres import AuthsrvOnPostgres
from bench.systems.base import System
from bench.systems.canaille import Canaille
from bench.systems.django_oauth_toolkit import DjangoOAuthToolkit
from bench.systems.flask_authlib import FlaskAuthlib
from bench.systems.floor import Floor
from bench.systems.oidc_provider import OidcProvider, OidcProviderTogether

SYSTEMS: dict[str, Callable[[], System]] = {
    "authsrv": Authsrv,
    "floor": Floor,
    "authsrv-postgres": AuthsrvOnPostgres,
    "oidc_provider": OidcProvider,
    "oidc_provider_grouped": OidcProviderTogether,
    "flask_authlib": FlaskAuthlib,
    "django_oauth_toolkit": DjangoOAuthToolkit,
    "canaille": Canaille,
}
"""By the name that `--systems` takes. The floor comes right after authsrv, so that their rounds are neighbours."""
