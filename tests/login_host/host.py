"""A real host to log in to: sshd with PAM, su and sudo, journald or rsyslog, in a mount namespace of its own.

Its accounts exist there alone; sshd listens on a free port of loopback. Needs root.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final, Literal

PASSWORD: Final = "correct horse"
SCRIPT: Final = Path(__file__).with_name("enter.sh")
ACCOUNTS: Final = {"anna": 61_501, "ben": 61_502, "gone": 61_503, "barred": 61_504}
"""anna and ben may log in, ben may use sudo; "gone" has expired, "barred" is not let in by sshd."""
LOG_FORMATS: Final = {
    "traditional": "RSYSLOG_TraditionalFileFormat",
    "iso": "RSYSLOG_FileFormat",
}
_SSHD: Final = """
HostKey {folder}/host_key
ListenAddress 127.0.0.1
PidFile none
UsePAM {pam}
AuthorizedKeysFile {folder}/keys/%u
StrictModes no
PasswordAuthentication yes
KbdInteractiveAuthentication {keyboard}
DenyUsers barred
LogLevel {level}
MaxAuthTries 6
MaxStartups 200
PerSourcePenalties no
"""


class LoginHost:
    """Started by the constructor; `stop` ends everything that it started."""

    def __init__(
        self,
        folder: Path,
        kind: Literal["journal", "rsyslog"],
        *,
        log_format: str = "iso",
        level: str = "INFO",
        keyboard: bool = False,
        pam: bool = True,
    ) -> None:
        self.folder = folder
        self.log_file = folder / "auth.log"
        self.btmp = folder / "log" / "btmp"
        self.port = _free_port()
        self.key, self.key_print = _key(folder / "anna_key")
        self.other_key, self.other_key_print = _key(folder / "other_key")
        _key(folder / "host_key")
        (folder / "keys").mkdir()
        for name in ("anna", "ben", "gone"):
            shutil.copy(f"{self.key}.pub", folder / "keys" / name)
        self._write_accounts()
        config = _SSHD.format(
            folder=folder, level=level, keyboard="yes" if keyboard else "no", pam="yes" if pam else "no"
        )
        if not _knows_penalties():
            config = config.replace("PerSourcePenalties no\n", "")
        (folder / "sshd.conf").write_text(config)
        (folder / "rsyslog.conf").write_text(
            'module(load="imuxsock" SysSock.Name="/dev/log" SysSock.RateLimit.Interval="0")\n'
            f'auth,authpriv.* action(type="omfile" file="{self.log_file}" '
            f'template="{LOG_FORMATS[log_format]}")\n'
        )
        self._process = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--propagation=private",
                "sh",
                str(SCRIPT),
                str(folder),
                kind,
                str(self.port),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            self.stop()
            assert self._process.stderr is not None
            raise AssertionError(self._process.stderr.read().decode())
        _wait_for_port(self.port)
        if kind == "journal":
            self.journal = next(iter((folder / "journal").iterdir()))

    def stop(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def ssh(
        self, user: str, *command: str, password: str | None = None, key: Path | None = None, stdin: str = ""
    ) -> int:
        """ssh's exit code; 255: not let in."""
        options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-F", "none"]
        options += ["-o", "LogLevel=ERROR", "-o", "NumberOfPasswordPrompts=1", "-p", str(self.port)]
        program = ["ssh"]
        if key is not None:
            options += ["-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "PasswordAuthentication=no"]
            options += ["-o", "KbdInteractiveAuthentication=no"]
        else:
            program = ["sshpass", "-e", "ssh"]
            options += ["-o", "PubkeyAuthentication=no"]
        done = subprocess.run(
            [*program, *options, "-l", user, "127.0.0.1", *(command or ("true",))],
            env={**os.environ, "SSHPASS": password or "", "SSH_AUTH_SOCK": ""},
            input=stdin.encode(),
            capture_output=True,
            check=False,
            timeout=60,
        )
        return 255 if done.returncode in {5, 255} else done.returncode

    def inside(self, *command: str, stdin: str = "") -> int:
        """A command as root in the host."""
        return subprocess.run(
            ["nsenter", "--mount", f"--target={self._process.pid}", *command],
            input=stdin.encode(),
            capture_output=True,
            check=False,
            timeout=60,
        ).returncode

    def _write_accounts(self) -> None:
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"],
            input=PASSWORD.encode(),
            capture_output=True,
            check=True,
        ).stdout.decode()
        expired = {"gone": "1"}
        self.folder.joinpath("passwd").write_text(
            "".join(f"{name}:x:{uid}:{uid}::/tmp:/bin/sh\n" for name, uid in ACCOUNTS.items())
        )
        self.folder.joinpath("group").write_text(
            "".join(f"{name}:x:{uid}:\n" for name, uid in ACCOUNTS.items())
        )
        self.folder.joinpath("shadow").write_text(
            "".join(
                f"{name}:{hashed.strip()}:20000:0:99999:7::{expired.get(name, '')}:\n" for name in ACCOUNTS
            )
        )
        self.folder.joinpath("sudoers").write_text(
            "Defaults lecture=never\nroot ALL=(ALL) ALL\nben ALL=(ALL) ALL\n"
        )


def _key(path: Path) -> tuple[Path, str]:
    """(the key's file, its fingerprint)."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, stdin=subprocess.DEVNULL
    )
    told = subprocess.run(["ssh-keygen", "-l", "-f", str(path)], check=True, capture_output=True)
    return path, told.stdout.decode().split()[1]


def _knows_penalties() -> bool:
    """A setting of OpenSSH 9.8, which would slow the test's failures down."""
    said = subprocess.run(["ssh", "-V"], capture_output=True, check=False).stderr.decode()
    version = said.removeprefix("OpenSSH_").split("p")[0]
    return tuple(map(int, version.split(".")[:2])) >= (9, 8)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int) -> None:
    limit = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < limit, "sshd does not answer"
            time.sleep(0.05)
        else:
            return


__all__ = ["ACCOUNTS", "PASSWORD", "LoginHost"]
