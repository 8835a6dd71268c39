"""A certificate that the server makes for itself, so that a browser lets a page use the microphone across a network.

Nothing vouches for it: browsers warn once, and its fingerprint, which is logged, is what to compare then.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

CERTIFICATE: Final = "certificate.pem"
KEY: Final = "key.pem"
_DAYS: Final = 397
"""What browsers accept at most."""
_RENEW_DAYS: Final = 30


class TlsError(Exception):
    """There is no certificate to be had; the text is a sentence for the person who starts the server."""


def self_signed(folder: Path, host: str) -> tuple[Path, Path, str]:
    """Return certificate, key and the certificate's SHA-256 fingerprint, made anew when none fits.

    Args:
        folder: Where both are kept, so that the certificate stays the same between starts.
        host: What the server listens on; this computer's names are always in it.

    Raises:
        TlsError: `cryptography` is not installed, or the folder cannot be used.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
    except ImportError as error:
        raise TlsError(
            "A certificate can be made only with the package cryptography. Install personaplex-server[tls], "
            "or give --tls-cert and --tls-key."
        ) from error
    certificate, key = folder / CERTIFICATE, folder / KEY
    names = _names(host)
    try:
        if not _fits(certificate, key, names):
            _make(folder, names)
        known = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise TlsError(f"The certificate cannot be kept in {folder}: {error}.") from error
    return certificate, key, known.fingerprint(hashes.SHA256()).hex(":")


def _names(host: str) -> list[str]:
    return sorted({host, socket.gethostname(), "localhost", "127.0.0.1", "::1"} - {""})


def _general(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _fits(certificate: Path, key: Path, names: list[str]) -> bool:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if not (certificate.is_file() and key.is_file()):
        return False
    try:
        known = x509.load_pem_x509_certificate(certificate.read_bytes())
        named = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if load_pem_private_key(key.read_bytes(), None).public_key() != known.public_key():
            return False
    except (TypeError, ValueError, x509.ExtensionNotFound):
        return False
    left = known.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return left.days > _RENEW_DAYS and {_general(name) for name in names} <= set(named)


def _make(folder: Path, names: list[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    secret = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "PersonaPlex voice server")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(
            x509.SubjectAlternativeName([_general(name) for name in names]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / KEY).unlink(missing_ok=True)
    handle = os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(
            secret.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    (folder / CERTIFICATE).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
