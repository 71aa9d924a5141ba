"""A certificate authority that lives as long as its folder: the stand-in servers speak verified TLS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Authority:
    """PEM files of a private CA and of one certificate that it gave to localhost and 127.0.0.1."""

    ca_file: Path
    cert_file: Path
    key_file: Path


def issue(folder: Path) -> Authority:
    """Make a CA and a server certificate in `folder` (created if missing)."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    ca = trustme.CA()
    server = ca.issue_cert("localhost", "127.0.0.1")
    ca.cert_pem.write_to_path(str(authority.ca_file))
    authority.cert_file.write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    authority.key_file.touch(mode=0o600)
    server.private_key_pem.write_to_path(str(authority.key_file))
    return authority
