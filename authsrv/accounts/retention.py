"""For how long what belongs to one player is kept, and who has been away for too long. Pure.

Owns that things of children and teenagers are kept for half as long.
"""

from collections.abc import Sequence
from dataclasses import replace

from authsrv.account_models import AccountRecord, Dossier
from authsrv.models import AccountRules, Player, Retention

_DAY = 86400
_MINORS = frozenset({"child", "teen"})


def is_minor(player: Player, rules: AccountRules) -> bool:
    """Whether the player is a child or a teenager, or may be one in a project directed at children."""
    return player.age_group in _MINORS or (not player.age_group and rules.directed_at_children)


def kept_for(player: Player, rules: AccountRules, retention: Retention) -> Retention:
    """For how long things of this player are kept. What is kept for a day or less is so for everybody."""
    if not is_minor(player, rules):
        return retention
    return replace(
        retention,
        journal=_halved(retention.journal),
        addresses=_halved(retention.addresses),
        bans=_halved(retention.bans),
        withdrawn_consents=_halved(retention.withdrawn_consents),
        inactive_accounts=_halved(retention.inactive_accounts),
    )


def _halved(seconds: int) -> int:
    return seconds // 2 if seconds > _DAY else seconds


def seems_inactive(player: Player, kept: Retention, now: int) -> bool:
    """Whether a player has not logged in for too long, of whom things are kept so. A restricted one never goes."""
    limit = kept.inactive_accounts
    is_restricted = player.is_barred(now) and player.barred_as == "restricted"
    return bool(limit) and player.last_login_at < now - limit and player.merged_into is None and not is_restricted


def last_seen(dossier: Dossier) -> int:
    """When the player was last there: by a login, a refresh, or a browser session."""
    return max(moment for record in (dossier.own, *dossier.merged) for moment in _moments(record))


def _moments(record: AccountRecord) -> Sequence[int]:
    grants = [max(grant.created_at, grant.refreshed_at) for grant in record.grants]
    return [record.account.player.last_login_at, *grants, *(one.session.used_at for one in record.sessions)]
