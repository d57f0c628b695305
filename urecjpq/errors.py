"""One way to refuse an argument, a file or a row."""


class InputError(ValueError):
    """Something the caller gave us breaks a rule; the message says which, and what to do next."""


class Unreadable(InputError):
    """An item's content cannot be encoded; ``reason`` says why in a few words to be counted."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def require(condition: bool, rule: str, got: object, hint: str = "") -> None:
    """Raise ``InputError("<rule>; got <got>. <hint>")`` unless ``condition`` holds."""
    if not condition:
        raise InputError(f"{rule}; got {got}." + (f" {hint}" if hint else ""))
