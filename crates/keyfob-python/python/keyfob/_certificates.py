"""The certificate authorities that are trusted in place of the system's, and the client's own certificate."""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path
from typing import Any

from urllib3.util.ssl_ import create_urllib3_context

from keyfob._values import Transport

Verify = str | os.PathLike[str] | bool | None
"""A file with certificate authorities (PEM); ``None`` or true for the file of the environment, or the system's."""

Cert = str | os.PathLike[str] | tuple[str | os.PathLike[str], str | os.PathLike[str]] | None
"""A file (PEM) with a client certificate and its key, or the two files."""

_logger = logging.getLogger("keyfob")


def files(cert: Cert) -> tuple[str, str] | None:
    """The files of a client certificate and of its key; ``None`` if there is none."""
    return None if cert is None else pair_of(cert)


def pair_of(cert: str | os.PathLike[str] | tuple[Any, Any]) -> tuple[str, str]:
    """The files of a client certificate and of its key."""
    if isinstance(cert, (str, os.PathLike)):
        return os.fspath(cert), os.fspath(cert)
    certificate, key = cert
    return os.fspath(certificate), os.fspath(key)


class EncryptedKey(str):  # noqa: SLOT000 — it has an attribute.
    """The path of an encrypted key, with its passphrase, which `repr` does not show."""

    passphrase: str | None = None


class ClientCertificate:
    """A client certificate, which is read again when its files change.

    A pair that cannot be used leaves the old one in use, and a warning is logged once.
    """

    def __init__(self, pair: tuple[str, str]) -> None:
        self._pair = pair
        passphrase = pair[1].passphrase if isinstance(pair[1], EncryptedKey) else None
        # Without one, OpenSSL would ask at the terminal.
        self._passphrase = passphrase or ""
        self._state = self._look()
        self._context = self._read()

    def context(self) -> ssl.SSLContext:
        """TLS settings with the certificate that is in the files now. After a change they are another object."""
        state = self._look()
        if state != self._state:
            self._state = state
            try:
                self._context = self._read()
            except ValueError as error:
                _logger.warning(
                    "the new client certificate cannot be used; the old one stays in use: %s", error
                )
        return self._context

    def load(self, context: ssl.SSLContext) -> None:
        """Adds the certificate to TLS settings.

        Raises:
            ValueError: It cannot be used; the error names its files.
        """
        certificate, key = self._pair
        try:
            context.load_cert_chain(certificate, key, self._passphrase)
        except OSError as cause:  # An `SSLError` too.
            raise ValueError(
                f"the client certificate {certificate} with the key {key} cannot be used: {_why(cause)}"
            ) from cause

    def _read(self) -> ssl.SSLContext:
        context = create_urllib3_context()
        self.load(context)
        return context

    def _look(self) -> Any:
        def state(path: str) -> Any:
            try:
                found = Path(path).stat()
            except OSError:
                return None
            return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size

        return [state(path) for path in self._pair]


def _why(error: OSError) -> str:
    if not isinstance(error, ssl.SSLError):
        return error.strerror or "it cannot be read"
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the certificate"
    return "it is not in PEM, is damaged, or the key is encrypted"


def ca_file(verify: Verify) -> str | None:
    """The file that a user names; ``None`` if there is none.

    Raises:
        ValueError: Verification is turned off.
    """
    if verify is None or verify is True:
        return None
    if verify is False:
        raise ValueError(
            "verify=False would send the token to any server that claims to be the right one; "
            "name the file with your certificate authority: verify='authority.pem'"
        )
    return os.fspath(verify)


def transport(
    verify: Verify, cert: Cert, allow_plain_http: str | None, timeout: float | None
) -> Transport:
    """How a source reaches its server."""
    return Transport(ca_file(verify) or of_requests(), files(cert), allow_plain_http, timeout)


def checked(path: str) -> str:
    """The path, if its file can be used as a CA file.

    Raises:
        ValueError: The file is missing, empty or not in PEM; the error names it.
    """
    if Path(path).is_dir():  # `requests` takes a directory that OpenSSL has prepared.
        return path
    try:
        ssl.create_default_context(cafile=path)
    except OSError as cause:  # An `SSLError` too.
        problem = "cannot be read" if Path(path).is_file() is False else "has no certificate in PEM"
        raise ValueError(f"the CA file {path} {problem}") from cause
    return path


