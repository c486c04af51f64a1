"""Whether the certificates of an origin can be used, asked when they are given and not when they are first needed."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from regional.configuration import Origin, OriginSecret, Problem


def problems_of_certificates(origin: Origin, secret: OriginSecret) -> list[Problem]:
    """What is wrong with the authorities, the client certificate and its key; no message quotes any of them."""
    problems = []
    if origin.sslrootcert is not None and not _certificates(origin.sslrootcert):
        problems.append(Problem("origin.sslrootcert", "must be the PEM text of one or more certificates"))
    if (origin.sslcert is None) != (secret.client_key is None):
        missing, present = ("sslkey", "sslcert") if secret.client_key is None else ("sslcert", "sslkey")
        problems.append(Problem(f"origin.{missing}", f"is missing; origin.{present} needs it"))
    if origin.sslcert is None or secret.client_key is None:
        return problems
    chain = _certificates(origin.sslcert)
    if not chain:
        return [*problems, Problem("origin.sslcert", "must be the PEM text of a certificate, its chain behind it")]
    try:
        key = load_pem_private_key(secret.client_key.encode(), password=None)
    except TypeError:
        return [*problems, Problem("origin.sslkey", "must not be encrypted; it is sealed here under the store's key")]
    except Exception:  # noqa: BLE001 (the library names no base; the text could quote the key)
        return [*problems, Problem("origin.sslkey", "must be the PEM text of a private key")]
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != chain[0].public_key().public_bytes(*form):
        problems.append(Problem("origin.sslkey", "is not the key of origin.sslcert"))
    return problems


def _certificates(text: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        return []
