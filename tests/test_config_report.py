"""What an operator reads about a bad file."""

from authsrv.config import ConfigError, Problem, report

WILDCARD = Problem(
    "authsrv.toml",
    12,
    "projects.skyforge.clients.launcher.redirect_uris[0]",
    "the redirect URI has a wildcard",
    "list every address by itself; they are compared exactly",
)
UNPLACED = Problem("authsrv.toml", 0, "issuer", "this is required, and not there", "add it")
WHOLE = Problem("authsrv.toml", 0, "", "the file is not UTF-8")


def test_the_report_names_file_line_key_problem_and_remedy() -> None:
    assert report([WILDCARD, UNPLACED], [WHOLE]) == (
        "authsrv.toml, line 12, projects.skyforge.clients.launcher.redirect_uris[0]\n"
        "  problem: the redirect URI has a wildcard\n"
        "  remedy:  list every address by itself; they are compared exactly\n"
        "\n"
        "authsrv.toml, issuer\n"
        "  problem: this is required, and not there\n"
        "  remedy:  add it\n"
        "\n"
        "authsrv.toml\n"
        "  warning: the file is not UTF-8\n"
        "\n"
        "2 problems, 1 warning"
    )


def test_a_sound_file_is_reported_in_one_line() -> None:
    assert report([], []) == "no problems, no warnings"


def test_where_is_line_and_key() -> None:
    assert WILDCARD.where == "line 12, projects.skyforge.clients.launcher.redirect_uris[0]"
    assert UNPLACED.where == "issuer"
    assert WHOLE.where == ""


def test_a_problem_and_the_error_print_themselves() -> None:
    assert str(UNPLACED) == "authsrv.toml, issuer\n  problem: this is required, and not there\n  remedy:  add it"
    error = ConfigError([UNPLACED], [WHOLE])
    assert str(error) == report([UNPLACED], [WHOLE])
    assert (error.problems, error.warnings) == ([UNPLACED], [WHOLE])
