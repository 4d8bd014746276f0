"""What a command says when it cannot do what was asked: the trouble, and the cure."""


class CommandError(Exception):
    """Ends the command with status 1. ``trouble`` says what is wrong, ``cure`` what to do."""

    def __init__(self, trouble: str, cure: str = "") -> None:
        super().__init__(f"{trouble}\n{cure}" if cure else trouble)
        self.trouble = trouble
        self.cure = cure
