"""One certificate authority per cluster, used once and thrown away.

Dask accepts every leaf of a known authority, so the authority is the cluster's own, signs one leaf that scheduler,
workers and clients share, and its key is kept nowhere.
"""

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from amasia.models.base import now
from amasia.models.clusters import Security

LIFE = timedelta(days=30)


def issue(cluster_id: str) -> Security:
    """PEM texts of authority, leaf and the leaf's key (P-256)."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name(f"{cluster_id} authority")
    authority = (
        _builder(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = (
        _builder(_name(cluster_id), ca_name, key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(cluster_id)]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Security(
        scheduler_address="",
        tls_ca=_pem(authority),
        tls_certificate=_pem(leaf),
        tls_key=private.decode(),
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - timedelta(minutes=5))
        .not_valid_after(now() + LIFE)
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
