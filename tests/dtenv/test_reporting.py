"""Result rows as JSON lines: incomplete lines are dropped, and other settings raise ValueError; statistics."""

import numpy as np
import pytest

from dtenv.reporting import jsonl
from dtenv.reporting.statistics import half_width, holm


def test_a_line_that_was_cut_off_goes(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert jsonl.read(path) == []
    jsonl.append(path, [{"a": 1}, {"b": "φ"}])
    whole = path.read_bytes()
    with path.open("a") as file:
        file.write('{"a": 2')
    assert jsonl.read(path) == [{"a": 1}, {"b": "φ"}]
    assert path.read_bytes() == whole


def test_rows_come_back_whatever_their_text_holds(tmp_path):
    rows = [{"a": f"one{mark}two"} for mark in "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"]
    jsonl.append(tmp_path / "rows.jsonl", rows)
    assert jsonl.read(tmp_path / "rows.jsonl") == rows


@pytest.mark.parametrize("line", ["[1]", "{", ""])
def test_what_is_no_row_is_named_and_left(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n' + line + "\n")
    with pytest.raises(ValueError, match=r"rows.jsonl:2: must be a JSON object"):
        jsonl.read(path)
    assert path.read_text().endswith(line + "\n")


def test_settings_of_a_folder_are_kept_to(tmp_path):
    jsonl.check_settings(tmp_path / "new", {"a": (1, 2)})
    jsonl.check_settings(tmp_path / "new", {"a": [1, 2]})
    for other in ({"a": [1]}, {"a": [1, 2], "b": 0}, {}):
        with pytest.raises(ValueError, match="was made with"):
            jsonl.check_settings(tmp_path / "new", other)


def test_holm_rejects_step_by_step():
    assert holm([0.01, 0.04, 0.03, 0.005]) == [True, False, False, True]  # .05 / 4, .05 / 3, then .03 > .05 / 2
    assert holm([0.01, 0.04, 0.02]) == [True, True, True]
    assert holm([]) == [] and holm([0.05]) == [True]


def test_half_width_by_hand():
    assert half_width(np.array([1.0, 2.0, 3.0])) == pytest.approx(4.302653 / 3**0.5, rel=1e-6)  # t of 2 degrees