def of_requests() -> str | None:
    """The file that the environment names for ``requests``."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or None


def of_environment() -> str | None:
    """The file that the environment names for ``requests``, or for OpenSSL and rustls."""
    return of_requests() or os.environ.get("SSL_CERT_FILE") or None


def context(path: str | None, cert: Cert = None) -> ssl.SSLContext:
    """The TLS settings of a client that trusts this file, or else the one of the environment, or the system."""
    file = path or of_environment()
    made = ssl.create_default_context(cafile=None if file is None else checked(file))
    pair = files(cert)
    if pair is not None:
        ClientCertificate(pair).load(made)
    return made


def advise(error: BaseException) -> None:
    """Adds to the error of a failed TLS handshake what to do, as a note (PEP 678); the error itself does not change."""
    advice = _advice(_tls_error(error))
    add_note = getattr(error, "add_note", None)  # Python 3.10 has none.
    if advice is not None and add_note is not None:
        add_note(f"keyfob: {advice}")


def ended_by_server(error: BaseException) -> bool:
    """Whether the server ended the connection, as while it restarts. Other errors of TLS come again at the next attempt."""
    return isinstance(_tls_error(error), (ssl.SSLEOFError, ssl.SSLZeroReturnError))


def _tls_error(error: object) -> ssl.SSLError | None:
    """The error of OpenSSL, among the causes of one of ``requests`` or ``httpx``."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        if isinstance(one, ssl.SSLError):
            return one
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return None


def _advice(error: ssl.SSLError | None) -> str | None:
    if error is None:
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        return _OF_CERTIFICATES.get(error.verify_code)
    if isinstance(error, ssl.SSLEOFError):
        # In TLS 1.3 a server may close the connection so early that its alert is lost.
        return (
            f"the server ended the TLS connection; if it demands a client certificate, {_NAME_ONE}"
        )
    reason = error.reason or ""
    found = (advice for part, advice in _OF_ALERTS if part in reason)
    return next(found, None)


_AUTHORITY = (
    "the certificate of the server comes from an authority that is not trusted, or is self-signed; if it is yours, name the file "
    "with its certificate: verify='authority.pem', `ca_file` in a profile, or SSL_CERT_FILE"
)
_OTHER_NAME = "the certificate of the server is for another host; use a name that it was issued for"
_OF_CERTIFICATES = {
    9: "the certificate of the server is not valid yet; check the clock of this machine",
    10: "the certificate of the server has expired; renew it, and check the clock of this machine",
    18: _AUTHORITY,
    19: _AUTHORITY,
    20: _AUTHORITY,
    21: _AUTHORITY,
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}
"""By the codes of OpenSSL's `X509_V_ERR_…`."""

_NAME_ONE = "name one: cert=('tls.crt', 'tls.key'), or `client_certificate` in a profile"
_OF_ALERTS = [
    ("CERTIFICATE_REQUIRED", f"the server demands a client certificate; {_NAME_ONE}"),
    (
        "HANDSHAKE_FAILURE",
        f"the server demands a client certificate, or has no cipher in common with this machine; {_NAME_ONE}",
    ),
    (
        "ALERT_CERTIFICATE_EXPIRED",
        "the server does not accept the client certificate: it has expired, or is not valid yet by the server's clock",
    ),
    (
        "ALERT_UNKNOWN_CA",
        "the server does not accept the client certificate: it comes from an authority that the server does not trust",
    ),
    (
        "CERTIFICATE",
        f"the server does not accept the client certificate; if none was given, {_NAME_ONE}",
    ),
    ("PROTOCOL", "the server and this machine have no version of TLS in common; update the server"),
    (
        "WRONG_VERSION",
        "the server does not speak TLS; if it speaks plain http, its URL begins with http://",
    ),
    (
        "RECORD_LAYER",
        "the server does not speak TLS; if it speaks plain http, its URL begins with http://",
    ),
]
"""By a part of OpenSSL's name of the alert."""
