"""What every block of the configuration file is made of: strict frozen models and secrets.

Owns the rule "unknown keys are refused", the form of a base address, and how a secret is read from the environment or
a file. Knows no block by name; those stand beside the code they configure and in `config/`.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr

_BASE_ADDRESS = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*")


class Settings(BaseModel):
    """Base of every configuration block: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)


def read_secret(value: Any) -> Any:
    """Resolve `{ env = "NAME" }` or `{ file = "path" }` to the secret's text; anything else is passed through.

    Raises ValueError with a text that names the variable or the path, never the content.
    """
    if not isinstance(value, dict):
        return value
    if set(value) == {"env"}:
        return _from_environment(value["env"])
    if set(value) == {"file"}:
        return _from_file(value["file"])
    raise ValueError('write a secret as { env = "NAME" } or { file = "path" }')


def _from_environment(name: Any) -> str:
    found = os.environ.get(str(name), "").strip()
    if not found:
        raise ValueError(f"the environment variable {name} is not set; set it, or name another one")
    return found


def _from_file(path: Any) -> str:
    try:
        found = Path(str(path)).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the file {path} cannot be read; create it, or name another one") from error
    if not found:
        raise ValueError(f"the file {path} is empty; write the secret into it")
    return found


Secret = Annotated[SecretStr, BeforeValidator(read_secret)]
"""A secret setting. Printing a block shows asterisks; `.get_secret_value()` gives the text."""


def check_base_address(text: str) -> str:
    """The text itself. Raises ValueError unless it is the base of addresses of the web."""
    if not _BASE_ADDRESS.fullmatch(text):
        raise ValueError("this is not a base URL; write scheme, host, port and path without a slash at the end")
    return text


BaseAddress = Annotated[str, AfterValidator(check_base_address)]
"""Where a platform or a service is. What lies below it may be called."""
