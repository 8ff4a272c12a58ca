"""What the program says when it cannot do as it was told."""


def complaint(text: str) -> str:
    """Any of them."""
    return f"authsrv: {text}"


def unusable(error: Exception) -> str:
    """About a configuration with mistakes in it."""
    return complaint(f"the configuration cannot be used\n\n{error}")
