"""`python -m tests.kafka_broker --run`: a broker for the demo, until SIGTERM or the end of standard input.
With --pki DIR it asks everybody for a certificate."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from tests.kafka_broker.broker import KafkaBroker
from tests.kafka_broker.jars import BrokerFailed, jar_directory, java
from tests.kafka_broker.secured import SecuredBroker


class _Ended(Exception):
    pass


def _end(_number: int, _frame: object) -> None:
    raise _Ended


@click.command()
@click.option("--run", is_flag=True, help="Start a broker, print its address, stay until stdin ends.")
@click.option(
    "--pki",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="With --run: a broker that asks everybody for a certificate of the CA in this folder.",
)
def main(run: bool, pki: Path | None) -> None:
    """Apache Kafka for tests and demo. Without --run it is only fetched."""
    signal.signal(signal.SIGTERM, _end)
    broker: KafkaBroker | None = None
    try:
        java()
        jar_directory()
        if run:
            broker = KafkaBroker() if pki is None else SecuredBroker(pki)
            click.echo(broker.bootstrap)
            sys.stdout.flush()
            while sys.stdin.buffer.read(4096):
                pass
    except BrokerFailed as error:
        click.echo(f"leaver: {error}", err=True)
        sys.exit(1)
    except (_Ended, KeyboardInterrupt):
        pass
    finally:
        if broker is not None:
            broker.stop()


if __name__ == "__main__":
    main()
