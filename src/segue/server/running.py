"""Parts that are systemd's and nginx's: the keeper runs, the site is on; or all of it is ended."""

from __future__ import annotations

from dataclasses import dataclass

from segue.server.layout import Layout
from segue.server.machine import Machine, demand
from segue.server.parts import Change, diff_of


@dataclass(frozen=True)
class Kept:
    """The app's own unit: enabled, and started once. Where it failed later, that is the app's to tell."""

    layout: Layout

    def change(self, machine: Machine) -> Change | None:
        """Enable it, or start it."""
        missing = self._missing(machine)
        return Change(f"+ {' and '.join(missing)} {self.layout.keeper_unit}") if missing else None

    def obstacles(self, machine: Machine) -> list[str]:
        """Nothing is in its way."""
        del machine
        return []

    def make(self, machine: Machine) -> None:
        """Do what is missing."""
        for verb in self._missing(machine):
            demand(machine, "systemctl", verb, self.layout.keeper_unit)

    def _missing(self, machine: Machine) -> list[str]:
        shown = machine.run("systemctl", "show", "-p", "UnitFileState,ActiveState", self.layout.keeper_unit)
        states = dict(line.partition("=")[::2] for line in shown.output.splitlines())
        done = {
            "enable": states.get("UnitFileState") == "enabled",
            "start": states.get("ActiveState", "inactive") != "inactive",
        }
        return [verb for verb in done if not done[verb]]


@dataclass(frozen=True)
class Ended:
    """Nothing of the app's runs: no deploy, no keeper, no generation, no socket and no other process."""

    layout: Layout

    def change(self, machine: Machine) -> Change | None:
        """Whatever systemd knows of."""
        listed = machine.run("systemctl", "list-units", "--all", "--plain", "--no-legend", *self._names())
        units = [line.split()[0] for line in listed.output.splitlines() if line.strip()]
        return Change(f"- stop {', '.join(units)}") if units else None

    def obstacles(self, machine: Machine) -> list[str]:
        """Nothing is in its way."""
        del machine
        return []

    def make(self, machine: Machine) -> None:
        """Stop it: sockets and services at once, or the next connection would start a service anew."""
        deploys, keeper, *generations = self._names()
        demand(machine, "systemctl", "stop", deploys)
        machine.run("systemctl", "disable", "--now", keeper)
        demand(machine, "systemctl", "stop", *generations)
        machine.run("systemctl", "reset-failed", *self._names())

    def _names(self) -> tuple[str, ...]:
        templates = (self.layout.service_template, self.layout.socket_template)
        generations = (name.replace("@", "@*") for name in templates)
        deploys = self.layout.deploy_template.replace("@", "@*")
        return (deploys, self.layout.keeper_unit, *generations, self.layout.process_units)


@dataclass(frozen=True)
class Site:
    """The app's site at nginx.

    Attributes:
        layout: the app's.
        text: the site; None for none.
    """

    layout: Layout
    text: str | None

    def change(self, machine: Machine) -> Change | None:
        """The site's text."""
        before = machine.front.read(self.layout.site.name)
        if before == self.text:
            unread = before is not None and not machine.front.has_read(self.layout.site.name)
            return Change(f"~ site {self.layout.site}, which nginx has not read") if unread else None
        if self.text is None:
            return Change(f"- site {self.layout.site}")
        sign = "+" if before is None else "~"
        return Change(f"{sign} site {self.layout.site}", diff_of(before or "", self.text))

    def obstacles(self, machine: Machine) -> list[str]:
        """None that could be listed beside others.

        Raises:
            Refused: nginx would not take it, or another site has its name.
        """
        if self.change(machine) is not None:
            machine.front.validate(self.layout.site.name, self.text)
        return []

    def make(self, machine: Machine) -> None:
        """Have nginx serve it."""
        machine.front.put(self.layout.site.name, self.text)
