"""What an asker wants of a server: one line of JSON from a user who is not root; nothing of it is trusted."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from segue import __version__
from segue.build.changes import LONGEST_COMMIT, MOST_COMMITS, plain
from segue.build.source import Source
from segue.config.schema import AppConfig
from segue.core.contract import Contract
from segue.core.errors import Refused, UsageError
from segue.deploy.prepare import Wish
from segue.deploy.protocol import check_args
from segue.deploy.releases import CONTRACT
from segue.disk.forms import MAYBE_TEXT, Form, fits

LOOKS = ("status", "releases", "history", "receipt")
PRINTS = ("logs", "run")
DEPLOYS = ("deploy", "rollback", "restart", "recover")
LONGEST_TEXT = 200
_SOURCE: Form = {
    **dict.fromkeys(("folder", "revision"), str),
    **dict.fromkeys(("commit", "url"), MAYBE_TEXT),
    **dict.fromkeys(("dirty", "git", "archive", "sent"), bool),
    "log": [str],
}
_COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)
_REVISION = re.compile(r"[0-9a-f]{7}|tree", re.ASCII)


@dataclass(frozen=True)
class Request:
    """What was asked for, as far as it makes sense.

    Attributes:
        app: the app's name.
        verb: what to do.
        args: the verb's arguments.
        by: who asks.
        config: the app's config, for this target; None where nothing is started.
        source: what to deploy; None where it is on the server's disk.
        module: the app in it.
        contract: what it demands of its environment.
        command: what to run.
    """

    app: str
    verb: str
    args: dict[str, Any]
    by: str
    config: AppConfig | None = None
    source: Source | None = None
    module: str = ""
    command: tuple[str, ...] = ()
    contract: Contract = field(default_factory=Contract)

    def wish(self) -> Wish:
        """What the deploy is to do."""
        to, strategy = self.args.get("to"), self.args.get("strategy")
        allowed = bool(self.args.get("allow_contract"))
        return Wish(self.verb, self.by, to, strategy, self.source, self.module, self.contract, allowed)

    def as_dict(self) -> dict[str, Any]:
        """The request as `read_request` takes it."""
        source = self.source and {**asdict(self.source), "folder": str(self.source.folder)}
        config = self.config and self.config.model_dump(mode="json", exclude_none=True)
        words = {"app": self.app, "verb": self.verb, "args": self.args, "by": self.by, "module": self.module}
        found = {"config": config, "source": source, "command": list(self.command)}
        return {"version": __version__, **words, **found, "contract": self.contract.as_list()}


def read_request(document: dict[str, Any]) -> Request:
    """The request that `document` is.

    Raises:
        UsageError: it is none.
        Refused: it is of another version of segue.
    """
    if document.get("version") != __version__:
        raise Refused(
            "server_version",
            f"The server has segue {__version__}, and this is segue {str(document.get('version'))[:20]}.",
            evidence="both have to be the same",
            hint="install the same segue here, or run `sudo segue setup` there with this one",
        )
    unknown = document.keys() - {
        "version",
        "app",
        "verb",
        "args",
        "by",
        "config",
        "source",
        "module",
        "command",
        "contract",
    }
    if unknown:
        raise _no_request(f"unknown keys: {', '.join(sorted(key[:20] for key in unknown))}")
    try:
        args = check_args(document.get("args", {}))
    except ValueError as error:
        raise _no_request(str(error)) from None
    texts = {key: document.get(key, "") for key in ("app", "verb", "by", "module")}
    if not all(isinstance(text, str) and _is_short(text, LONGEST_TEXT) for text in texts.values()):
        raise _no_request("app, verb, by and module have to be short texts")
    if texts["verb"] not in (*LOOKS, *PRINTS, *DEPLOYS):
        raise _no_request(f"there is no verb {texts['verb'][:20]!r}")
    config, source = _config(document.get("config"), texts), _source(document.get("source"))
    if texts["verb"] in DEPLOYS and config is None:
        raise _no_request("it has no config")
    if texts["verb"] == "deploy" and not (source and texts["module"]):
        raise _no_request("it does not say what to deploy")
    command = _command(document.get("command", []), texts["verb"])
    contract = _contract(document.get("contract", []))
    return Request(**texts, args=args, config=config, source=source, command=command, contract=contract)


def _config(words: Any, texts: dict[str, str]) -> AppConfig | None:
    if words is None:
        return None
    try:
        config = AppConfig.model_validate(words)
        # the module goes by the same rules wherever it comes from
        AppConfig.model_validate(
            {"name": texts["app"], **({"module": texts["module"]} if texts["module"] else {})}
        )
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise _no_request(f"its config: {problems[:500]}") from None
    return config


def _command(words: Any, verb: str) -> tuple[str, ...]:
    if not isinstance(words, list) or not all(isinstance(word, str) and "\0" not in word for word in words):
        raise _no_request("its command is no list of words")
    if bool(words) != (verb == "run"):
        raise _no_request("run, and nothing else, has a command")
    return tuple(words)


def _contract(words: Any) -> Contract:
    if not fits(words, [CONTRACT]):
        raise _no_request("its contract does not say what it has to")
    try:
        return Contract.from_list(words)
    except ValueError as error:
        raise _no_request(f"its contract: {error}") from None


def _source(words: Any) -> Source | None:
    if words is None:
        return None
    if not fits(words, _SOURCE):
        raise _no_request("its source does not say what it has to")
    commit, folder = words["commit"], words["folder"]
    if not (folder.startswith("/") and folder.isprintable() and _REVISION.fullmatch(words["revision"])):
        raise _no_request("its source has no full path, or no revision")
    if commit is not None and not _COMMIT.fullmatch(commit):
        raise _no_request("its source's commit is none")
    if not (words["url"] or "").isprintable():
        raise _no_request("its source's url is none")
    # which letters can be printed, each version of Python knows by its own tables
    log = tuple(plain(line)[:LONGEST_COMMIT] for line in words["log"][:MOST_COMMITS])
    return Source(**{**words, "folder": Path(folder), "log": log})


def _is_short(text: str, most: int) -> bool:
    return len(text) <= most and text.isprintable()


def _no_request(evidence: str) -> UsageError:
    return UsageError(
        "request", "That is no request.", evidence=evidence, hint="ask by `segue` of the same version"
    )
