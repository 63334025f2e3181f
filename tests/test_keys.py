"""Keys are found where people keep them, refused where others can read them, and never seen again."""

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gpi.cli.trading import keys
from gpi.cli.trading.guard import guard, scrubbed
from gpi.cli.trading.keys import Keys, alpaca_keys, polygon_key
from gpi.formats.errors import UsageError
from gpi.formats.secrets import MASK, Secret, masked

ID, SECRET = "PKCANARY000000000001", "canary-secret-0123456789-abcdef"
NAMES = ("ALPACA_API_KEY", "ALPACA_SECRET_KEY", "APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "POLYGON_API_KEY")


@pytest.fixture(autouse=True)
def nobody_elses_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the machine, no file in the home, nothing remembered from another test."""
    for name in (*NAMES, "MASSIVE_API_KEY", "CREDENTIALS_DIRECTORY", "GPI_KEYS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(keys, "_taken", {})
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # what the guard changes is put back
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)


def key_file(path: Path, text: str, mode: int = 0o600) -> Path:
    """A file with these words and this mode."""
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("names", [NAMES[:2], NAMES[2:4]])
def test_the_environment_is_read_once_and_emptied(monkeypatch: pytest.MonkeyPatch, names: tuple[str, str]) -> None:
    """Both spellings are known; afterwards neither this process's environment nor a child's has them."""
    monkeypatch.setenv(names[0], ID)
    monkeypatch.setenv(names[1], SECRET)
    monkeypatch.setenv("POLYGON_API_KEY", "polygon-canary-key")
    assert alpaca_keys() == Keys(Secret(ID), Secret(SECRET))
    assert not {*NAMES} & {*os.environ}
    child = subprocess.run([sys.executable, "-c", "import os; print(dict(os.environ))"], capture_output=True, text=True)
    assert SECRET not in child.stdout and "polygon-canary-key" not in child.stdout
    assert alpaca_keys() == Keys(Secret(ID), Secret(SECRET)), "a second command of the same process finds them again"
    assert polygon_key() == Secret("polygon-canary-key")


def test_half_a_key_names_the_other_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable that is missing and shows nothing of the one that is there."""
    monkeypatch.setenv("ALPACA_SECRET_KEY", SECRET)
    with pytest.raises(UsageError, match="ALPACA_API_KEY is not set") as told:
        alpaca_keys()
    assert SECRET not in str(told.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """The message names the mode and the command that mends it."""
    path = key_file(tmp_path / "keys.toml", f'[alpaca]\nkey_id = "{ID}"\nsecret = "{SECRET}"\n', mode)
    with pytest.raises(UsageError, match=f"mode {mode:o}.*chmod 600"):
        alpaca_keys(key_file=path)


def test_a_file_of_our_own_is_read(tmp_path: Path) -> None:
    """TOML tables by vendor or host, the file the venue writes, and the one in the home directory."""
    text = f'[alpaca]\nkey_id = "{ID}"\nsecret = "{SECRET}"\n'
    text += '["127.0.0.1:8700"]\nkey_id = "local"\nsecret = "loopback-secret"\n'
    text += '[polygon]\nkey = "polygon-canary-key"\n'
    path = key_file(tmp_path / "keys.toml", text)
    assert alpaca_keys(key_file=path) == Keys(Secret(ID), Secret(SECRET))
    assert alpaca_keys("ws://127.0.0.1:8700/v2/iex", path) == Keys(Secret("local"), Secret("loopback-secret"))
    assert polygon_key(key_file=path) == Secret("polygon-canary-key")
    ready = {"gpi.venue": {"port": 1, "url": "http://127.0.0.1:1", "key_id": ID, "secret": SECRET, "token": "t"}}
    venue = key_file(tmp_path / "ready.json", json.dumps(ready))
    assert alpaca_keys("http://127.0.0.1:1", venue) == Keys(Secret(ID), Secret(SECRET))
    assert polygon_key("http://127.0.0.1:1", venue) == Secret(SECRET)
    (tmp_path / ".config" / "gpi").mkdir(parents=True)
    path.rename(tmp_path / ".config" / "gpi" / "keys.toml")
    assert alpaca_keys() == Keys(Secret(ID), Secret(SECRET))


def test_systemd_credentials_come_before_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """LoadCredential= files are read from $CREDENTIALS_DIRECTORY."""
    key_file(tmp_path / "alpaca_key_id", ID + "\n")
    key_file(tmp_path / "alpaca_secret_key", SECRET + "\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("ALPACA_API_KEY", "another")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "another-secret")
    assert alpaca_keys() == Keys(Secret(ID), Secret(SECRET))


@pytest.mark.parametrize("url", ["ws://data.example.com/v2/iex", "http://10.0.0.1:8700"])
def test_a_key_never_crosses_a_network_in_clear(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """ws:// and http:// only on loopback."""
    monkeypatch.setenv("ALPACA_API_KEY", ID)
    monkeypatch.setenv("ALPACA_SECRET_KEY", SECRET)
    with pytest.raises(UsageError, match="in clear"):
        alpaca_keys(url)


@pytest.mark.parametrize("text", ["{", "[alpaca\n", "", '[alpaca]\nkey_id = "only"\n', '{"gpi.venue": 3}'])
def test_a_broken_file_is_told_without_its_words(tmp_path: Path, text: str) -> None:
    """No content of a key file stands in an error."""
    path = key_file(tmp_path / "keys", text + f"# {SECRET}")
    with pytest.raises(UsageError) as told:
        alpaca_keys(key_file=path)
    assert SECRET not in str(told.value) and str(path) in str(told.value)


def test_without_a_key_the_error_says_where_to_put_one() -> None:
    """Both vendors."""
    with pytest.raises(UsageError, match="ALPACA_API_KEY"):
        alpaca_keys()
    with pytest.raises(UsageError, match="POLYGON_API_KEY"):
        polygon_key()


PROGRAM = f"""
import logging, sys, threading
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
from gpi.cli.trading.guard import guard
from gpi.formats.secrets import Secret
secret = Secret({SECRET!r})
guard()
logging.getLogger("websockets").setLevel(logging.DEBUG)
logging.getLogger("websockets.client").debug("> BINARY %s", {SECRET!r}.encode().hex(" "))
logging.getLogger("mine").warning("sent %s and %r", {SECRET!r}, {{"secret": {SECRET!r}}})
try:
    raise ValueError("refused " + {SECRET!r})
except ValueError:
    logging.getLogger("mine").exception("while asking")
thread = threading.Thread(target=lambda: (_ for _ in ()).throw(OSError({SECRET!r})))
thread.start(); thread.join()
raise RuntimeError("at the end " + {SECRET!r})
"""


def test_no_log_record_and_no_traceback_shows_a_secret() -> None:
    """Debug on, our own loggers and the vendors', threads, and an error nobody caught."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert SECRET not in said and SECRET.encode().hex(" ") not in said
    assert said.count(MASK) >= 5 and "Traceback" in said and "not shown" in said and done.returncode == 1


def test_a_record_without_secrets_is_as_its_caller_wrote_it() -> None:
    """The guard changes only what it must."""
    guard()
    record = logging.getLogRecordFactory()("mine", logging.INFO, "f", 1, "%d rows", (3,), None)
    assert record.getMessage() == "3 rows"


def test_the_request_an_exception_remembers_loses_its_key() -> None:
    """alpaca-py's APIError and requests' own errors carry the headers that were sent."""
    import requests
    from alpaca.common.exceptions import APIError

    request = requests.Request("GET", "http://127.0.0.1/", headers={"APCA-API-SECRET-KEY": SECRET}).prepare()
    response = requests.Response()
    response.request = request
    error = APIError("{}", requests.HTTPError(request=request, response=response))
    try:
        raise ValueError("outer") from error
    except ValueError as outer:
        scrubbed(outer)
    assert request.headers["APCA-API-SECRET-KEY"] == MASK


def test_masked_finds_what_was_quoted_and_leaves_the_rest() -> None:
    """A secret in a URL is found too; short words are never secrets."""
    Secret("a/b+c=d&e-long-one")
    Secret("short")
    assert masked("?key=a%2Fb%2Bc%3Dd%26e-long-one&x=short") == f"?key={MASK}&x=short"
