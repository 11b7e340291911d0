"""The figures of the pages show the right numbers, can be read without seeing, and hold no markup of users."""

from collections import Counter
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from deployments.api.pages.figures import MAX_BARS, level_bins, shown
from deployments.api.pages.sweeps import SHADES, shade
from flows.artifacts.axes import ticks

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>\"'&\x00\x1b"


def result(*datas: dict[str, Any], names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a result document of experiments with these data."""
    results = []
    for place, data in enumerate(datas):
        shots = len(data.get("memory", ())) or sum(data.get("counts", {}).values())
        name = names[place] if names else f"experiment_{place}"
        results.append({"header": {"name": name}, "shots": shots, "data": {"memory": []} | data})
    return {"results": results}


def tree(svg: str) -> ET.Element:
    """Return a figure as a page reads it; a text in it has to be well-formed."""
    return ET.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def bars(svg: str) -> list[tuple[float, float]]:
    """Return width and height of each bar."""
    found = [each for each in tree(svg).iter(f"{SVG}rect") if each.get("class") == "bar"]
    return [(float(each.attrib["width"]), float(each.attrib["height"])) for each in found]


def texts(svg: str) -> list[str]:
    """Return all that is written in a figure."""
    return [each.text or "" for each in tree(svg).iter(f"{SVG}text")]


def test_levels_are_bars_in_their_order():
    """One experiment with 4 shots: 0 once, 2 three times; nothing stands at 1."""
    ((caption, svg),) = shown(result({"memory": ["0", "2", "2", "2"]})).figures
    assert caption == "experiment_0: 4 shots, 2 outcomes; mean 1.5 ± 0.5"
    assert [height for _, height in bars(svg)] == [70, 210]
    assert texts(svg) == ["shots", "0", "1", "2", "3", "0", "1", "2", "level"]
    assert tree(svg).find(f"{SVG}title").text == "Histogram of experiment_0"
    assert tree(svg).find(f"{SVG}desc").text == "Shots by level from 0 to 2 of 4 shots; most, 3, at 2."


def test_bit_strings_are_labelled_bars():
    """A Bell pair: two outcomes, half of the shots each."""
    found = shown(result({"counts": {"00": 500, "11": 500}}))
    svg = found.figures[0].svg
    assert texts(svg) == ["00", "500 (50.0%)", "11", "500 (50.0%)"]
    assert len({width for width, _ in bars(svg)}) == 1
    assert [tuple(row) for row in found.rows] == [
        ("experiment_0", "00", "500", "50.00%"),
        ("experiment_0", "11", "500", "50.00%"),
    ]


def test_bit_strings_without_a_leading_zero_are_no_levels():
    """They look like the numbers ten, eleven and a hundred and eleven."""
    for several in (["10", "11"], ["100", "111"]):
        one = shown(result({"counts": dict.fromkeys(several, 2)})).figures[0].svg
        assert texts(one) == [several[0], "2 (50.0%)", several[1], "2 (50.0%)"]
    heat = shown(result(*({"counts": {f"1{number:05b}": 1 for number in range(20)} | {"111111": 20}},) * 2)).figures[0]
    assert [each for each in texts(heat.svg) if len(each) == len("100000")][:2] == ["100000", "100001"]


def test_many_outcomes_are_summed_up():
    """Forty bit strings with one shot each: 32 bars, and the others together."""
    svg = shown(result({"counts": {f"{number:06b}": 1 for number in range(40)}})).figures[0].svg
    assert texts(svg)[-2:] == ["others", "8 (20.0%)"]


def test_many_levels_are_counted_in_intervals():
    """1000 levels become at most 128 bins, and no shot is lost."""
    bins = level_bins(Counter({str(level): 2 for level in range(1000)}))
    assert len(bins) == 125 <= MAX_BARS
    assert bins[0] == (0, 16)
    assert sum(count for _, count in bins) == 2000


def test_a_sweep_is_a_heat_map_and_its_means():
    """Three experiments of two levels: shares 0, a half and 1, means the same."""
    memories = (["0", "0"], ["0", "1"], ["1", "1"])
    found = shown(result(*({"memory": memory} for memory in memories)))
    heat, means = found.figures
    assert heat.caption == "Share of each outcome in each experiment"
    assert "largest share is 100.0%, of 1 in experiment_2" in tree(heat.svg).find(f"{SVG}desc").text
    cells = [each for each in tree(heat.svg).iter(f"{SVG}path") if each.get("class") == "cell"]
    assert {each.get("fill-opacity"): each.get("d").count("M") for each in cells} == {"0.75": 2, "1": 2}
    assert means.caption == "Mean with its standard error in each experiment"
    assert tree(means.svg).find(f"{SVG}desc").text == "From 0 in experiment_0 to 1 in experiment_2."
    heights = [float(each.attrib["cy"]) for each in tree(means.svg).iter(f"{SVG}circle")]
    assert heights == sorted(heights, reverse=True)
    assert heights[1] == pytest.approx((heights[0] + heights[2]) / 2)
    assert [each.caption for each in found.single] == [
        "experiment_0: 2 shots, 1 outcome; mean 0 ± 0",
        "experiment_1: 2 shots, 2 outcomes; mean 0.5 ± 0.5",
        "experiment_2: 2 shots, 1 outcome; mean 1 ± 0",
    ]


def test_expectation_values_are_numbers_or_a_line():
    """One has no figure but its number; several are a line."""
    one = shown(result({"exp_value": -0.5, "stds": 0.125}))
    assert one.is_value
    assert (one.figures[0].svg, tuple(one.rows[0])) == ("", ("experiment_0", "", "-0.5", "0.12"))
    several = shown(result({"exp_value": -0.5, "stds": 0.1}, {"exp_value": 0.5, "stds": 0.1}))
    assert [each.caption for each in several.figures] == [
        "Expectation value with its standard error in each experiment"
    ]


def test_what_is_not_shown_is_said():
    """Of a long sweep the first 200 experiments are shown, and the first 400 rows of numbers."""
    found = shown(result(*({"memory": [str(level) for level in range(4)]} for _ in range(201))))
    assert found.more == [
        "The first 200 of 201 experiments are shown.",
        "The table has the first 400 of 800 rows; the downloads have all.",
    ]
    assert len(found.rows) == 400


@pytest.mark.parametrize("memory", [[], ["up", "down"], ["9" * 5000], ["1 2", "3"], ["\u0663"], ["1e3"], [HOSTILE]])
def test_any_outcome_and_name_has_a_figure(memory: list[str]):
    """A backend of somebody else may return what it likes, and a user may call his experiment what he likes."""
    for names in ((HOSTILE,), (HOSTILE, f"{HOSTILE}2")):
        found = shown(result(*({"memory": memory} for _ in names), names=names))
        for _, svg in (*found.figures, *found.single):
            if svg:
                assert not list(tree(svg).iter(f"{SVG}script"))
                assert "<script" not in svg


def test_values_that_no_axis_holds_have_no_plot():
    """Their difference is more than a number can be."""
    assert shown(result({"exp_value": 1.7e308, "stds": 0.1}, {"exp_value": -1.7e308, "stds": 0.1})).figures == []


def test_shades_grow_with_the_root_of_the_share():
    """None for nothing, the first for next to nothing, the last for the largest share."""
    assert [shade(share, 0.5) for share in (0, 1e-9, 0.125, 0.5)] == [0, 1, SHADES // 2, SHADES]


@pytest.mark.parametrize(
    ("low", "high", "most", "whole", "found"),
    [
        (0, 3, 5, True, [0, 1, 2, 3]),
        (0, 50, 6, True, [0, 10, 20, 30, 40, 50]),
        (0, 1, 12, True, [0, 1]),
        (-0.1, 0.33, 6, False, [-0.1, 0, 0.1, 0.2, 0.3]),
        (7, 7, 5, True, [7]),
        (0, 1e15, 3, True, [0, 5e14, 1e15]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, most: int, whole: bool, found: list[float]):  # noqa: FBT001
    """As many as fit, never more."""
    assert ticks(low, high, most, whole=whole) == found
