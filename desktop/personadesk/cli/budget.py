"""`personadesk budget …`: what may be spent, by a line or in all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from personadesk.app import open_services
from personadesk.cli import money_words as words
from personadesk.cli.running import print_json, run_command
from personadesk.domain.budget import ALL, Act, Budget
from personadesk.domain.errors import NotFound
from personadesk.domain.text import T
from personadesk.language import show, tr

if TYPE_CHECKING:
    import argparse

    from personadesk.app import Services
    from personadesk.cli.running import Stop


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    return run_command(lambda stop: _once(arguments, stop), as_json=arguments.json)


async def _once(arguments: argparse.Namespace, stop: Stop) -> int:
    services = await open_services(serve_lines=False)
    try:
        return await _act(services, arguments)
    finally:
        await services.close()


async def _act(services: Services, arguments: argparse.Namespace) -> int:
    money = services.money
    if arguments.action == "list":
        found = (await money.look(ask=True)).budgets
        if arguments.json:
            print_json({"budgets": [words.standing_dict(each) for each in found]})
        else:
            print("\n".join(map(words.standing_words, found)) or tr("No budgets yet."))
        return 0
    name = arguments.line
    if arguments.action == "clear":
        there = await money.budgets.remove(name)
        if arguments.json:
            print_json({"cleared": there})
        else:
            print(tr("That budget is gone.") if there else tr("There was none."))
        return 0
    if arguments.action == "set":
        if name != ALL:
            await services.lines.need(name)
        await money.set_budget(_changed(await money.budgets.get(name) or Budget(name), arguments))
    elif arguments.action == "lift":
        await money.lift(name, arguments.by)
    return await _tell(services, arguments)


def _changed(budget: Budget, arguments: argparse.Namespace) -> Budget:
    """Return a budget with what was given; 0 takes a limit away."""
    day = budget.per_day if arguments.per_day is None else arguments.per_day or None
    month = budget.per_month if arguments.per_month is None else arguments.per_month or None
    return replace(
        budget,
        per_day=day,
        per_month=month,
        warn=budget.warn if arguments.warn is None else arguments.warn / 100,
        act=budget.act if arguments.act is None else Act(arguments.act),
    )


async def _tell(services: Services, arguments: argparse.Namespace) -> int:
    money = services.money
    budget = await money.budgets.get(arguments.line)
    if budget is None:
        raise NotFound(
            T("There is no such budget."),
            T("Look at them with: personadesk budget list"),
            cause="no_budget",
        )
    found = await money.look(ask=True)
    standings = [each for each in found.budgets if each.budget.line == budget.line]
    stops = await money.consequences(budget)
    if arguments.json:
        print_json(
            {
                **words.budget_dict(budget),
                "standings": [words.standing_dict(each) for each in standings],
                "would_stop": [str(each) for each in stops],
            }
        )
    else:
        print("\n".join([*map(words.standing_words, standings), tr("When it is used up:")]))
        print("\n".join(f"  {show(each)}" for each in stops))
    return 0
