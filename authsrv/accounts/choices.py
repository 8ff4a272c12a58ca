"""What a player may choose when a platform account cannot just be connected.

Owns which choices there are for two accounts, in which words, and what they warn of. A choice is offered if its plan
succeeds on what was loaded: so nothing is offered that is refused anyway.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from authsrv.accounts.cases import Case
from authsrv.accounts.outcomes import Choice, Survivor, chosen
from authsrv.errors import AuthsrvError
from authsrv.oauth.marks import IdentityMarks
from authsrv.records import dataclass

_EFFECTS: Mapping[Choice, str] = {
    "switch": "continue as the other player; this one is kept",
    "link": "link the platform account to this player",
    "transfer": "move the platform account to this player",
    "merge": "one player remains",
    "create": "continue as a new player with the platform account; this one is kept",
    "sign_in": "sign in as the player of the platform account",
    "cancel": "nothing changes",
}
_BY_OUTCOME: Mapping[str, Sequence[Choice]] = {
    "sign_in": ("sign_in",),
    "create": ("create",),
    "create_and_switch": ("create",),
    "link": ("link",),
    "switch": ("switch",),
    "conflict": ("switch", "transfer", "merge"),
    "already_linked": ("switch", "merge", "create"),
}
_LAST_WAY_IN = "other_player_has_no_other_login"


@dataclass(frozen=True, slots=True)
class Offer:
    """A choice that is possible. `survivors` are those that a merge may leave."""

    choice: Choice
    warning: str = ""
    survivors: tuple[Survivor, ...] = ()

    def told(self) -> dict[str, Any]:
        """The choice, to the player."""
        found: dict[str, Any] = {"id": self.choice, "effect": _EFFECTS[self.choice]}
        if self.warning:
            found["warning"] = self.warning
        return found | ({"needs": ["survivor"], "survivors": list(self.survivors)} if self.survivors else {})


def offers(case: Case, marks: IdentityMarks) -> tuple[Offer, ...]:
    """Everything that may be chosen. Who must sign in again for it may do so before they choose."""
    case, wanted = _signed_in_again(case), _BY_OUTCOME.get(case.decision.outcome, ())
    found = (_offer(case, marks, choice) for choice in wanted if is_allowed(case, choice))
    return (*(offer for offer in found if offer), *((Offer("cancel"),) if case.current else ()))


def _signed_in_again(case: Case) -> Case:
    return replace(case, session=replace(case.session, auth_time=case.occasion.now)) if case.session else case


def is_allowed(case: Case, choice: Choice) -> bool:
    """Whether the project lets players choose this, and it means anything for these accounts."""
    rules, flags = case.occasion.project.accounts, case.wishes.flags
    match choice:
        case "transfer":
            return rules.transfer
        case "merge":
            return rules.merge and case.other is not None
        case "create":
            return case.owner is None and not flags.do_not_create_new_player
        case "switch":
            return case.other is not None
        case _:
            return True


def _offer(case: Case, marks: IdentityMarks, choice: Choice) -> Offer | None:
    if choice == "merge":
        survivors: tuple[Survivor, ...] = ("current", "other")
        left = tuple(one for one in survivors if _succeeds(case, marks, choice, one))
        return Offer(choice, survivors=left) if left else None
    if not _succeeds(case, marks, choice, None):
        return None
    return Offer(choice, _LAST_WAY_IN if choice == "transfer" and _takes_the_last(case) else "")


def _succeeds(case: Case, marks: IdentityMarks, choice: Choice, survivor: Survivor | None) -> bool:
    try:
        chosen(case, marks, choice, survivor)
    except AuthsrvError:
        return False
    return True


def _takes_the_last(case: Case) -> bool:
    return case.other is not None and len(case.other.identities) <= 1
