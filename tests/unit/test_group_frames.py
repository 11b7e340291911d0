"""Results of groups as tables and figures, from numbers that are stated here."""

import re
from collections import Counter
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from deployments.api.pages.group_figures import group_figure
from deployments.group_frames import compared_frame, records, results_frame
from deployments.group_results import Measured
from deployments.sweep_figures import blocks, group_svg, job_svg, sparklines
from flows.artifacts.outcomes import Counted, Value
from models.errors import ResultMissing
from models.groups import Cell
from tests.unit.histories import DONE, SUBMITTED, job_after

WAITS, IS_DONE = job_after(SUBMITTED), job_after(*DONE)


def row(found: Counted | Value | None, **parameters: Cell) -> Measured:
    """Return a job with one experiment."""
    return Measured(WAITS if found is None else IS_DONE, "experiment_0", parameters, found)


def levels(**counts: int) -> Counted:
    """Return counts of levels, as a_b for the outcome "a b"."""
    return Counted(Counter({name.strip("_").replace("_", " "): number for name, number in counts.items()}))


BITS = Counted(Counter({"01": 3, "11": 1}), is_bits=True)


def test_each_wire_has_its_mean_and_error():
    """Of levels and of bits, from bit 0 on; what has no result has none."""
    found = [row(levels(_0_2=2, _2_2=2), x=1), row(BITS, x=2.5), row(None, x=3)]
    frame = results_frame(found)
    assert list(frame) == [
        *("job_id", "experiment", "x", "state", "shots"),
        *("mean_0", "error_0", "mean_1", "error_1"),
    ]
    assert list(frame["x"]) == [1, 2.5, 3]
    assert list(frame["mean_0"])[:2] == [1, 1]
    assert list(frame["mean_1"])[:2] == [2, 0.25]
    # Of 0 0 2 2: the variance is 1, over 3; of 0 0 0 1: 3/16 over 3.
    assert list(frame["error_0"])[:2] == [pytest.approx((1 / 3) ** 0.5), 0]
    assert list(frame["error_1"])[:2] == [0, 0.25]
    assert records(frame)[2]["mean_0"] is None
    assert records(frame)[2]["state"] == "QUEUED"


def test_expectation_values_are_values():
    """With their standard errors, and no means."""
    frame = results_frame([row(Value(0.5, 0.1, 100), x=1)])
    assert list(frame) == ["job_id", "experiment", "x", "state", "shots", "value", "error"]
    assert records(frame)[0]["value"] == 0.5


def test_counts_of_each_wire_and_of_outcomes():
    """A row each, with the share of the shots."""
    found = [row(BITS, x=1), row(None, x=2)]
    wires = results_frame(found, "wires")
    assert [tuple(each.values())[2:] for each in records(wires)] == [
        *((1, 0, 1, 4, 1.0), (1, 1, 0, 3, 0.75), (1, 1, 1, 1, 0.25))
    ]
    outcomes = results_frame(found, "outcomes")
    assert [(each["outcome"], each["count"]) for each in records(outcomes)] == [("01", 3), ("11", 1)]
    assert list(results_frame([row(None, x=1)], "outcomes")) == [
        *("job_id", "experiment", "x", "outcome", "count", "frequency")
    ]


def test_a_parameter_never_takes_a_column_of_ours():
    """It gets another name; one that is a text somewhere is a text everywhere."""
    frame = results_frame([row(BITS, shots=1, mean_0=2, x="a"), row(BITS, shots=2, mean_0=3, x=True)])
    assert list(frame)[2:7] == ["shots_", "mean_0_", "x", "state", "shots"]
    assert list(frame["x"]) == ["a", "True"]
    assert list(frame["shots_"]) == [1, 2]


def test_two_groups_side_by_side():
    """Where what was swept in both is the same; repetitions one after the other."""
    one = [row(Value(1.0, 0.3, 9), x=1, a=0), row(Value(2.0, 0.3, 9), x=2, a=0), row(Value(2.5, 0.3, 9), x=2, a=0)]
    other = [row(Value(1.5, 0.4, 9), x=1, b=0), row(Value(3.0, 0.0, 9), x=2, b=0), row(None, x=2, b=0)]
    rows = records(compared_frame(one, other))
    assert [(each["x"], each["wire"], each["mean_a"], each["mean_b"]) for each in rows] == [
        *((1, "", 1.0, 1.5), (2, "", 2.0, 3.0))
    ]
    assert rows[0]["difference"] == 0.5
    assert rows[0]["sigmas"] == pytest.approx(1.0)
    assert records(compared_frame(one, [])) == []


