"""What a project does with players by their age group, as pure decisions: let them in, nameless, or not at all.

Owns what an unknown age means. An age group is `child`, `teen`, `adult`, or empty while nobody told. Knows neither
platforms nor OAuth.
"""

from dataclasses import replace

from authsrv.errors import AccessDenied
from authsrv.models import AccountRules, LoadedGrant, Player

_STRICTEST_FIRST = ("child", "teen", "adult", "")


def is_guarded(rules: AccountRules, age_group: str) -> bool:
    """Whether nothing personal is kept of players of this age group, if they come in at all.

    Who may be of any age is a child where the project is directed at children.
    """
    return (age_group or ("child" if rules.directed_at_children else "unknown")) in rules.guarded_age_groups


def may_come(rules: AccountRules, age_group: str, *, guest: bool) -> bool:
    """Whether players of this age group may come by a platform account, or as a guest."""
    if not is_guarded(rules, age_group) or rules.age_policy == "allow_without_pii":
        return True
    return guest and rules.age_policy == "guest_only"


def require(rules: AccountRules, age_group: str, *, guest: bool) -> None:
    """Raise `AccessDenied` for whom `may_come` does not let in."""
    if not may_come(rules, age_group, guest=guest):
        raise _too_young()


def require_link(rules: AccountRules, age_group: str) -> None:
    """Raise `AccessDenied` for a guarded player who may not link a further platform account."""
    if is_guarded(rules, age_group) and not rules.guarded_may_link:
        raise _too_young()


def require_unasked(rules: AccountRules, *, tells_ages: bool, guest: bool) -> None:
    """The same before a platform is asked anything, in a project directed at children; `tells_ages` is the platform's.

    A platform that never tells an age would be asked for nothing but what must not be known of a child.
    """
    if rules.directed_at_children and not tells_ages:
        require(rules, "", guest=guest)


def stricter(one: str, other: str) -> str:
    """The younger of two age groups; one that is known before one that is not."""
    return min(one, other, key=_STRICTEST_FIRST.index)


def discreet(rules: AccountRules, player: Player) -> Player:
    """The player as others may be told of them: of a guarded one no name, also if one was stored before."""
    return replace(player, display_name="") if player.display_name and is_guarded(rules, player.age_group) else player


def discreet_grant(rules: AccountRules, loaded: LoadedGrant) -> LoadedGrant:
    """The same of a grant: neither name nor profile goes into what is made of it."""
    if not is_guarded(rules, loaded.player.age_group):
        return loaded
    return replace(loaded, player=discreet(rules, loaded.player), profile="")


def _too_young() -> AccessDenied:
    return AccessDenied("At the player's age this game needs the help of an adult.", reason="age_restricted")
