"""How pages publish what was changed: read from the form, tried in words where it is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec
from sqlalchemy import Connection

from policies.errors import PolicyError, PolicyErrors
from policies.rule_file import FILE_BYTES_MAX, RuleText, parse_once
from server.api.errors import ApiError
from server.console.page import Ask, Console
from server.console.phrases import Language
from server.console.said_words import fault_in
from server.dry_runs.gate import BaseMoved, DryRunMissing, Publishing
from server.dry_runs.running import AlreadyRunning, DryRunner
from server.dry_runs.stored_runs import UnknownDryRun
from server.people.pseudonyms import UnknownPseudonym
from server.people.roles import Right
from server.people.text_mask import masked_prose
from server.policies.versions import PolicyVersion, Unchanged, UnknownPolicy, current_versions

FORM_BYTES: Final = 3 * FILE_BYTES_MAX + 4096
"""A text in a form: most of its characters take up to three."""
NEW: Final = "new"

Done = TypeVar("Done")


class Problem(msgspec.Struct, frozen=True):
    """`line`: 1-based, of the text in the editor; 0: of another file, which is named."""

    line: int
    message: str


class Runner:
    """The console's own dry runs."""

    def __init__(self, console: Console) -> None:
        self.of = DryRunner(
            console.database, clock=console.clock, events_days=console.config.retention.events_days
        )


def held_version(connection: Connection, rule_id: str) -> PolicyVersion:
    """Raises ApiError(404)."""
    found = current_versions(connection).get(rule_id.lower())
    if found is None:
        raise ApiError(404, "not_found", "there is no such policy")
    return found


def own_id(rule_id: str, text: str) -> str:
    """Of a new policy the id that its text says."""
    if rule_id != NEW:
        return rule_id
    return parse_once(RuleText(f"{NEW}.yml", text)).rule_id or ""


def text_of(ask: Ask) -> str:
    """As it was typed, with the line ends that files have."""
    text = ask.form.get("text", "").replace("\r\n", "\n").replace("\r", "\n")
    return text if not text or text.endswith("\n") else text + "\n"


def whole(ask: Ask, name: str, default: int | None = None) -> int:
    """A number of the form. Raises ApiError(400)."""
    given = ask.form.get(name, "" if default is None else str(default))
    if not (given.isascii() and given.isdigit() and len(given) <= 10):
        raise ApiError(400, "bad_form", f"{name} is no whole number")
    return int(given)


def publishing(ask: Ask, rule_id: str) -> Publishing:
    reason = ask.form.get("reason", "").strip()
    return Publishing(rule_id, whole(ask, "base"), reason, ask.form.get("unproven") == "1")


def problems_of(errors: Sequence[PolicyError], file: str, language: Language) -> list[Problem]:
    """By line; those of other policies, which name this one, last."""
    said = [fault_in(language, error.message) for error in errors]
    found = [
        Problem(error.line, words)
        if error.file == file
        else Problem(0, f"{error.file}:{error.line}: {words}")
        for error, words in zip(errors, said, strict=True)
    ]
    return sorted(found, key=lambda each: (each.line == 0, each.line))


def told(console: Console, ask: Ask, work: Callable[[], Done]) -> Done:
    """`work`, with what it refuses as an answer in words. Nothing was changed then: the version that holds
    stays in use."""
    stays = ask.text("The version that holds stays in use.")
    try:
        return work()
    except BaseMoved as moved:
        if moved.holds is None:
            words = ask.text("This policy is not there any more.")
        else:
            words = ask.text(
                "{who} published version {n} meanwhile. Yours was made from another: look at theirs first.",
                who=moved.holds.saved_by,
                n=moved.holds.number,
            )
        raise ApiError(409, "base_moved", f"{words} {stays}") from None
    except DryRunMissing:
        words = ask.text("There is no dry run of just this text against the version that holds.")
        raise ApiError(409, "dry_run_missing", f"{words} {stays}") from None
    except PolicyErrors as errors:
        first = errors.errors[0]
        fault = _shown(console, ask, fault_in(ask.look.language, first.message))
        words = ask.text("Line {line}: {message}.", line=first.line, message=fault)
        raise ApiError(422, "policy_has_faults", f"{words} {stays}") from None
    except Unchanged:
        raise ApiError(409, "unchanged", ask.text("It is so already.")) from None
    except AlreadyRunning:
        words = ask.text("Another dry run is under way: wait for it, or cancel it.")
        raise ApiError(409, "dry_run_under_way", words) from None
    except (UnknownPolicy, UnknownDryRun, UnknownPseudonym):
        raise ApiError(404, "not_found", ask.text("There is no such policy, version or person.")) from None
    except ValueError as error:
        raise ApiError(422, "refused", _shown(console, ask, str(error))) from None


def _shown(console: Console, ask: Ask, message: str) -> str:
    """It may quote what others typed."""
    return message if ask.viewer.may(Right.SEE_NAMES) else masked_prose(console, [message])[0]
