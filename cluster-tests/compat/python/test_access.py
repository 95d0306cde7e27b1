"""redis-py with TLS, users and passwords: what works, and how what is wrong is told."""

import subprocess

import pytest
import redis
from broker import Broker, free_port

PASSWORD = "a long password"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, a certificate that it signed, and an authority that signed nothing."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    def new_key(name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]

    for authority in ["ca", "stranger"]:
        openssl("req", "-x509", *new_key(authority), "-subj", f"/CN={authority}", "-days", "2", "-out", f"{authority}.pem")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("req", *new_key("server"), "-subj", "/CN=localhost", "-out", "server.csr")
    signed_by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
    openssl("x509", "-req", "-in", "server.csr", *signed_by, "-days", "2", "-extfile", "names", "-out", "server.pem")
    return folder


@pytest.fixture(scope="module")
def guarded(certificates):
    """A broker with TLS and a user; yields the port with TLS."""
    port = free_port()
    files = ["--tls-cert-file", str(certificates / "server.pem"), "--tls-key-file", str(certificates / "server.key")]
    of_redis = ["--tls-port", str(port), "--tls-ca-cert-file", str(certificates / "ca.pem"), "--tls-auth-clients", "no"]
    of_carillon = ["--tls-addr", f"127.0.0.1:{port}"]
    broker = Broker(flags=[*files, *(of_redis if Broker.is_redis() else of_carillon)])
    with redis.Redis(port=broker.port) as operator:
        rules = ["on", f">{PASSWORD}", "resetchannels", "&news.*", "+@all", "-@dangerous"]
        operator.execute_command("ACL", "SETUSER", "app", *rules)
    yield port
    broker.stop()


def connect(port, certificates, protocol, authority="ca", password=PASSWORD):
    ca = str(certificates / f"{authority}.pem")
    return redis.Redis(
        host="localhost",
        port=port,
        protocol=protocol,
        username="app",
        password=password,
        ssl=True,
        ssl_ca_certs=ca,
        retry=None,
    )


both_protocols = pytest.mark.parametrize("protocol", [2, 3])


@both_protocols
def test_messages_pass_through_tls(guarded, certificates, protocol):
    with connect(guarded, certificates, protocol) as client, client.pubsub() as subscription:
        subscription.subscribe("news.1")
        assert subscription.get_message(timeout=4)["type"] == "subscribe"
        payload = b"\x00" * 100_000
        assert client.publish("news.1", payload) == 1
        assert subscription.get_message(timeout=4)["data"] == payload


@both_protocols
def test_what_is_wrong_is_told(guarded, certificates, protocol):
    with pytest.raises(redis.exceptions.AuthenticationError, match="invalid username-password pair"):
        connect(guarded, certificates, protocol, password="wrong").ping()
    with pytest.raises(redis.exceptions.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        connect(guarded, certificates, protocol, authority="stranger").ping()
    with connect(guarded, certificates, protocol) as client:
        with pytest.raises(redis.exceptions.NoPermissionError, match="one of the channels used as arguments"):
            client.publish("other", "x")
        assert client.publish("news.2", "x") == 0
