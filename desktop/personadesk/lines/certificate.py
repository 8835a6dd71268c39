"""Certificates for lines that are reached from other computers: a given one, or one that this computer makes.

The rule is that of the voice server's own: an elliptic key, 397 days, made anew a month before it ends or when a
name is missing.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from personadesk.domain.access import Access, Tls
from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DAYS = 397
"""What browsers accept at most."""
RENEW_DAYS = 30


def context_of(access: Access, folder: Path, names: Iterable[str]) -> ssl.SSLContext | None:
    """Return what a listener needs, None where no certificate is wanted.

    Args:
        access: Which certificate.
        folder: Where one that is made is kept.
        names: Under which this computer is known; they are in one that is made.

    Raises:
        BadRequest: A given certificate cannot be used.
        OSError: One that is made cannot be kept.
    """
    if access.tls is Tls.OFF:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate, key = access.certificate, access.key
    if access.tls is Tls.OWN:
        certificate, key = _own(folder, names)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise BadRequest(
            T("The certificate {file} cannot be used with its key.", file=certificate),
            T("Name the file with the whole chain, and the key that belongs to it, both as PEM."),
            cause="bad_certificate",
            details=str(error),
        ) from error
    return context


def fingerprint(certificate: Path) -> str:
    """Return the SHA-256 fingerprint of a certificate's file, as browsers show it."""
    known = x509.load_pem_x509_certificate(certificate.read_bytes())
    return known.fingerprint(hashes.SHA256()).hex(":").upper()


def own_file(folder: Path) -> Path:
    """Return where the certificate lies that this computer makes."""
    return folder / "certificate.pem"


def _own(folder: Path, names: Iterable[str]) -> tuple[str, str]:
    certificate, key = own_file(folder), folder / "key.pem"
    wanted = sorted({*names, socket.gethostname(), "localhost", "127.0.0.1", "::1"} - {""})
    if not _fits(certificate, key, wanted):
        _make(certificate, key, wanted)
    return str(certificate), str(key)


def _fits(certificate: Path, key: Path, names: list[str]) -> bool:
    try:
        known = x509.load_pem_x509_certificate(certificate.read_bytes())
        named = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        secret = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    left = known.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return (
        secret.public_key() == known.public_key()
        and left.days > RENEW_DAYS
        and {_general(name) for name in names} <= set(named)
    )


def _make(certificate: Path, key: Path, names: list[str]) -> None:
    secret = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "PersonaDesk line")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(
            x509.SubjectAlternativeName([_general(name) for name in names]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key.unlink(missing_ok=True)
    handle = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(
            secret.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
