"""`authsrv players ...`: what support does for players and to them.

Hold no rules: every command gives orders and prints what came of them.
"""

import typer

from authsrv.commands.players import barring, forgetting, looking, owning

app = typer.Typer(
    name="players", help="Look for players, keep them out, mend and end their accounts.", no_args_is_help=True
)

app.command()(looking.find)
app.command()(looking.show)
app.command()(barring.ban)
app.command()(barring.unban)
app.command()(barring.restrict)
app.command()(owning.link)
app.command()(owning.unlink)
app.command()(owning.transfer)
app.command()(owning.merge)
app.command()(owning.undo)
app.command()(forgetting.export)
app.command()(forgetting.erase)
