"""What a login with a case of the emulator ends in, in one word, and what the case's own text says of that."""

from collections.abc import Awaitable

from authsrv.platforms.base import (
    CredentialRejected,
    PlatformMisconfigured,
    PlatformUnavailable,
    SignInCancelled,
    UserActionRequired,
)


async def outcome(login: Awaitable[object]) -> str:
    """What became of it."""
    try:
        await login
    except SignInCancelled:
        return "cancelled"
    except (CredentialRejected, UserActionRequired) as refused:
        return refused.reason
    except PlatformMisconfigured:
        return "misconfiguration"
    except PlatformUnavailable:
        return "unavailable"
    return "accepted"


def told_end(text: str, *, in_browser: bool = False) -> str:
    """What stands before the colon; in brackets there is what differs in a browser."""
    end, _, elsewhere = text.partition(": ")[0].removesuffix(")").partition(" (in a browser ")
    return elsewhere if in_browser and elsewhere else end
