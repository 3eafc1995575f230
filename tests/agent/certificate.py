"""A certificate that vouches for itself, for tests of TLS."""

from __future__ import annotations

import datetime
import ipaddress
import tempfile
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.ssl import DefaultOpenSSLContextFactory


@cache
def self_signed(address: str) -> bytes:
    """Key and certificate for an IP ``address``, as PEM; good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, plain, serialization.NoEncryption())
    return secret + certificate.public_bytes(pem)


def shown(pem: bytes) -> DefaultOpenSSLContextFactory:
    """What a server listens with that shows this key and certificate."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem)
        file.flush()
        return DefaultOpenSSLContextFactory(file.name, file.name)
