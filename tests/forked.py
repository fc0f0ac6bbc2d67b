"""Runs the project's commands and its site many times over, each in a process forked for
it, and kills it before any line of its own code, or at the kill point, that a test names.

A fork costs a tenth of a start, and the number of a line is the same on a slow
machine as on a fast one.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, Protocol

import app
import vault
from tests.killed import kill_at as arm

ROOT = Path(__file__).resolve().parents[1]
# A command that hangs ends by this alarm, and its test with it.
PATIENCE_SECONDS = 300
# What a shim sends in one piece: its words and its environment.
MOST_BYTES = 1 << 20
NOTHING = Path(os.devnull)
# How an interpreter ends that could not write its last lines.
UNREAD = 120
OURS = tuple(str(ROOT / name) + os.sep for name in ("app", "vault"))


@dataclass(frozen=True)
class Run:
    """What a command came to; ``lines`` is how many lines of app/ and vault/ it
    executed, 0 when it was killed or nobody counted."""

    returncode: int
    stdout: str
    stderr: str
    lines: int


class Started(Protocol):
    """A command that goes on beside the test: what is asked of a ``Popen``."""

    @property
    def pid(self) -> int:
        """The process's number."""

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, waited for; TimeoutExpired after ``timeout`` seconds."""

    def terminate(self) -> None:
        """SIGTERM, unless it has ended."""


class Forked:
    """A ``Started`` that was forked: another process is its parent and is asked for the
    exit code."""

    def __init__(self, pid: int, reap: Callable[[int], int]) -> None:
        self.pid = pid
        self._reap = reap
        self._ended = os.pidfd_open(pid)
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        if self._code is None and select.select([self._ended], [], [], 0)[0]:
            self._code = self._reap(self.pid)
            os.close(self._ended)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, waited for."""
        if self._code is None and not select.select([self._ended], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("a forked process", timeout or 0)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """That signal, unless it has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._ended, number)

    def terminate(self) -> None:
        """SIGTERM, unless it has ended."""
        self.send_signal(signal.SIGTERM)


class Piped(Forked):
    """One that talks by pipes, of bytes; ``returncode`` is there once it was waited
    for."""

    def __init__(
        self, pid: int, reap: Callable[[int], int], ends: tuple[int, int, int]
    ) -> None:
        super().__init__(pid, reap)
        given, said, complained = ends
        self.stdin: IO[bytes] = os.fdopen(given, "wb", buffering=0)
        self.stdout: IO[bytes] = os.fdopen(said, "rb")
        self.stderr: IO[bytes] = os.fdopen(complained, "rb")

    @property
    def returncode(self) -> int | None:
        """The exit code, or None while it runs."""
        return self.poll()

    def communicate(self, timeout: float = PATIENCE_SECONDS) -> tuple[str, str]:
        """Give it nothing more and wait for its end; what it said and complained of
        since the last time."""
        self.stdin.close()
        with ThreadPoolExecutor(2) as threads:
            both = [threads.submit(_rest, end) for end in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            said, complained = (read.result() for read in both)
        return said.decode(), complained.decode()

    def kill(self) -> None:
        """SIGKILL, unless it has ended."""
        self.send_signal(signal.SIGKILL)


def _rest(end: IO[bytes]) -> bytes:
    """What is still to come by a pipe, which may have been read to its end before."""
    if end.closed:
        return b""
    with end:
        return end.read()


def _ends(pipes: list[tuple[int, int]]) -> tuple[list[int], tuple[int, int, int]]:
    """The command's ends of three pipes, and the test's."""
    given, said, complained = pipes
    theirs = [given[0], said[1], complained[1]]
    return theirs, (given[1], said[0], complained[0])


class Forks:
    """A process that forks commands; a context to be entered and left."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)

    def __enter__(self) -> Forks:
        # Not the server's: what is forked there would delete it at its end.
        self._scratch = tempfile.TemporaryDirectory()
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.forked", self._scratch.name],
            env=self._environ,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; its folder goes with it."""
        self._server.communicate()
        self._scratch.cleanup()

    def run(
        self,
        *words: str,
        command: str = "cardvault",
        folder: Path = ROOT,
        kill_before: int = 0,
        given: str = "",
        **more: str,
    ) -> Run:
        """Run ``command words`` in ``folder``; with ``kill_before`` it is killed
        before that line it comes to, counted from 1."""
        return self._ask(
            words=[command, *words],
            folder=str(folder),
            kill_before=kill_before,
            given=given,
            environ={**self._environ, **more},
        )

    def type(
        self,
        *words: str,
        folder: Path,
        environ: Mapping[str, str],
        given: str = "",
        kill_at: str = "",
    ) -> Run:
        """Run ``words`` in ``folder`` with that environment and no other, as fast as
        it goes: no line is counted.  With ``kill_at`` it is killed at that kill
        point."""
        return self._ask(
            words=list(words),
            folder=str(folder),
            kill_at=kill_at,
            given=given,
            environ=dict(environ),
        )

    def start(
        self,
        *words: str,
        folder: Path,
        environ: Mapping[str, str],
        files: tuple[Path, Path, Path],
        kill_at: str = "",
    ) -> int:
        """Begin ``words`` in a process group of its own, with ``files`` for input,
        output and errors; returns its number, which ``reap`` wants when it has
        ended."""
        begun = self._ask(
            words=list(words),
            folder=str(folder),
            kill_at=kill_at,
            environ=dict(environ),
            files=[str(file) for file in files],
        )
        return begun.returncode

    def reap(self, pid: int) -> int:
        """The exit code of what was started and has ended."""
        return self._ask(reap=pid).returncode

    def _ask(self, **asked: object) -> Run:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        return Run(**json.loads(self._server.stdout.readline()))


class Typist:
    """Forks commands for whoever asks, one at a time."""

    def __init__(self) -> None:
        self._free = threading.Lock()
        self._forks = Forks(os.environ).__enter__()
        atexit.register(self._forks.close)

    def type(
        self,
        *words: str,
        folder: Path,
        environ: Mapping[str, str],
        given: str = "",
        kill_at: str = "",
    ) -> Run | None:
        """What ``Forks.type`` does, or None while another thread's command runs."""
        if not self._free.acquire(blocking=False):
            return None
        try:
            return self._forks.type(
                *words, folder=folder, environ=environ, given=given, kill_at=kill_at
            )
        finally:
            self._free.release()

    def start(
        self,
        *words: str,
        folder: Path,
        environ: Mapping[str, str],
        log: Path,
        kill_at: str = "",
    ) -> Started:
        """Begin ``words``, which write to the end of ``log``, after the command that
        runs, if one does."""
        pid = self._begin(words, folder, environ, (NOTHING, log, log), kill_at)
        return Forked(pid, self._reap)

    def pipe(
        self,
        *words: str,
        folder: Path,
        environ: Mapping[str, str],
        kill_at: str = "",
        pipe_bytes: int = 0,
        quiet: Collection[str] = (),
    ) -> Piped:
        """Begin ``words`` with a pipe for input, output and errors each, of
        ``pipe_bytes`` unless 0; nobody hears those of "stdout" and "stderr" that
        ``quiet`` has.  With ``python -c SCRIPT`` the script finds app/ and vault/
        loaded."""
        pipes = [os.pipe() for _ in range(3)]
        for reader, _ in pipes:
            if pipe_bytes:
                fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, pipe_bytes)
        theirs, ours = _ends(pipes)
        files = [Path(f"/proc/{os.getpid()}/fd/{end}") for end in theirs]
        given, said, complained = files
        said = NOTHING if "stdout" in quiet else said
        complained = NOTHING if "stderr" in quiet else complained
        try:
            pid = self._begin(
                words, folder, environ, (given, said, complained), kill_at
            )
        finally:
            for end in theirs:
                os.close(end)
        return Piped(pid, self._reap, ours)

    def _begin(
        self,
        words: tuple[str, ...],
        folder: Path,
        environ: Mapping[str, str],
        files: tuple[Path, Path, Path],
        kill_at: str,
    ) -> int:
        with self._free:
            return self._forks.start(
                *words, folder=folder, environ=environ, files=files, kill_at=kill_at
            )

    def _reap(self, pid: int) -> int:
        with self._free:
            return self._forks.reap(pid)


