"""The figures of a report: what they show of a result, in numbers, and that nothing in them is read as markup."""

import base64
import math
import re
from collections import Counter
from xml.etree import ElementTree as ET

import pytest

from flows.artifacts.figures import folded, histogram, html_image, inline_image
from flows.artifacts.job_figure import job_figure
from flows.artifacts.outcome_rows import bars_of
from flows.artifacts.outcomes import Counted, Mean, outcomes_of

SVG = "{http://www.w3.org/2000/svg}"


def result(*datas: dict[str, object]) -> dict[str, object]:
    """Return a result document of experiments with these data."""
    results = [
        {"header": {"name": f"experiment_{place}"}, "shots": 4, "data": {"memory": []} | data}
        for place, data in enumerate(datas)
    ]
    return {"results": results}


def texts(svg: str) -> list[str]:
    """Return all that is written in a picture."""
    return [each.text or "" for each in ET.fromstring(svg).iter(f"{SVG}text")]


def cells(svg: str) -> list[float]:
    """Return the shades of a heat map, row by row."""
    rects = ET.fromstring(svg).iter(f"{SVG}rect")
    return [float(each.attrib["fill-opacity"]) for each in rects if "fill-opacity" in each.attrib]


def test_means_are_of_each_wire_with_their_errors():
    """The error is that of the mean of so many shots; of bits the rightmost is the first."""
    found = outcomes_of(result({"memory": ["0 2", "0 4", "1 2", "1 4"]}, {"counts": {"01": 3, "11": 1}}), 9)
    third = math.sqrt(1 / 3)
    assert found["experiment_0"].means() == [Mean(0.5, pytest.approx(third / 2)), Mean(3, pytest.approx(third))]
    assert found["experiment_1"].means() == [Mean(1, 0), Mean(0.25, pytest.approx(0.25))]
    (value,) = outcomes_of(result({"exp_value": -0.5, "stds": 0.1}), 9).values()
    assert value.means() == [Mean(-0.5, 0.1)]


@pytest.mark.parametrize("memory", [[], ["up", "down"], ["9" * 5000], ["1 2", "3"], ["\u0663"], ["1e3"]])
def test_any_outcomes_have_a_figure(memory: list[str]):
    """A backend of somebody else may return what it likes."""
    found = outcomes_of(result({"memory": memory}, {"memory": ["<b>&\"'"]}), 9)
    assert ET.fromstring(job_figure(found)) is not None


def test_what_xml_has_no_character_for_is_spelt_out():
    """Else no program can read the picture."""
    found = outcomes_of(result({"memory": ["\x1b[31m", "\x00", "\u202e1"]}, {"memory": ["0"]}), 9)
    wanted = {"\\u001b[31m", "\\u0000", "\\u202e1"}
    assert wanted < {*texts(job_figure(found))}
    assert wanted < {*texts(histogram(found["experiment_0"].frequent, 3, "title"))}


def test_a_sweep_is_one_figure():
    """Each outcome is a row, each experiment a column; the shade is the root of the share."""
    svg = job_figure(outcomes_of(result({"memory": ["0"] * 4}, {"memory": ["0", "1", "1", "1"]}), 9))
    assert texts(svg)[0] == ("2 experiments: share of outcomes (up to 100.0%), mean ± standard error")
    assert texts(svg)[1:3] == ["1", "0"]
    assert texts(svg)[-3:] == ["0", "1", "experiment"]
    assert cells(svg) == [0.87, 1.0, 0.5]


def test_a_level_that_no_shot_showed_is_seen_as_a_gap():
    """In a histogram and in a heat map; bit strings are no levels, and of levels far apart there are too many."""
    assert bars_of(Counted(Counter({"9": 1, "12": 3}))) == [("9", 1), ("10", 0), ("11", 0), ("12", 3)]
    assert bars_of(Counted(Counter({"10": 1, "12": 3}), is_bits=True)) == [("10", 1), ("12", 3)]
    assert bars_of(Counted(Counter({"1 0": 1, "3 0": 3}))) == [("1 0", 1), ("3 0", 3)]
    assert bars_of(Counted(Counter({"0": 1, "32": 3}))) == [("0", 1), ("32", 3)]
    svg = histogram(bars_of(Counted(Counter({"2": 4, "4": 4}))), 8, "title")
    assert texts(svg) == ["title", "2", "4 (50.0%)", "3", "0 (0.0%)", "4", "4 (50.0%)"]
    widths = [
        float(each.attrib["width"]) for each in ET.fromstring(svg).iter(f"{SVG}rect") if each.get("class") == "bar"
    ]
    assert widths == [widths[0], 0, widths[0]]
    assert texts(job_figure(outcomes_of(result({"memory": ["2"]}, {"memory": ["4"]}), 9)))[1:4] == ["4", "3", "2"]


def test_points_and_error_bars_lie_inside_the_frame():
    """Of the means of several experiments, with round numbers beside them."""
    svg = job_figure(outcomes_of(result({"memory": ["0", "2"]}, {"memory": ["4", "5"]}), 9))
    frame = [each for each in ET.fromstring(svg).iter(f"{SVG}rect") if each.get("class") == "axis"][-1]
    top, height = float(frame.attrib["y"]), float(frame.attrib["height"])
    (bars,) = [each.attrib["d"] for each in ET.fromstring(svg).iter(f"{SVG}path") if each.get("class") is None]
    ends = [float(y) for pair in re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", bars) for y in pair]
    assert len(ends) == 4
    assert all(top < y < top + height for y in ends)
    assert {"0", "1", "2", "3", "4", "5"} <= {*texts(svg)}


def test_levels_of_many_atoms_are_counted_in_intervals():
    """There are never more than 32 rows."""
    svg = job_figure(outcomes_of(result({"memory": [str(level) for level in range(101)]}, {"memory": ["7"]}), 9))
    rows = [text for text in texts(svg) if " to " in text and "experiments" not in text]
    assert (rows[0], rows[-1], len(rows)) == ("100 to 103", "0 to 3", 26)
    many = {format(number, "06b"): 1 for number in range(64)}
    svg = job_figure(outcomes_of(result({"counts": many | {"000000": 5}}, {"counts": {"000000": 1}}), 9))
    assert texts(svg)[32] == "others"


def test_a_sweep_of_values_has_no_heat_map():
    """Of expectation values the figure has the values alone, with their errors."""
    data = [{"exp_value": value, "stds": 0.25} for value in (-1.0, 0.0, 1.0)]
    svg = job_figure(outcomes_of(result(*data), 9))
    assert texts(svg) == [
        "3 experiments: expectation value ± standard error", "-1", "-0.5", "0", "0.5", "1", "0", "1", "2", "experiment",
    ]  # fmt: skip
    assert cells(svg) == []


def test_pictures_are_dark_where_the_reader_wants_it_and_hold_no_markup():
    """Paper and ink are of the picture, and text is text."""
    svg = histogram([("<script>", 1)], 1, "a & b")
    assert "prefers-color-scheme:dark" in svg
    assert texts(svg)[:2] == ["a & b", "<script>"]
    shown = re.fullmatch(r"!\[words\]\(data:image/svg\+xml;base64,(.*)\)", inline_image(svg, "words"))
    assert shown is not None
    assert base64.b64decode(shown[1]).decode() == svg
    block = folded("2 <experiments>", [html_image(svg, '"><b>')] * 2)
    assert "\n\n" not in block
    assert [each.tag for each in ET.fromstring(re.sub(r"(<img [^>]*)>", r"\1/>", block))] == [
        "summary",
        "p",
        "p",
    ]
