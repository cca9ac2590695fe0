"""The entry point: only the command that is asked for is made, and the others are still there for those who ask."""

import re

import pytest

from fluxrun import main


@pytest.fixture(autouse=True)
def whole():
    """Put all commands back."""
    commands = list(main.app.registered_commands)
    yield [command.callback.__name__ for command in commands]
    main.app.registered_commands[:] = commands


def known():
    return [command.callback.__name__ for command in main.app.registered_commands]


def test_only_the_command_that_is_asked_for(whole):
    main._only(["check"])
    assert known() == ["check"]


@pytest.mark.parametrize("first", [[], ["--help"], ["--version"], ["chekc"]])
def test_all_commands_where_none_is_asked_for(whole, first):
    main._only(first)
    assert known() == whole


def test_the_list_of_commands_cuts_no_sentence(whole):
    from typer.testing import CliRunner

    page = CliRunner().invoke(main.app, ["--help"]).stdout
    assert "..." not in page.partition("Commands:")[2]
    assert all(f"\n  {name}  " in page for name in whole)
    version = [CliRunner().invoke(main.app, [option]).stdout for option in ("-V", "--version")]
    assert version[0] == version[1] != ""


def test_help_pages_name_values_plainly(whole):
    from typer.testing import CliRunner

    for name in whole:
        page = CliRunner().invoke(main.app, [name, "--help"]).stdout
        assert not re.search(r"--\S+ <(?:int|str|float)|\{[a-z]|\[[a-z]+\] *$", page.partition("\n\n")[0] + page), name


def test_every_command_is_called_as_its_function(whole):
    from typer.main import get_command

    assert sorted(get_command(main.app).commands) == sorted(whole)
