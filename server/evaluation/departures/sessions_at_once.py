"""An account that works in two places at once: somebody else has its password, or it only looks so (X2c)."""

from __future__ import annotations

from server.evaluation.departures import observed_acts as acts
from server.evaluation.departures.company import Employee
from server.evaluation.departures.ordinary_days import everybody_works, is_weekend, ssh_key, works
from server.evaluation.departures.script import Script, Stream

_BUILD = acts.server("srv-build")
_JUMP = acts.server("srv-jump")


def _an_engineer(script: Script, weeks: int = 4) -> tuple[Employee, int]:
    """Ordinary weeks of all, (who, a working day on which they do no more than the stream says)."""
    company = script.company
    company.names_networks = True
    who = script.dice.choice([each for each in company.staff if each.department in {"engineering", "it"}])
    day = 7 * weeks + script.dice.randrange(5)
    script.roster()
    everybody_works(script, range(1, day + 4), but=(who,))
    works(script, who, range(1, day))
    return who, day


def _in_the_office(script: Script, who: Employee, day: int) -> tuple[int, str]:
    """A session with the own key, from the morning on: (when it began, from where)."""
    time, address = script.some_time(day, 8.5, 10), script.address(who.machine, day=day)
    script.send(
        acts.login(time, _BUILD, who.account, service="sshd", address=address, key=ssh_key(who.account))
    )
    return time, address


def _by_password(script: Script, time: int, who: Employee, address: str, *, is_leak: bool = False) -> int:
    event = acts.login(
        time, script.dice.choice((_BUILD, _JUMP)), who.account, service="sshd", address=address
    )
    script.send(event) if not is_leak else script.leak(event)
    return time


def _second_session(script: Script) -> None:
    """Somebody else's machine, by the password, while the owner works in the office."""
    who, day = _an_engineer(script)
    _in_the_office(script, who, day)
    script.suspect = script.owner = who.id
    stranger = script.company.public_address()
    for _ in range(script.dice.randint(1, 3)):
        _by_password(script, script.some_time(day, 11, 17), who, stranger, is_leak=True)


def _vpn_goes_down(script: Script) -> None:
    """Inside by the company's VPN, then without it: the same laptop, so the same key."""
    who, day = _an_engineer(script)
    key, hotel = ssh_key(who.account), script.company.public_address()
    time = script.some_time(day, 8.5, 12)
    for address in (script.company.office.vpn, hotel, hotel):
        script.send(acts.login(time, _BUILD, who.account, service="sshd", address=address, key=key))
        time += script.dice.randrange(600_000, 3_600_000)


def _through_a_jump_host(script: Script) -> None:
    """From a hotel to the jump host and on from there; then from another network, while the hop is open."""
    who, day = _an_engineer(script)
    inside = script.company.office.network.replace(".0/24", ".9")
    time = script.some_time(day, 9, 12)
    for _ in range(script.dice.randint(2, 4)):
        outside = script.company.public_address()
        script.send(acts.login(time, _JUMP, who.account, service="sshd", address=outside))
        hop = acts.login(time + 40_000, _BUILD, who.account, service="sshd", address=inside)
        script.send(hop)
        time += script.dice.randrange(1_200_000, 5_400_000)


def _telephone(script: Script) -> None:
    """Its addresses change within the provider's network, where the account was seen on weekends before."""
    who, day = _an_engineer(script)
    provider = script.company.public_address().rsplit(".", 2)[0]
    dice = script.dice

    def address() -> str:
        return f"{provider}.{dice.randrange(1, 255)}.{dice.randrange(1, 255)}"

    for weekend in (each for each in range(8, day - 2) if is_weekend(each)):
        _by_password(script, script.some_time(weekend, 12, 20), who, address())
    _in_the_office(script, who, day)
    for _ in range(dice.randint(1, 4)):
        _by_password(script, script.some_time(day, 11, 17), who, address())


def _logs_out_and_travels(script: Script) -> None:
    """The office's session is over when the one in the hotel begins."""
    who, day = _an_engineer(script)
    began, address = _in_the_office(script, who, day)
    end = script.some_time(day, 14, 16)
    script.send(acts.logout(end, _BUILD, who.account, began=began, address=address))
    hotel = script.company.public_address()
    for _ in range(script.dice.randint(1, 3)):
        _by_password(script, end + script.dice.randrange(60_000, 14_400_000), who, hotel)


def _service_account_everywhere(script: Script) -> None:
    """Declared, and one that nobody declared: jobs run inside and at a provider's, all at once."""
    who, day = _an_engineer(script)
    script.account(0, 0.7, "deploy", kind="service", owner=who)
    inside = script.address(who.machine, day=day)
    rented = [script.company.public_address() for _ in range(3)]
    for each in range(2, day + 3):
        for account in ("deploy", "backup"):
            for address in (inside, script.dice.choice(rented if each > day - 3 else rented[:1])):
                time = script.some_time(each, 1, 23)
                script.send(acts.login(time, _BUILD, account, service="sshd", address=address))


STREAMS = (
    Stream(
        "second_session",
        "alert",
        "Somebody logs in with the password of an engineer who works in the office meanwhile",
        _second_session,
    ),
    Stream("vpn_goes_down", "silence", "The VPN goes down, work goes on without it", _vpn_goes_down),
    Stream(
        "through_a_jump_host",
        "silence",
        "From changing hotel networks over a jump host inwards",
        _through_a_jump_host,
    ),
    Stream(
        "telephone", "silence", "A telephone whose addresses change, beside the office's session", _telephone
    ),
    Stream(
        "logs_out_and_travels",
        "silence",
        "Logs out in the office, and in from a hotel by password",
        _logs_out_and_travels,
    ),
    Stream(
        "service_account_everywhere",
        "silence",
        "Jobs log in from inside and from rented machines at once",
        _service_account_everywhere,
    ),
)
