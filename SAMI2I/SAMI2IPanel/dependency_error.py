"""The error of installing packages."""


class DependencyError(Exception):
    """The packages could not be installed or do not work.

    Args:
        message: What is wrong.
        hint: What to do about it.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message} {hint}")
        self.message = message
        self.hint = hint
