"""TLS: a certificate of the venue's own, made when it starts, for clients that speak https and wss only.

A CA is made, and one certificate signed by it; the CA's key is deleted at once, so that nobody can sign another, and
the certificate's as soon as it is loaded. Only `ca.pem`, which clients are told to trust, outlives the start. The
work is OpenSSL's own command's: nothing else that makes certificates is there wherever Python is.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from shutil import which
from typing import Final

from gpi.formats.errors import UsageError, VenueError
from gpi.tools import children

HOME: Final = ("localhost", "127.0.0.1", "::1")
DAYS: Final = "365"
WAIT_S: Final = 60.0  # for a key and a signature: tens of milliseconds on an idle machine
CURVE: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
CONFIG: Final = """[req]
distinguished_name = subject
prompt = no
[subject]
CN = gpi venue
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {}
"""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server speaks TLS with, and the file (PEM) that its clients trust it by."""

    context: ssl.SSLContext
    ca: Path


def certified(names: Sequence[str], folder: Path) -> Certificate:
    """A new certificate for this machine and these names besides; `folder` must be its owner's alone.

    Raises VenueError where OpenSSL's command is not there or fails, UsageError for what is no host's name.
    """
    program = which("openssl")
    if program is None:
        raise VenueError(
            "--tls needs the command `openssl`, which is not on the PATH; or give --tls-cert and --tls-key"
        )
    ca, key, cert = folder / "ca.pem", folder / "key.pem", folder / "cert.pem"
    ca_key, asked, config = folder / "ca-key.pem", folder / "cert.csr", folder / "openssl.cnf"
    config.write_text(CONFIG.format(", ".join(map(_alternative, dict.fromkeys((*HOME, *names))))))

    def run(*words: str | Path) -> None:
        try:
            done = children.program(program, *map(str, words), seconds=WAIT_S)
        except OSError as wrong:
            raise VenueError(f"--tls: {program} {words[0]}: {wrong}") from None
        if done.code:
            said = " ".join(done.err.split())[-200:]
            raise VenueError(f"--tls: {program} {words[0]} failed: {said}; or give --tls-cert and --tls-key")

    try:
        own = ("-config", config)
        run("req", "-x509", *own, *CURVE, "-days", DAYS, "-extensions", "authority", "-keyout", ca_key, "-out", ca)
        run("req", "-new", *own, *CURVE, "-subj", "/CN=localhost", "-keyout", key, "-out", asked)
        run("x509", "-req", "-in", asked, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", DAYS, "-sha256",
            "-extfile", config, "-extensions", "server", "-out", cert)  # fmt: skip
        return Certificate(_context(cert, key), ca)
    finally:
        for each in folder.iterdir():
            if each != ca:
                each.unlink()


def given(cert: Path, key: Path) -> Certificate:
    """The user's own certificate (PEM, with its chain) and key. Raises UsageError where they cannot be used."""
    return Certificate(_context(cert, key), cert)


def _context(cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key, password="")  # never a question on the terminal
    except (OSError, ssl.SSLError) as wrong:
        raise UsageError(f"--tls-cert {cert}, --tls-key {key}: {wrong.strerror or wrong}") from None
    return context


def host(name: str) -> str:
    """The name of a host, in small letters. Raises UsageError for anything else."""
    plain = name.strip().rstrip(".").lower()
    labels = plain.split(".")
    if len(plain) > 253 or not all(
        each and each.isascii() and each.replace("-", "").isalnum() and each[0] != "-" != each[-1] for each in labels
    ):
        raise UsageError(f"--tls-name {name[:80]!r} is no host's name, such as stream.data.alpaca.markets")
    return plain


def _alternative(name: str) -> str:
    try:
        return f"IP:{ip_address(name)}"
    except ValueError:
        return f"DNS:{host(name)}"
