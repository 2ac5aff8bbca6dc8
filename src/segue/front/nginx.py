"""nginx's sites: validated before they are written, and proved by nginx's new workers after."""

from __future__ import annotations

import re
import secrets
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from segue.core.errors import Failed, Refused
from segue.disk.atomic import sync_folder
from segue.front.copy import copy_config
from segue.front.master import Master, find_master
from segue.front.tree import Served, read_tree, served, words_of

RELOAD_TIMEOUT = 30.0
_COMMAND_TIMEOUT = 60.0
_CONFLICT = re.compile(r'conflicting server name "([^"]*)"')
_INSTALL = "apt install nginx"


@dataclass(frozen=True)
class Nginx:
    """nginx with its config in the distribution's layout.

    Attributes:
        folder: the config's.
        program: nginx itself.
    """

    folder: Path = Path("/etc/nginx")
    program: str = "nginx"

    @property
    def conf(self) -> Path:
        """Where its config begins."""
        return self.folder / "nginx.conf"

    def available(self, site: str) -> Path:
        """The file of `site`."""
        return self.folder / "sites-available" / site

    def enabled(self, site: str) -> Path:
        """The link that turns `site` on."""
        return self.folder / "sites-enabled" / site

    def read(self, site: str) -> str | None:
        """The text of `site`; None where it is not turned on."""
        try:
            return self.enabled(site).read_text(errors="replace")
        except FileNotFoundError:
            return None

    def has_read(self, site: str) -> bool:
        """Whether nginx's workers know `site` as it is; where somebody died between the two, they don't.

        Raises:
            Refused: nginx does not run.
        """
        # a second's grace: processes and files go by different clocks
        written = max(path.lstat().st_ctime for path in (self.available(site), self.enabled(site)))
        return self.master().serving_since() + 1.0 > written

    def validate(self, site: str, text: str | None) -> None:
        """See whether nginx would take its config with `site` as `text`, or without it; nothing is written.

        Raises:
            Refused: it is broken already; or would be; or somebody else serves a name of the site.
        """
        self.demand_sound()
        with TemporaryDirectory(prefix="segue-nginx-") as folder:
            copy = Nginx(Path(folder) / "nginx", self.program)
            files = {self.available(site): text, self.enabled(site): text}
            copy_config(self.folder, copy.folder, files)
            names = self._free_names(copy, site)
            self._demand_valid(copy, names)
        if text is not None and not names:
            raise Refused(
                "nginx_layout",
                f"nginx's config does not include {self.enabled(site)}.",
                evidence=str(self.conf),
                hint=f"add `include {self.folder}/sites-enabled/*;` to its http block",
            )

    def demand_sound(self) -> None:
        """Demand that nginx would take its config as it is.

        Raises:
            Refused: it would not.
        """
        code, words = self._run("-t", "-c", str(self.conf))
        if code:
            raise Refused(
                "nginx_broken",
                "nginx's config is broken as it is, so nothing was changed.",
                evidence=words,
                hint="mend it until `nginx -t` is content",
            )

    def _demand_valid(self, copy: Nginx, names: set[str]) -> None:
        code, words = self._run("-t", "-c", str(copy.conf))
        words = words.replace(str(copy.folder), str(self.folder))
        if code:
            raise Refused("nginx_site", "nginx would not take the site.", evidence=words)
        conflicts = [line for line in words.splitlines() if names.intersection(_CONFLICT.findall(line))]
        if conflicts:
            raise _name_taken("\n".join(conflicts))

    def _free_names(self, copy: Nginx, site: str) -> set[str]:
        everything = list(served(read_tree(copy.conf)))
        ours = [each for each in everything if each.server.file == copy.enabled(site)]
        wanted = {(each.name, each.port) for each in ours}
        taken = [each for each in everything if each not in ours and (each.name, each.port) in wanted]
        if taken:
            lines = "\n".join(_said(each) for each in taken)
            raise _name_taken(lines.replace(str(copy.folder), str(self.folder)))
        return {each.name for each in ours}

    def install(self, site: str, text: str | None) -> None:
        """Write `site` and turn it on; or, without `text`, take it away. nginx sees it at its next reload.

        Raises:
            OSError: it could not be written.
        """
        available, enabled = self.available(site), self.enabled(site)
        if text is None:
            enabled.unlink(missing_ok=True)
            available.unlink(missing_ok=True)
            return
        _replace(available, text)
        link = enabled.with_name(f".{site}.{secrets.token_hex(4)}")
        link.symlink_to(available)
        link.rename(enabled)
        sync_folder(enabled.parent)

    def reload(self, timeout: float = RELOAD_TIMEOUT) -> None:
        """Have nginx read its config, and see new workers take over, within `timeout` seconds.

        Raises:
            Refused: it does not run; or its config is broken.
            Failed: it could not use its config, and kept the one from before.
            Stranded: it ended.
        """
        self.demand_sound()
        self.master().reload(timeout)

    def put(self, site: str, text: str | None) -> None:
        """Validate and install `site`, or take it away, and reload; where nginx fails, all is as before.

        Raises:
            Refused: nothing was changed.
            Failed: nginx could not use it; what was there before is there again.
            Stranded: nginx ended.
        """
        before = self.read(site)
        self.master()
        self.validate(site, text)
        self.install(site, text)
        try:
            self.reload()
        except (Refused, Failed):
            self.install(site, before)
            raise

    def master(self) -> Master:
        """The one that runs with this config.

        Raises:
            Refused: none does.
        """
        tree, built_in = read_tree(self.conf), self._built_in()
        pid_file = (*words_of(tree, "pid"), built_in.get("pid-path", "logs/nginx.pid"))[0]
        error_log = (*words_of(tree, "error_log"), built_in.get("error-log-path", "logs/error.log"))[0]
        return find_master(
            self._full_path(pid_file, built_in),
            None if error_log == "stderr" or ":" in error_log else self._full_path(error_log, built_in),
        )

    def _full_path(self, path: str, built_in: dict[str, str]) -> Path:
        return Path(built_in.get("prefix", "/usr/local/nginx"), path)

    def _built_in(self) -> dict[str, str]:
        _, words = self._run("-V")
        arguments = shlex.split(words.partition("configure arguments:")[2])
        pairs = (argument.removeprefix("--").partition("=") for argument in arguments)
        return {key: value for key, _, value in pairs}

    def _run(self, *args: str) -> tuple[int, str]:
        try:
            done = subprocess.run(
                (self.program, *args),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_COMMAND_TIMEOUT,
                check=False,
            )
        except FileNotFoundError as error:
            raise Refused("no_nginx", "nginx is not installed.", evidence=str(error), hint=_INSTALL) from None
        except subprocess.TimeoutExpired as error:
            raise Refused("nginx_slow", "nginx looks at its config for ever.", evidence=str(error)) from None
        return done.returncode, done.stdout.decode(errors="replace")


def _name_taken(evidence: str) -> Refused:
    return Refused(
        "name_taken",
        "Another site on this server has a name of this one, so nothing was changed.",
        evidence=evidence,
        hint="remove that site, or choose another domain",
    )


def _said(taken: Served) -> str:
    return f"{taken.server.where}: server_name {taken.name}, port {taken.port}"


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_text(text)
        temporary.chmod(0o644)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
