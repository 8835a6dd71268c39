"""The table of machines: its own order and filter, changed cells only."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester

from personadesk.domain.machine import Machine, MachineState
from personadesk.ui.instances.rows import COLUMNS, Column, Filter, Row
from personadesk.ui.instances.table import InstanceTable
from personadesk.ui.widgets.data_table import CELL_ROLE

NOW = 1_700_000_000.0


def machine(number: int, **more) -> Machine:
    values = {
        "name": f"m{number:04}", "tag": f"pd-{number}", "state": MachineState.RUNNING, "gpu": "A10",
        "memory_gb": 24, "price": 0.5 + number / 1000, "created": NOW - 60 * number, "seen": NOW,
    } | more  # fmt: skip
    return Machine(f"i-{number}", "acc", "toy", **values)


def rows(count: int) -> list[Row]:
    return [Row(machine(n), f"line {n}" if n % 2 else "", n / 10, n / 100) for n in range(count)]


@pytest.fixture
def table(qapp) -> InstanceTable:
    made = InstanceTable(clock=lambda: NOW)
    QAbstractItemModelTester(made, QAbstractItemModelTester.FailureReportingMode.Fatal, parent=made)
    return made


def names(table: InstanceTable) -> list[str]:
    return [row.machine.name for row in table.shown()]


def test_it_says_what_there_is(table):
    table.set_columns(tuple(Column))
    table.show_rows(rows(2))
    texts = {c: table.index(1, n).data() for n, c in enumerate(table.columns)}
    assert texts[Column.MACHINE] == "m0001"
    assert texts[Column.STATE] == "Runs"
    assert texts[Column.PRICE] == "$0.50 /h"
    assert texts[Column.SPENT] == "$0.10"
    assert texts[Column.AGE] == "1 min"
    assert table.index(0, 0).data(CELL_ROLE).below == "no line"
    assert table.headerData(0, Qt.Orientation.Horizontal) == "Machine"


def test_unknown_is_a_dash_with_a_reason_and_sorts_last_both_ways(table):
    table.show_rows([Row(machine(1)), Row(machine(2, price=None)), Row(machine(3, price=0.1))])
    price = COLUMNS.index(Column.PRICE)
    table.sort(price, Qt.SortOrder.AscendingOrder)
    assert names(table) == ["m0003", "m0001", "m0002"]
    table.sort(price, Qt.SortOrder.DescendingOrder)
    assert names(table) == ["m0001", "m0003", "m0002"]
    index = table.index(2, price)
    assert index.data() == "–"
    assert "Not told" in index.data(Qt.ItemDataRole.ToolTipRole)


def test_trouble_comes_first_by_state(table):
    table.show_rows(
        [Row(machine(1)), Row(machine(2, state=MachineState.LOST)), Row(machine(3, count=0))]
    )
    table.sort(COLUMNS.index(Column.STATE))
    assert names(table)[0] == "m0002"
    assert {table.index(n, 1).data() for n in range(3)} == {"GPU taken", "Runs"}


def test_one_changed_machine_tells_its_changed_cells_only(table, qtbot):
    before = rows(1000)
    table.show_rows(before)
    for row in range(table.rowCount()):
        table.index(row, 0).data()
    told = []
    table.dataChanged.connect(lambda a, b, roles: told.append((a.row(), a.column(), b.column())))
    after = list(before)
    after[500] = replace(before[500], today=99.0)
    table.show_rows(after)
    today = COLUMNS.index(Column.TODAY)
    assert told == [(500, today, today)]


def test_rows_stay_where_they_are_until_the_user_sorts(table):
    table.show_rows(rows(3))
    table.sort(COLUMNS.index(Column.PRICE), Qt.SortOrder.DescendingOrder)
    assert names(table) == ["m0002", "m0001", "m0000"]
    dearer = rows(3)
    dearer[0] = replace(dearer[0], machine=replace(dearer[0].machine, price=9.0))
    table.show_rows(dearer)
    assert names(table) == ["m0002", "m0001", "m0000"]


def test_what_comes_and_goes_is_put_in_and_taken_out(table):
    table.show_rows(rows(5))
    table.show_rows([row for row in rows(6) if row.machine.id != "i-2"])
    assert names(table) == ["m0000", "m0001", "m0003", "m0004", "m0005"]


def test_filters_go_together_and_a_marked_machine_keeps_its_mark(table):
    some = rows(10)
    some[4] = Row(machine(4, state=MachineState.STOPPED), "Front desk")
    some.append(Row(machine(11, tag="", name="alien")))
    table.show_rows(some)
    from PySide6.QtCore import QItemSelectionModel

    marks = QItemSelectionModel(table)
    marks.setCurrentIndex(table.index(4, 0), QItemSelectionModel.SelectionFlag.SelectCurrent)
    table.set_filter(Filter(text="front stopped"))
    assert names(table) == []
    table.set_filter(Filter(text="front asleep"))
    assert names(table) == ["m0004"]
    table.set_filter(Filter(line=Filter.NO_LINE))
    assert "alien" not in names(table)
    table.set_filter(Filter(state=MachineState.STOPPED))
    table.set_filter(Filter())
    assert len(names(table)) == 11


def test_columns_can_be_chosen_and_the_name_always_stays(table):
    table.show_rows(rows(1))
    table.set_columns([Column.ID, Column.REGION])
    assert table.columns == (Column.MACHINE, Column.REGION, Column.ID)
    assert table.index(0, 2).data() == "i-0"