def drawn(svg: str) -> ET.Element:
    """Return a figure, which has to be XML."""
    return ET.fromstring(svg)


def test_one_parameter_is_a_curve():
    """With a point and an error bar for each value, where it belongs on the axis."""
    svg = group_svg([row(levels(_0=1, _2=1), **{"<theta>": x}) for x in (4, 1, 2)])
    xs = [float(each.get("cx", "")) for each in drawn(svg).iter("{http://www.w3.org/2000/svg}circle")]
    assert xs == sorted(xs)
    assert (xs[1] - xs[0]) / (xs[2] - xs[0]) == pytest.approx(1 / 3, abs=0.01)
    assert "Mean of wire 0 ± standard error over &lt;theta&gt;" in svg
    assert "Expectation value ± standard error over x" in group_svg([row(Value(0.5, 0.1, 9), x=x) for x in (1, 2)])
    found = group_figure([row(Value(0.5, 0.1, 9), x=x) for x in (1, 2)])
    assert found is not None
    assert found.caption == "Expectation value with its standard error over x"
    assert "Mean ± standard error over x" in group_svg([row(BITS, x=x) for x in (1, 2)])


def test_points_and_error_bars_of_a_curve_lie_inside_its_frame():
    """Those of the first and the last value too."""
    svg = drawn(group_svg([row(levels(_0=1, _2=1), x=1), row(levels(_4=1, _8=1), x=2)]))
    frame = next(each for each in svg.iter("{http://www.w3.org/2000/svg}rect") if each.get("class") == "axis")
    left, top, width, height = (float(frame.attrib[each]) for each in ("x", "y", "width", "height"))
    (bars,) = [each.attrib["d"] for each in svg.iter("{http://www.w3.org/2000/svg}path") if each.get("class") is None]
    placed = [tuple(map(float, each)) for each in re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)", bars)]
    assert len(placed) == 2
    assert all(left < x < left + width and top < high < low < top + height for x, low, high in placed)


def test_two_parameters_are_a_heat_map():
    """With a cell for each pair; several of one pair are averaged."""
    found = [row(levels(**{f"_{x + y}": 1}), x=x, y=y) for x in (0, 1, 2) for y in (0, 1)]
    svg = group_svg([*found, row(levels(_1=1), x=0, y=0)])
    cells = [each for each in drawn(svg).iter("{http://www.w3.org/2000/svg}rect") if each.get("class") == "bar"]
    assert len(cells) == 6
    assert "Mean from 0.5 (faint) to 3: y (upwards) over x" in svg


def test_what_varies_in_nothing_is_drawn_in_its_order():
    """As a job of several experiments; a single one as its histogram; what has no result as nothing."""
    assert "2 experiments" in group_svg([row(BITS, x="a"), row(BITS, x="b")])
    assert "experiment 0" not in group_svg([row(BITS)])
    for nothing in ([], [row(None, x=1)], [row(Value(1, 1, 9))]):
        with pytest.raises(ResultMissing, match="nothing to draw"):
            group_svg(nothing)
    texts = [row(Counted(Counter({"up": 1})), x=x) for x in (1, 2)]
    with pytest.raises(ResultMissing, match="no numbers"):
        group_svg(texts)


def test_a_result_is_drawn():
    """A document of one experiment, and of two."""
    experiment: dict[str, Any] = {"header": {"name": "e"}, "shots": 2, "data": {"memory": ["1", "2"]}}
    drawn(job_svg({"results": [experiment]}))
    drawn(job_svg({"results": [experiment, experiment | {"header": {"name": "f"}}]}))


def test_means_are_blocks():
    """From the lowest to the highest; what does not change is low."""
    assert blocks([0, 1, 7]) == "▁▂█"
    assert blocks([3.0, 3.0]) == "▁▁"
    assert sparklines([Value(0.0, 1, 1), Value(1.0, 1, 1)]) == ["value  ▁█  0 to 1"]
    assert sparklines([BITS, BITS]) == ["mean of bit 0  ▁▁  1 to 1", "mean of bit 1  ▁▁  0.25 to 0.25"]
    assert sparklines([]) == []