SHIM = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
    line.connect({socket!r})
    asked = dict(words=[{name!r}, *sys.argv[1:]], folder=os.getcwd(), environ=dict(os.environ))
    socket.send_fds(line, [json.dumps(asked).encode()], [0, 1, 2])
    code = int(line.recv(16))
sys.exit(code if code >= 0 else 128 - code)
"""


class Words:
    """``folder`` has the words ``cardvault`` and ``flask`` for a shell's PATH: a command
    that is typed so is forked, with the shell's files, folder and environment."""

    def __init__(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.folder = Path(scratch.name)
        door = str(self.folder / "socket")
        for name in ("cardvault", "flask"):
            path = self.folder / name
            path.write_text(SHIM.format(python=sys.executable, socket=door, name=name))
            path.chmod(0o755)
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.forked", "--listen", door],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._server.stdout is not None
        self._server.stdout.readline()
        atexit.register(scratch.cleanup)
        atexit.register(self._close)

    def _close(self) -> None:
        self._server.terminate()
        self._server.communicate()


@functools.cache
def words() -> Words:
    """Those of this process."""
    return Words()


@functools.cache
def typist() -> Typist:
    """The one of this process, there from the first time on that it is asked for."""
    return Typist()


class _Lines:
    """Counts the lines of app/ and vault/ that are about to be executed."""

    def __init__(self, kill_before: int) -> None:
        self.count = 0
        self._kill = kill_before

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "call" and not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            self.count += 1
            if self.count == self._kill:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.trace


def _child(asked: dict[str, Any], files: list[int], told: Path | None) -> None:
    """Be the command, to its end."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["environ"])
    os.chdir(asked["folder"])
    if told is not None:
        signal.alarm(PATIENCE_SECONDS)
    main = _main_of(asked["words"])
    sys.argv = asked["words"]
    if asked.get("kill_at"):
        arm(asked["kill_at"])
    lines = _Lines(asked.get("kill_before", 0))
    if "kill_before" in asked:
        sys.settrace(lines.trace)
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it is, the parent is told
        # Let through, it would end in the server's code, in a process of its own.
        traceback.print_exc()
        code = 1
    finally:
        sys.settrace(None)
    if told is not None:
        told.write_text(str(lines.count))
    _leave(code)


def _main_of(words: list[str]) -> Callable[[], object]:
    """What runs a command; of ``python -c SCRIPT WORDS`` it is the script."""
    if words[0] == "python":
        script = words.pop(2)
        del words[0]
        return lambda: exec(script, {"__name__": "__main__"})
    (found,) = entry_points(group="console_scripts", name=words[0])
    main: Callable[[], object] = found.load()
    return main


def _leave(code: int) -> None:
    """End as an interpreter does: what waits for the end is called, and databases
    that nobody refers to any more are closed."""
    try:
        atexit._run_exitfuncs()
        gc.collect()
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads any more
        code = UNREAD
    finally:
        os._exit(code)


def _serve(folder: Path) -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        if "reap" in asked:
            _, status = os.waitpid(asked["reap"], 0)
            ran = Run(os.waitstatus_to_exitcode(status), "", "", 0)
        elif "files" in asked:
            ran = Run(_begin(asked), "", "", 0)
        else:
            ran = _run(asked, folder)
        sys.stdout.write(json.dumps(vars(ran)) + "\n")
        sys.stdout.flush()


def _listen(door: str) -> None:
    """Be each command that a shim asks for; many may be asked for at once."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(door)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            line, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                _answer(line)
            line.close()


def _answer(line: socket.socket) -> None:
    """Fork the command, and tell its shim the exit code."""
    said, files, _, _ = socket.recv_fds(line, MOST_BYTES, 3)
    pid = os.fork()
    if pid == 0:
        _child(json.loads(said), files, None)
    _, status = os.waitpid(pid, 0)
    line.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _begin(asked: dict[str, Any]) -> int:
    """Fork a command and leave it to itself; its number."""
    given, *rest = asked["files"]
    files = [os.open(given, os.O_RDONLY)]
    files += [os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in rest]
    pid = os.fork()
    if pid == 0:
        os.setsid()
        _child(asked, files, None)
    for file in files:
        os.close(file)
    return pid


def _run(asked: dict[str, Any], folder: Path) -> Run:
    """Fork a command and wait for its end."""
    told = folder / "lines"
    (folder / "0").write_text(asked["given"])
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
    files = [os.open(folder / "0", os.O_RDONLY)]
    files += [os.open(folder / name, flags) for name in ("1", "2")]
    told.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        _child(asked, files, told)
    _, status = os.waitpid(pid, 0)
    for file in files:
        os.close(file)
    return Run(
        os.waitstatus_to_exitcode(status),
        (folder / "1").read_text(errors="backslashreplace"),
        (folder / "2").read_text(errors="backslashreplace"),
        int(told.read_text()) if told.exists() else 0,
    )


if __name__ == "__main__":
    # Everything is loaded here once, and no command meets its imports.
    for package in (app, vault):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith((".env", "__main__")):
                importlib.import_module(found.name)
    # What is here before the fork is nothing that a command could have left.
    gc.freeze()
    if sys.argv[1] == "--listen":
        _listen(sys.argv[2])
    else:
        _serve(Path(sys.argv[1]))
