"""A real Postfix in folders of its own, on free loopback ports, with SASL logins and an archive of all mail.

The outside is Postfix's own smtp-sink, to which everything for other domains goes.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Final

OWN: Final = "firm.example"
PASSWORD: Final = "a long enough secret"
_MASTER: Final = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
local     unix  - n n - - local
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
{more}
"""
_MAIN: Final = """\
compatibility_level = 3.6
config_directory = {folder}/etc
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
myhostname = mx.firm.example
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtputf8_enable = yes
relayhost = [127.0.0.1]:{sink}
virtual_mailbox_domains = firm.example
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps =
 inline:{{archive@firm.example={archive}, boss@firm.example=boss/, lin@firm.example=lin/}}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 104857600
always_bcc = {bcc}
smtpd_sasl_auth_enable = yes
smtpd_sasl_path = smtpd
cyrus_sasl_config_path = {folder}/etc/sasl
smtpd_sasl_security_options = noanonymous
smtpd_sasl_authenticated_header = {header}
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject
smtpd_client_connection_count_limit = 0
smtp_destination_concurrency_limit = 10
minimal_backoff_time = 2s
maximal_backoff_time = 4s
queue_run_delay = 2s
"""


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


class MailServer:
    """Running once made. `folder` must be reachable by everybody: Postfix gives up root."""

    def __init__(
        self,
        folder: Path,
        *,
        archive: str = "archive/",
        archived: bool = True,
        tells_login: bool = True,
        more_services: str = "",
        more_settings: str = "",
    ) -> None:
        """archive: "archive/" is a Maildir, "archive" an mbox. tells_login: in the Received header."""
        self.folder, self.port, self.sink_port = folder, free_port(), free_port()
        self.log = folder / "log" / "mail.log"
        self.archive = folder / "mail" / archive.rstrip("/")
        for part in ("etc/sasl", "queue", "data", "log", "mail"):
            (folder / part).mkdir(parents=True)
        folder.chmod(0o755)
        os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
        os.chown(folder / "mail", 65534, 65534)
        main = _MAIN.format(
            folder=folder,
            sink=self.sink_port,
            archive=archive,
            bcc="archive@firm.example" if archived else "",
            header="yes" if tells_login else "no",
        )
        (folder / "etc/main.cf").write_text(main + more_settings, encoding="ascii")
        (folder / "etc/master.cf").write_text(
            _MASTER.format(port=self.port, more=more_services), encoding="ascii"
        )
        (folder / "etc/sasl/smtpd.conf").write_text(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN\n"
            f"sasldb_path: {folder}/etc/sasldb2\n",
            encoding="ascii",
        )
        for user in ("lin", "wang"):
            self._account(user)
        self._sink = subprocess.Popen(
            ["smtp-sink", "-u", "nobody", f"127.0.0.1:{self.sink_port}", "200"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._said = (folder / "said").open("wb")
        self._postfix = subprocess.Popen(
            ["postfix", "-c", str(folder / "etc"), "start-fg"], stdout=self._said, stderr=self._said
        )
        try:
            self._wait_for(self.port)
            self._wait_for(self.sink_port)
        except BaseException:
            self.stop()
            raise

    def connect(self, user: str | None = None) -> smtplib.SMTP:
        connection = smtplib.SMTP("127.0.0.1", self.port, timeout=60)
        if user is not None:
            connection.login(f"{user}@{OWN}", PASSWORD)
        return connection

    def send(
        self,
        message: EmailMessage | bytes,
        *recipients: str,
        sender: str = "lin@firm.example",
        user: str | None = None,
    ) -> None:
        content = message if isinstance(message, bytes) else message.as_bytes()
        with self.connect(user) as connection:
            connection.sendmail(sender, recipients, content)

    def rotate(self) -> None:
        """Postfix's own way: renames the log and packs it."""
        subprocess.run(["postfix", "-c", str(self.folder / "etc"), "logrotate"], check=True)

    def change(self, *settings: str) -> None:
        """Lines "name = value" of main.cf, in force when this returns; what is deferred is tried at once."""
        config = str(self.folder / "etc")
        subprocess.run(["postconf", "-c", config, "-e", *settings], check=True)
        for command in (["postfix", "-c", config, "reload"], ["postqueue", "-c", config, "-f"]):
            subprocess.run(command, check=True, stdout=self._said, stderr=self._said)

    def wait_until_idle(self, seconds: float = 60) -> None:
        """Until nothing waits in the queue."""
        queue = self.folder / "queue"
        limit = time.monotonic() + seconds
        while any(
            path.is_file()
            for part in ("incoming", "active", "deferred", "maildrop")
            for path in (queue / part).rglob("*")
        ):
            assert time.monotonic() < limit, "mails stay in the queue"
            time.sleep(0.1)

    def stop_sink(self) -> None:
        self._sink.kill()
        self._sink.wait()

    def start_sink(self) -> None:
        self._sink = subprocess.Popen(
            ["smtp-sink", "-u", "nobody", f"127.0.0.1:{self.sink_port}", "200"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait_for(self.sink_port)

    def stop(self) -> None:
        self._postfix.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._postfix.wait(30)
        self._postfix.kill()
        self._postfix.wait()
        self.stop_sink()
        self._said.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _account(self, user: str) -> None:
        database = self.folder / "etc/sasldb2"
        subprocess.run(
            ["saslpasswd2", "-p", "-c", "-f", str(database), "-u", OWN, user],
            input=PASSWORD.encode(),
            check=True,
        )
        shutil.chown(database, "postfix")

    def _wait_for(self, port: int) -> None:
        limit = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as connection:
                if connection.recv(10).startswith(b"220"):
                    return
            said = (self.folder / "said").read_text(errors="replace") if self.folder.exists() else ""
            assert time.monotonic() < limit, f"Postfix does not answer: {said}"
            time.sleep(0.1)
