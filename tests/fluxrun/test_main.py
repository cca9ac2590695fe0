"""The entry point: only the command that is asked for is made, and the others are still there for those who ask."""

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


def test_every_command_is_called_as_its_function(whole):
    from typer.main import get_command

    assert sorted(get_command(main.app).commands) == sorted(whole)
