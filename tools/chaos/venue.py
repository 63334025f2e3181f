"""A venue under control: started as a command, told what to do wrong, asked for the truth."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from pathlib import Path
from typing import Any, Final

from gpi.formats.errors import VenueError
from gpi.tools.chaos.processes import Child, Processes, until

START_S: Final = 30.0
ANSWER_S: Final = 20.0
TOKEN_ENV: Final = "GPI_VENUE_TOKEN"


class Venue:
    """`gpi venue` on a port of its own. `keys` is the file that --key-file takes."""

    def __init__(self, commands: Processes, *options: object, stdin: int | None = None, name: str = "venue") -> None:
        self.keys = Path(commands.folder) / f"{name}.ready"
        words = ("venue", "--port", 0, "--ready", self.keys, "--stay", *options)
        self.child: Child = commands.start(*words, stdin=stdin, name=name)
        if (
            until(lambda: self.keys.exists() or not self.child.alive(), START_S, 0.005) is None
            or not self.keys.exists()
        ):
            raise VenueError(f"the venue did not start: {self.child.last_line()}")
        told = json.loads(self.keys.read_text())["gpi.venue"]
        self.port, self.url, self.key_id = int(told["port"]), str(told["url"]), str(told["key_id"])
        self.secret, self._token = str(told["secret"]), str(told["token"])
        self._local = threading.local()

    def control(self, **asked: Any) -> dict[str, Any]:
        """POST /gpi/control, such as control(fault={"name": "hang"}) or control(halt="SPY")."""
        return self._call("POST", "/gpi/control", asked)

    def fault(self, name: str, **words: Any) -> None:
        """Turn a switch on."""
        self.control(fault={"name": name, **words})

    def clear(self) -> None:
        """Turn every switch off."""
        self.control(clear="all")

    def state(self) -> dict[str, Any]:
        """GET /gpi/state: the truth."""
        return self._call("GET", "/gpi/state", None)

    def brief(self) -> dict[str, Any]:
        """The truth without orders and fills: cheap, for whoever asks again and again."""
        return self._call("GET", "/gpi/state?brief", None)

    def account(self) -> dict[str, Any]:
        """The truth about the one account."""
        found: dict[str, Any] = self.state()["accounts"][self.key_id]
        return found

    def rest(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """A request of the account's own, as from a second program: status and JSON."""
        headers = {"APCA-API-KEY-ID": self.key_id, "APCA-API-SECRET-KEY": self.secret}
        return self._ask(method, path, body, headers)

    def listening(self) -> int:
        """How many trade_updates sockets listen."""
        return sum(self.state()["listening"].values())

    def _call(self, method: str, path: str, body: Any) -> dict[str, Any]:
        status, found = self._ask(method, path, body, {"Authorization": f"Bearer {self._token}"})
        if status != 200:
            raise VenueError(f"{method} {path} {body}: {status} {found}")
        answered: dict[str, Any] = found
        return answered

    def _ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        more = {"Content-Type": "application/json"} if data else {}
        for last in (False, True):  # a kept connection may have been closed meanwhile
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)
                connection.connect()
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else 40 ms a request
                self._local.connection = connection
            try:
                connection.request(method, path, data, {**headers, **more})
                response = connection.getresponse()
                text = response.read()
                return response.status, json.loads(text) if text else None
            except (http.client.HTTPException, ConnectionError):
                connection.close()
                self._local.connection = None
                if last:
                    raise
        raise AssertionError
