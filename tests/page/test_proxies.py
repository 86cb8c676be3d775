"""The app behind a proxy: it never asks itself through one, and says what to set if it can't start."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest

from denoiser.ui.server.proxies import ProxyError, join_exceptions, settle_proxies
from tests.conftest import ROOT, app_environment, free_port, stop

SERVED = "To create a public link"  # the last that Gradio prints once it has asked its own page


@contextlib.contextmanager
def app(**proxies: str) -> Iterator[tuple[subprocess.Popen[bytes], list[str]]]:
    """Run the app with these proxies and no others until it serves or ends; yields what it printed."""
    environment = {
        name: value
        for name, value in app_environment(free_port()).items()
        if not name.lower().endswith("_proxy")
    }
    process = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environment | proxies,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    limit = threading.Timer(120, process.kill)
    limit.start()
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line.decode().strip())
            if SERVED in lines[-1]:
                break
        else:
            process.wait()
        yield process, lines
    finally:
        limit.cancel()
        stop(process)
        process.stdout.close()


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[object]]]:
    """The address of a proxy that answers nothing, and who has asked it."""
    asked: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, address = listener.accept()
                    asked.append(address)
                    connection.close()

        threading.Thread(target=refuse, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked


@pytest.mark.slow
@pytest.mark.parametrize("exceptions", [None, "example.org,[::1],[2001:db8::1]:8080,fe80::/10"])
def test_the_page_is_served_and_the_proxy_never_asked(proxy, exceptions):
    address, asked = proxy
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), address)
    if exceptions is not None:
        proxies["NO_PROXY"] = exceptions
    with app(**proxies) as (process, lines):
        assert SERVED in lines[-1], lines
        assert process.poll() is None
    assert asked == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("ALL_PROXY", "socks5://user:geheim@127.0.0.1:9", "run `pip install socksio`, or set ALL_PROXY"),
        ("HTTPS_PROXY", "ftp://user:geheim@127.0.0.1:9", "set it to an address such as"),
        ("HTTP_PROXY", "geheim:a:b", "set it to an address such as"),
        ("NO_PROXY", "geheim:a:b", "set it to names and addresses"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(name, value, advice):
    if value.startswith("socks"):
        try:
            import socksio  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("socksio is installed")
    with app(**{name: value}) as (process, lines):
        assert process.returncode == 1
    (line,) = lines
    assert line.startswith(f"app.py: {name} ")
    assert advice in line
    assert "geheim" not in line  # an address may hold a password


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "localhost,::1"),
        ("*", "*,localhost,::1"),
        (" example.org , .local ,", "example.org,.local,localhost,::1"),
        ("[::1]", "::1,localhost"),
        ("[::1]:7860", "all://[::1]:7860,localhost,::1"),
        ("::1/128,10.0.0.0/8", "::1,10.0.0.0/8,localhost"),
    ],
)
def test_exceptions_in_a_form_that_httpx_reads(before, after, monkeypatch):
    joined = join_exceptions(before, ["localhost", "::1"])
    assert joined == after
    monkeypatch.setenv("no_proxy", joined)
    httpx.Client().close()


@pytest.fixture
def no_proxies() -> Iterator[None]:
    """An environment without proxies, which is put back as it was."""
    before = dict(os.environ)
    for name in before:
        if name.lower().endswith("_proxy"):
            del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.usefixtures("no_proxies")
class TestEnvironment:
    def test_without_proxies_it_stays_as_it_is(self):
        before = dict(os.environ)
        settle_proxies()
        assert dict(os.environ) == before

    def test_the_address_that_is_served_is_excepted_too(self, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", "proxy.example.org:3128")
        monkeypatch.setenv("GRADIO_SERVER_NAME", "192.168.7.7")
        settle_proxies()
        assert os.environ["NO_PROXY"] == os.environ["no_proxy"]
        assert os.environ["NO_PROXY"].split(",") == ["localhost", "127.0.0.1", "::1", "192.168.7.7"]

    def test_a_system_s_own_proxies_still_count(self, monkeypatch):
        monkeypatch.setattr(
            "urllib.request.getproxies", lambda: {"https": "http://proxy.example.org:3128"}
        )
        settle_proxies()
        assert os.environ["https_proxy"] == "http://proxy.example.org:3128"

    def test_a_bad_one_is_refused(self, monkeypatch):
        monkeypatch.setenv("http_proxy", "ftp://proxy.example.org")
        with pytest.raises(ProxyError, match=r"^HTTP_PROXY can't be used"):
            settle_proxies()
