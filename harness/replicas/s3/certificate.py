"""A certificate for one server of one run, for clients that speak nothing but TLS."""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness.sandbox import LOOPBACK

VALID = timedelta(days=30)
"""Before and after it is minted: longer than any run."""


def mint_certificate(certificate: Path, key: Path, now: datetime) -> None:
    """Write a certificate for loopback, which is its own authority, and its key, readable by its owner only.

    Args:
        certificate: where it goes, in PEM.
        key: where its private key goes.
        now: wall time.
    """
    private = ec.generate_private_key(ec.SECP256R1())
    # pgBackRest compares the common name, and takes no address for an alternative one.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, LOOPBACK)])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID)
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.touch(mode=0o600)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
