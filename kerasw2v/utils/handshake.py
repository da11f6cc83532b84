"""How the processes of a cluster make sure that all of them are there, and are the right ones."""

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Sequence

_SECONDS_BETWEEN_TRIES = 0.2
_SECONDS_TO_ANSWER = 2.0
_LONGEST_LINE = 100
_MET = "met"


def meet(addresses: Sequence[str], index: int, timeout: float) -> None:
    """Waits until every worker has met every other one.

    Each worker listens on its own address, visits all others, and stays until it has been visited
    by all of them: none leaves before the last one has seen it. Visitor and host name the cluster
    and their index, so that another program behind an address is no worker.

    Args:
        addresses: `"host:port"` of every worker, in the same order everywhere.
        index: index of this process among them.
        timeout: seconds to wait.

    Raises:
        ConnectionError: if the own address cannot be listened on, or after the timeout, naming
            those that were not met.

    Example:

    >>> meet(["127.0.0.1:7000"], 0, timeout=1)
    """
    port = int(addresses[index].rpartition(":")[2])
    try:
        listener = socket.create_server(("", port), backlog=2 * len(addresses))
    except OSError as error:
        raise ConnectionError(
            f"Worker {index} cannot listen on {addresses[index]}: {error.strerror}."
        ) from error
    with listener:
        missing = _Meeting(addresses, index).wait(listener, timeout)
    if missing:
        raise ConnectionError(
            f"Worker {index} ({addresses[index]}) waited {timeout:g} s and did not hear from "
            f"{', '.join(missing)}."
        )


class _Meeting:
    """One worker's visits, each in a thread: a slow name server or host delays no other visit."""

    def __init__(self, addresses: Sequence[str], index: int) -> None:
        self._addresses, self._index = addresses, index
        self._cluster = hashlib.sha256(",".join(addresses).encode()).hexdigest()[:16]
        self._others = set(range(len(addresses))) - {index}
        self._seen: set[int] = set()
        self._visitors: set[int] = set()
        self._strangers: set[int] = set()  # addresses where something else answers
        self._changed = threading.Condition()
        self._is_over = False

    def wait(self, listener: socket.socket, timeout: float) -> list[str]:
        """Returns a description of each worker that was not met in time."""
        end = time.monotonic() + timeout
        listener.settimeout(_SECONDS_BETWEEN_TRIES)
        receiver = self._start(self._receive, listener)
        for other in self._others:
            self._start(self._visit, other, end)
        with self._changed:
            self._changed.wait_for(lambda: not self._missing(), timeout)
            self._is_over = True
        receiver.join()  # while it accepts, nobody else can listen there
        return [self._described(other) for other in sorted(self._missing())]

    def _start(self, function: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        thread.start()
        return thread

    def _missing(self) -> set[int]:
        return self._others - (self._seen & self._visitors)

    def _described(self, other: int) -> str:
        stranger = other in self._strangers - self._seen
        return self._addresses[other] + " (another program answers there)" * stranger

    def _add(self, others: set[int], other: int) -> None:
        with self._changed:
            others.add(other)
            self._changed.notify_all()

    def _greeting(self, index: int) -> str:
        return f"kerasw2v {self._cluster} {index}"

    def _visit(self, other: int, end: float) -> None:
        host, _, port = self._addresses[other].rpartition(":")
        while not self._is_over and time.monotonic() < end:
            try:
                with socket.create_connection(
                    (host.strip("[]"), int(port)), timeout=_SECONDS_TO_ANSWER
                ) as connection:
                    _send(connection, self._greeting(self._index))
                    if _line(connection) == self._greeting(other):
                        _send(connection, _MET)
                        self._add(self._seen, other)
                        return
                self._add(self._strangers, other)
            except ConnectionRefusedError:
                self._strangers.discard(other)
            except OSError as error:
                # It took the call and gave no answer, or cannot be reached.
                if isinstance(error, TimeoutError | ConnectionResetError):
                    self._add(self._strangers, other)
            time.sleep(_SECONDS_BETWEEN_TRIES)

    def _receive(self, listener: socket.socket) -> None:
        while not self._is_over:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return  # it was closed
            self._start(self._answer, connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(_SECONDS_TO_ANSWER)
        try:
            with connection:
                greeting = _line(connection)
                _send(connection, self._greeting(self._index))
                for other in self._others:
                    if greeting == self._greeting(other) and _line(connection) == _MET:
                        self._add(self._visitors, other)
        except OSError:
            pass  # the visitor will come again


def _send(connection: socket.socket, line: str) -> None:
    connection.sendall(f"{line}\n".encode())


def _line(connection: socket.socket) -> str:
    """Returns the next line; what is there of it if the connection ends or the line is long."""
    received = b""
    while not received.endswith(b"\n") and len(received) < _LONGEST_LINE:
        byte = connection.recv(1)
        if not byte:
            break
        received += byte
    return received.decode(errors="replace").removesuffix("\n")
