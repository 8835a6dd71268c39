"""The stable words of programs (states, verdicts, deeds) as people read them in their language."""

from __future__ import annotations

from personadesk.language import mark, tr

KNOWN = frozenset(
    {
        # lines, their wishes, machines and servers
        mark("up"), mark("starting"), mark("failed"), mark("stopped"), mark("unknown"), mark("asleep"),
        mark("requested"), mark("provisioning"), mark("booting"), mark("running"), mark("stopping"),
        mark("ending"), mark("ended"), mark("lost"), mark("backing-off"), mark("given-up"), mark("dead"),
        mark("absent"),
        # what the guardian did
        mark("up again"), mark("wait"), mark("reconnect"), mark("restart-service"),
        mark("fetch-model"), mark("start"), mark("sleep"), mark("restart-machine"),
        mark("end-machine"), mark("clean-up"), mark("deploy"), mark("switch"), mark("make-spare"),
        mark("mend-spare"), mark("end-spare"), mark("spare-ready"), mark("no-spare"),
        # verdicts, stock, money
        mark("pass"), mark("warn"), mark("fail"), mark("high"), mark("medium"), mark("low"),
        mark("none"), mark("stop"), mark("end"), mark("day"), mark("month"),
        # what an account may, what stays without a machine
        mark("see"), mark("rent"), mark("volume"), mark("address"), mark("group"), mark("firewall"),
        mark("key"),
        # a call
        mark("connecting"), mark("preparing"), mark("in-call"), mark("you"), mark("voice"),
        # who serves the lines
        mark("window"), mark("terminal"), mark("background"), mark("command"),
    }
)  # fmt: skip
"""Every word that a person can meet; programs get it as it is."""


def word(stable: str) -> str:
    """Return such a word in the user's language."""
    return tr(str(stable))
