"""Profile files for tests: a profile ``ehr`` whose token is the issuer's beside the test."""

from __future__ import annotations

from pathlib import Path

from outside import Outside

SECRET = "cl13nt-s3cret"
"""What the client of the profile shows; nobody else may."""


def client_credentials(outside: Outside, folder: Path, more: str = "") -> str:
    """The text of a file with one profile, whose secret and store are in the folder; ``more`` is said in its first table."""
    (folder / "secret").write_text(SECRET)
    return f"""
[profiles.ehr]
base_url = "{outside.api_url}"
store = {{ kind = "file", directory = "{folder / "store"}" }}
{more}

[profiles.ehr.token]
grant = "client_credentials"
token_endpoint = "{outside.token_url}"
client_id = "reports"
client_secret = "file:{folder / "secret"}"
scopes = ["reports:read"]
"""


def kept(outside: Outside, folder: Path, more: str = "", token_says: str = "") -> str:
    """The text of a file with one profile, whose token is in a file of the folder."""
    (folder / "token").write_text(outside.token())
    return f"""
[profiles.ehr]
base_url = "{outside.api_url}"
{more}

[profiles.ehr.token]
source = "file:{folder / "token"}"
{token_says}
"""


def written(folder: Path, text: str) -> Path:
    """The file that holds this text."""
    path = folder / "keyfob.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path
