"""`authsrv players ...`: what support does for players and to them.

Hold no rules: every command gives orders and prints what came of them.
"""

import typer

from authsrv.commands.players import looking

app = typer.Typer(
    name="players", help="Look for players, keep them out, mend and end their accounts.", no_args_is_help=True
)

app.command()(looking.find)
app.command()(looking.show)
