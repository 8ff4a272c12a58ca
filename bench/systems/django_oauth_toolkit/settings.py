"""Django as a provider alone needs it in production: what the measured endpoints use and nothing else.

Owns every choice that makes django-oauth-toolkit fast, with its reason. Paths and the issuer come from the environment.
"""

import os
from pathlib import Path

DEBUG = False
SECRET_KEY = "bench-of-loopback-only-nothing-is-signed-by-it"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "oauth2_provider"]
# No measured endpoint needs one. With login pages there would be sessions, authentication and CSRF for every request.
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "urls"
USE_TZ = True
USE_I18N = False
LOGGING_CONFIG = None
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["BENCH_DATABASE"],
        # One connection that stays open.
        "CONN_MAX_AGE": None,
        # Not ATOMIC_REQUESTS: it saves commits, but then no thread computes while another waits for its fsync, and
        # that costs more requests than the commits do.
        "OPTIONS": {
            # Threads wait for the writer's lock before they read, instead of failing when they come to write.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
        },
    }
}

OAUTH2_PROVIDER = {
    "OIDC_ENABLED": True,
    "OIDC_ISS_ENDPOINT": os.environ["BENCH_ISSUER"],
    "OIDC_RSA_PRIVATE_KEY": Path(os.environ["BENCH_KEY"]).read_text(),
    "PKCE_REQUIRED": True,
    "ROTATE_REFRESH_TOKEN": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 30 * 86400,
    "ACCESS_TOKEN_EXPIRE_SECONDS": 900,
    "ID_TOKEN_EXPIRE_SECONDS": 900,
    "SCOPES": {name: name for name in ("openid", "profile", "offline_access", "introspection")},
    "DEFAULT_SCOPES": ["profile"],
    # Tokens are kept as hashes, as authsrv keeps them; it makes rows shorter and costs nothing.
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
}
