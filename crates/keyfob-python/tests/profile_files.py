"""Profile files for tests: a profile ``ehr`` whose token comes from the issuer of the test."""

from __future__ import annotations

from pathlib import Path

from servers import Servers

SECRET = "cl13nt-s3cret"
"""The client secret of the profile, which must appear nowhere else."""


def client_credentials(servers: Servers, folder: Path, more: str = "") -> str:
    """The text of a file with one profile, whose secret and store are in the folder; ``more`` goes into its first table."""
    secret = folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    return f"""
[profiles.ehr]
base_url = "{servers.api_url}"
store = {{ kind = "file", directory = "{folder / "store"}" }}
{more}

[profiles.ehr.token]
grant = "client_credentials"
token_endpoint = "{servers.token_url}"
client_id = "reports"
client_secret = "file:{folder / "secret"}"
scopes = ["reports:read"]
"""


def from_file(servers: Servers, folder: Path, more: str = "", token_settings: str = "") -> str:
    """The text of a file with one profile, whose token is read from a file in the folder."""
    token = folder / "token"
    token.write_text(servers.token())
    token.chmod(0o600)
    return f"""
[profiles.ehr]
base_url = "{servers.api_url}"
{more}

[profiles.ehr.token]
source = "file:{folder / "token"}"
{token_settings}
"""


def token_exchange(servers: Servers) -> str:
    """The text of a profile ``orders``, which exchanges the token of each user for one of the API."""
    return f"""
[profiles.orders]
base_url = "{servers.api_url}"
store = "memory"

[profiles.orders.token]
grant = "token_exchange"
token_endpoint = "{servers.token_url}"
client_id = "gateway"
subject_token = "env:UNUSED"
"""


def written(folder: Path, text: str) -> Path:
    """Writes a profile file with this text."""
    path = folder / "keyfob.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path
