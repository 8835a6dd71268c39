"""The certificate that the server makes for itself, and calls over it."""

from __future__ import annotations

import ssl
import stat
import sys

import httpx
import pytest
from cryptography import x509

from personaplex_server import serving, tls, web


def test_a_call_over_the_server_s_own_certificate(serve, dial, tone, tmp_path):
    certificate, key, fingerprint = tls.self_signed(tmp_path / "tls", "127.0.0.1")
    server = serve(certificate=(certificate, key))
    trusting = ssl.create_default_context(cafile=str(certificate))
    health = httpx.get(f"{server.url}/health", verify=trusting, trust_env=False)
    assert health.json()["state"] == "ready"
    caller = dial(server.chat, ssl=trusting)
    caller.handshake()
    caller.say(tone(0.4))
    caller.until(lambda c: len(c.pcm) == 5)
    assert len(fingerprint) == 95


def test_the_certificate_stays_until_it_no_longer_fits(tmp_path, monkeypatch):
    folder = tmp_path / "tls"
    first = tls.self_signed(folder, "127.0.0.1")
    assert tls.self_signed(folder, "127.0.0.1") == first
    named = tls.self_signed(folder, "voice.example.org")
    assert named[2] != first[2]
    known = x509.load_pem_x509_certificate(named[0].read_bytes())
    names = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"voice.example.org", "localhost"} <= set(names.get_values_for_type(x509.DNSName))
    monkeypatch.setattr(tls, "_RENEW_DAYS", 400)
    assert tls.self_signed(folder, "voice.example.org")[2] != named[2]


@pytest.mark.parametrize("spoilt", [tls.CERTIFICATE, tls.KEY])
def test_damage_is_repaired(tmp_path, spoilt):
    folder = tmp_path / "tls"
    first = tls.self_signed(folder, "127.0.0.1")
    (folder / spoilt).write_text("nonsense")
    assert tls.self_signed(folder, "127.0.0.1")[2] != first[2]


def test_a_key_of_another_certificate_is_replaced(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    first = tls.self_signed(one, "127.0.0.1")
    tls.self_signed(other, "127.0.0.1")
    (one / tls.KEY).write_bytes((other / tls.KEY).read_bytes())
    assert tls.self_signed(one, "127.0.0.1")[2] != first[2]


@pytest.mark.skipif(sys.platform == "win32", reason="files have no mode there")
def test_nobody_else_can_read_the_key(tmp_path):
    _, key, _ = tls.self_signed(tmp_path / "tls", "127.0.0.1")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(tls.TlsError, match="cannot be kept"):
        tls.self_signed(tmp_path / "file" / "tls", "127.0.0.1")


def test_without_cryptography_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(tls.TlsError, match=r"personaplex-server\[tls\]"):
        tls.self_signed(tmp_path, "127.0.0.1")


def test_a_certificate_that_is_none_is_told(tmp_path):
    file = tmp_path / "certificate.pem"
    file.write_text("nonsense")
    app = web.create_app(web.Service(engines={}, default="none"))
    with pytest.raises(serving.CertificateError, match="cannot be used"):
        serving.server(app, lambda: None, (file, file))
