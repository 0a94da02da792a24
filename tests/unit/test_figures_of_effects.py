"""What the figures of effects, draws, differences and predictions show: order, marks, counts in words, and odd data."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fixtures.figure_tables import (
    LONG,
    MODELS,
    PARAMETERS,
    assert_readable,
    by_row,
    caterpillar,
    counties,
    draw,
    energy,
    forest,
    group_statistics,
    missingness,
    pairs,
    pointwise,
    predictive_by_group,
    predictive_density,
    predictive_quantiles,
    shrinkage,
    shrinkage_plane,
)
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from PIL import Image

from multilevel.figures import compact, layout, theme


def shown(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_visible()]


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left").replace("\n", " ") for axes in shown(figure)]


def words(figure: Figure) -> list[str]:
    """What stands at the foot and in the key."""
    return [text.get_text() for text in figure.texts] + [
        t.get_text() for key in figure.legends for t in key.get_texts()
    ]


def names(axes: Axes) -> list[str]:
    return [tick.get_text() for tick in axes.get_yticklabels()]


def marks(axes: Axes, marker: str) -> list[tuple[float, float]]:
    return [
        (float(x), float(y))
        for line in axes.lines
        if line.get_marker() == marker
        for x, y in np.asarray(line.get_xydata())
    ]


# Caterpillar plots.


def test_each_facet_of_a_caterpillar_is_in_its_own_order() -> None:
    data = caterpillar([f"L{i}" for i in range(8)], ("Intercept", "floor", "poly(x, 2)[1]"))
    figure = draw("caterpillar", data)
    assert titles(figure) == ["Intercept", "floor", "poly(x, 2)[1]"]
    for axes, (_, part) in zip(shown(figure), data.groupby("effect", sort=False), strict=True):
        assert names(axes) == list(part.sort_values("mean", ascending=False)["level"])
    assert_readable(figure)


def test_what_holds_zero_is_hollow_and_what_does_not_is_filled() -> None:
    table = pd.DataFrame({
        "effect": "Intercept", "level": ["up", "none", "down"], "mean": [1.0, 0.1, -1.0], "lower": [0.5, -0.2, -1.5],
        "upper": [1.5, 0.4, -0.5], "inner_lower": [0.8, 0.0, -1.2], "inner_upper": [1.2, 0.2, -0.8],
    })  # fmt: skip
    axes = draw("caterpillar", table).axes[0]
    faces = {
        (float(x), float(y)): to_hex(line.get_markerfacecolor())
        for line in axes.lines if line.get_marker() == "o"
        for x, y in np.asarray(line.get_xydata())
    }  # fmt: skip
    assert faces == {(1.0, 0.0): theme.BLUE.lower(), (-1.0, 2.0): theme.BLUE.lower(), (0.1, 1.0): "#ffffff"}


@pytest.mark.parametrize(
    ("levels", "effects", "named"), [(100, 2, True), (101, 2, False), (50, 3, True), (51, 3, False)]
)
def test_levels_are_named_as_long_as_there_is_room_below_each_other(levels: int, effects: int, named: bool) -> None:
    data = caterpillar([f"L{i}" for i in range(levels)], tuple(f"x{i}" for i in range(effects)))
    figure = draw("caterpillar", data)
    assert all(len(names(axes)) == (levels if named else 0) for axes in shown(figure))
    assert figure.get_size_inches()[1] < 17


@pytest.mark.slow
@pytest.mark.parametrize("count", [131, 350, 2000])
def test_of_very_many_levels_the_highest_and_the_lowest_are_named(count: int) -> None:
    data = caterpillar([f"{LONG} {i}" if i % 7 == 0 else f"School {i}" for i in range(count)])
    figure = draw("caterpillar", data, group="school")
    [axes] = shown(figure)
    assert len(axes.texts) == 16
    order = data.sort_values("mean", ascending=False)["level"].reset_index(drop=True)
    plain = [text.get_text() for text in axes.texts]
    assert [name for name in plain if "…" not in name] == [
        name for name in [*order[:8], *order[:-9:-1]] if name.startswith("School")
    ]
    assert f"{count} levels of school" in " ".join(words(figure))
    assert_readable(figure)


def test_a_grouping_of_a_grouping_is_named_as_it_is() -> None:
    data = caterpillar(["A:1", "A:2", "B:1"])
    figure = draw("caterpillar", data, group="school:class")
    assert set(names(figure.axes[0])) == {"A:1", "A:2", "B:1"}


# Shrinkage.


def effects_of(levels: list[str], effects: tuple[str, ...]) -> pd.DataFrame:
    return pd.concat([shrinkage(levels).assign(effect=effect) for effect in effects], ignore_index=True)


def test_levels_stand_in_the_same_order_in_every_facet_of_a_shrinkage_figure() -> None:
    data = effects_of(counties(8), ("Intercept", "floor"))
    data.loc[data["effect"] == "floor", "partial"] *= -1
    figure = draw("shrinkage", data)
    first, second = shown(figure)
    assert titles(figure) == ["Intercept", "floor"]
    assert names(first) == names(second)
    assert_readable(figure)


def test_levels_without_an_estimate_of_their_own_are_counted() -> None:
    data = effects_of(counties(8), ("Intercept", "floor"))
    data.loc[10:12, ["no_pooling", "no_pooling_lower", "no_pooling_upper"]] = np.nan
    figure = draw("shrinkage", data, group="county")
    assert "Levels of county whose own data give no estimate: floor of 3." in words(figure)
    assert len(marks(shown(figure)[1], "o")) == 8 + 5 + 3  # the missing ones are drawn as NaN, which nobody sees
    assert not any("no estimate" in word for word in words(draw("shrinkage", shrinkage(counties(8)))))


def test_an_estimate_far_outside_is_an_arrow_at_the_edge() -> None:
    data = shrinkage(counties(8))
    data.loc[3, ["no_pooling", "no_pooling_lower", "no_pooling_upper"]] = [50.0, 49.0, 51.0]
    axes = draw("shrinkage", data).axes[0]
    row = names(axes).index(str(data["level"][3]))
    assert axes.get_xlim()[1] < 10
    assert (0.994, pytest.approx(row - 0.17)) in marks(axes, ">")


def test_a_plane_says_what_is_half_known_unknown_or_outside() -> None:
    data = shrinkage_plane(counties(8))
    data.loc[0, "alone_y"] = np.nan
    data.loc[1, ["alone_x", "alone_y"]] = np.nan
    data.loc[2, "alone_x"] = 1e3
    figure = draw("shrinkage_plane", data, group="county")
    [axes] = shown(figure)
    assert "Of county: 1 arrow begins outside the plot; 1 level has no estimate of its own and no arrow." in words(
        figure
    )
    assert marks(axes, "D") == [(data["alone_x"][0], data["partial_y"][0])]
    assert axes.get_xlim()[1] < 5
    assert "only its first effect known" in words(figure)
    assert_readable(figure)


def test_the_levels_pulled_furthest_are_named_where_their_arrows_begin() -> None:
    data = shrinkage_plane(counties(40))
    length = np.hypot(data["alone_x"] - data["partial_x"], data["alone_y"] - data["partial_y"])
    axes = draw("shrinkage_plane", data).axes[0]
    named = [text.get_text() for text in axes.texts]
    assert 0 < len(named) <= 8
    assert data["level"][length.idxmax()] in named


def test_a_plane_for_each_slope() -> None:
    figure = draw("shrinkage_plane", shrinkage_plane(counties(8), ("x", "z", "w")))
    assert titles(figure) == ["Intercept (across), x (up)", "Intercept (across), z (up)", "Intercept (across), w (up)"]
    assert_readable(figure)


def test_the_outline_holds_95_percent_of_the_levels_distribution() -> None:
    data = shrinkage_plane(counties(8)).assign(sd_x=0.3, sd_y=0.2, cor=-0.4)
    axes = draw("shrinkage_plane", data).axes[0]
    [outline] = [line for line in axes.lines if len(line.get_xdata()) == 120]
    inverse = np.linalg.inv([[0.09, -0.024], [-0.024, 0.04]])
    points = np.asarray(outline.get_xydata())
    distances = np.einsum("pi,ij,pj->p", points, inverse, points)
    np.testing.assert_allclose(distances, 5.991465, rtol=1e-5)  # the 95% quantile of chi-squared with 2 degrees


# Pairs.


def test_pairs_stand_below_the_diagonal_and_divergent_draws_are_crosses() -> None:
    data = pairs(PARAMETERS[:3], draws=60)
    figure = draw("pairs", data, note="60 of 4000 draws.")
    assert len(shown(figure)) == 6
    assert "divergent transition (2)" in words(figure)
    assert "60 of 4000 draws." in words(figure)
    below = figure.axes[3]  # the first below the diagonal
    crosses = marks(below, "x")
    wide = data.pivot_table(index="draw", columns="parameter", values="value", sort=False)
    assert crosses == [tuple(wide.loc[place, PARAMETERS[:2]]) for place in (7, 37)]
    assert [text.get_text() for text in figure.axes[0].texts] == ["R-hat 1.004\nESS 812"]


def test_without_divergent_draws_no_cross_is_named() -> None:
    figure = draw("pairs", pairs(PARAMETERS[:2]).assign(diverging=0))
    assert not any("divergent" in word for word in words(figure))


@pytest.mark.parametrize("value", [0.0, 1e-300, 1e300])
def test_draws_that_never_move_are_drawn(value: float, tmp_path: Path) -> None:
    data = pairs(["sigma", "log posterior"]).assign(value=value)
    figure = draw("pairs", data)
    theme.save(figure, tmp_path / "pairs.svg", data)
    assert_readable(figure)


# Energy.


def test_each_chain_carries_its_fraction_of_missing_information() -> None:
    data = energy([1, 2])
    data.loc[data["chain"] == 2, "e_bfmi"] = np.nan
    assert titles(draw("energy", data)) == ["chain 1: E-BFMI 0.81", "chain 2"]


# Differences by row.


def test_each_model_has_its_panel_with_its_total_and_standard_error() -> None:
    data = pd.DataFrame({
        "model": ["a"] * 4 + ["b"] * 4, "row_id": list("1234") * 2, "group": ["g", "g", "h", "h"] * 2,
        "diff": [-1.0, -2.0, 3.0, -4.0, 0.5, 0.5, 0.5, 0.5],
    })  # fmt: skip
    figure = draw("pointwise", data, best="c", group="school")
    # Model a: the sum is -4; sqrt(4) times the sd of (-1, -2, 3, -4), which is sqrt(26 / 3), is 5.9.
    assert titles(figure) == [
        "a: −4.0 in total (standard error 5.9); largest: g −3.0, h −1.0",
        "b: 2.0 in total (standard error 0.0); largest: g +1.0, h +1.0",
    ]
    assert {t.get_text() for t in shown(figure)[0].texts} == {
        f"row {i}, {g}" for i, g in zip("1234", "gghh", strict=True)
    }
    assert any("Difference in elpd from c" in word for word in words(figure))


def test_groups_stand_in_the_order_of_their_total_in_each_panel() -> None:
    data = pointwise([f"group {i}" for i in range(5)])
    figure = draw("pointwise", data)
    for axes, (_, part) in zip(shown(figure), data.groupby("model", sort=False), strict=True):
        totals = part.groupby("group")["diff"].sum().sort_values(ascending=False)
        assert [tick.get_text() for tick in axes.get_xticklabels()] == list(totals.index)


@pytest.mark.slow
def test_eight_models_of_very_many_groups() -> None:
    data = pointwise([f"School {i}" for i in range(400)], tuple(f"model_{i}" for i in range(8)))
    assert_readable(draw("pointwise", data, note="The 8 models ranked next are drawn; 31 more are not."))


# Predictions by group.


def test_a_group_outside_its_interval_is_a_named_cross_and_is_counted() -> None:
    data = pd.DataFrame({
        "model": "m", "statistic": "mean", "level": ["a", "b", "c"], "n": 9, "observed": [1.0, 2.0, 9.0],
        "predicted": 2.0, "lower": [0.0, 1.0, 2.0], "upper": [2.0, 3.0, 4.0],
    })  # fmt: skip
    figure = draw("group_statistics", data, group="school:class")
    [axes] = shown(figure)
    assert titles(figure) == ["m: mean, 2 of 3 inside"]
    assert marks(axes, "X") == [(2.0, 9.0)]
    assert [text.get_text() for text in axes.texts] == ["c"]
    assert "observed outside it" in words(figure)
    assert "3 levels of school:class, from the lowest observed value to the highest" in words(figure)


def test_panels_of_one_statistic_share_a_scale_unless_the_responses_differ() -> None:
    data = group_statistics(counties(8))
    data.loc[data["model"] == "varying_slope", ["observed", "lower", "upper"]] += 100
    shared, apart = draw("group_statistics", data), draw("group_statistics", data, share=False)
    assert shown(shared)[0].get_ylim() == shown(shared)[2].get_ylim() != shown(shared)[1].get_ylim()
    assert shown(apart)[0].get_ylim()[1] < shown(apart)[2].get_ylim()[0]


@pytest.mark.slow
def test_forty_models_of_three_hundred_groups() -> None:
    data = group_statistics([f"School {i}" for i in range(300)], tuple(f"{m}_{i}" for i in range(7) for m in MODELS))
    assert_readable(draw("group_statistics", data))


@pytest.mark.parametrize("name", ["predictive_density", "predictive_quantiles"])
def test_panels_of_different_responses_share_no_scale(name: str) -> None:
    data = {"predictive_density": predictive_density, "predictive_quantiles": predictive_quantiles}[name](["a", "b"])
    columns = ["density"] if name == "predictive_density" else ["observed", "predicted", "lower", "upper"]
    data.loc[data["model"] == "b", columns] *= 50
    first, second = shown(draw(name, data, share=False))
    assert second.get_ylim()[1] > 10 * first.get_ylim()[1]
    first, second = shown(draw(name, data))
    assert first.get_ylim() == second.get_ylim()


def test_quantiles_outside_the_band_are_crosses() -> None:
    data = predictive_quantiles(["m"])
    out = data[(data["observed"] < data["lower"]) | (data["observed"] > data["upper"])]
    assert 0 < len(out) < len(data)
    crosses = marks(draw("predictive_quantiles", data).axes[0], "X")
    assert crosses == [(row["probability"], row["observed"] - row["predicted"]) for _, row in out.iterrows()]


def test_each_group_says_how_many_rows_it_has() -> None:
    figure = draw("predictive_by_group", predictive_by_group(["all rows", "A"]).assign(n=[919] * 120 + [14] * 120))
    assert titles(figure) == ["all rows (919)", "A (14)"]


# Data.


def test_several_responses_stand_beside_each_other_on_their_own_scales() -> None:
    parts = [by_row(counties(6), "value").assign(response=name) for name in ("log radon", "height (cm)")]
    parts[1]["value"] = 150 - 40 * parts[1]["value"]
    figure = draw("data_response_by_group", pd.concat(parts), group="county")
    first, second = shown(figure)
    assert titles(figure) == ["log radon", "height (cm)"]
    assert names(first) == names(second)[::-1]
    assert second.get_xlim()[0] > first.get_xlim()[1]
    assert_readable(figure)


def test_what_is_not_drawn_is_said_at_the_foot() -> None:
    assert "5 more columns are not drawn." in words(
        draw("missingness", missingness(["a"]), note="5 more columns are not drawn.")
    )


@pytest.mark.slow
def test_a_forest_of_twelve_models_and_thirty_parameters() -> None:
    rows = [
        forest([f"Model {m}"]).iloc[[0]].assign(parameter=f"b(predictor_{p})", status="ok")
        for m in range(12) for p in range(30)
    ]  # fmt: skip
    figure = draw("forest", pd.concat(rows), note="Not drawn, but in the tables: 85 of b(county[…]).")
    assert len(shown(figure)) == 30
    assert_readable(figure)
    assert figure.get_size_inches()[1] < 24


@pytest.mark.parametrize("sentence", ["Fewer than two models passed.", LONG, "$x^2$ and \\undefined{"])
def test_a_figure_of_words_alone(sentence: str) -> None:
    figure = layout.words_only(sentence)
    assert_readable(figure)
    assert figure.get_size_inches()[1] < 2


# Files.


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "figure.svg"
    data = shrinkage(counties(8))
    theme.save(draw("shrinkage", data), path, data)
    return path


def test_the_png_has_200_dots_per_inch_and_says_nothing_of_when_or_with_what(saved: Path) -> None:
    with Image.open(saved.with_suffix(".png")) as image:
        assert image.size[0] == 1300
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        assert not {"Software", "date:create", "Creation Time"} & set(image.info)


def test_both_pictures_have_the_same_shape(saved: Path) -> None:
    root = ET.parse(saved).getroot()
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    with Image.open(saved.with_suffix(".png")) as image:
        assert image.size == pytest.approx((width / 72 * 200, height / 72 * 200), abs=1)


@pytest.mark.slow
def test_a_very_tall_figure_gets_fewer_dots_per_inch(tmp_path: Path) -> None:
    figure = theme.new_figure()
    figure.set_size_inches(theme.WIDTH, 400)
    theme.save(figure, tmp_path / "tall.svg", pd.DataFrame({"a": [1.0]}))
    with Image.open(tmp_path / "tall.png") as image:
        assert image.size == (975, 60_000)


def test_digits_of_the_numbers_drawn_may_be_fewer(tmp_path: Path) -> None:
    figure = theme.new_figure()
    theme.save(figure, tmp_path / "a.svg", pd.DataFrame({"a": [1 / 3]}), digits=4)
    assert (tmp_path / "a.csv").read_text() == "a\n0.3333\n"


def places(path: str, scale: float = 1.0) -> list[tuple[str, list[float]]]:
    """The absolute positions of a path, whether it is written in positions or in steps."""
    here, start, out = np.zeros(2), np.zeros(2), []
    for letter, text in re.findall(r"([MLQClqcmz])([^A-Za-z]*)", path):
        numbers = [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", text)]
        if letter == "z":
            here = start
            out.append(("z", []))
            continue
        size = {"m": 2, "l": 2, "q": 4, "c": 6}[letter.lower()]
        for at in range(0, len(numbers), size):
            points = np.array(numbers[at : at + size]).reshape(-1, 2) + (here if letter.islower() else 0)
            here = points[-1]
            start = here if letter.lower() == "m" else start
            out.append((letter.lower(), [float(v) for v in (points * scale).ravel()]))
    return out


def test_compact_paths_lead_to_the_same_places() -> None:
    figure = draw("shrinkage", shrinkage(counties(20)))
    whole = io.StringIO()
    with theme.theme():
        figure.savefig(whole, format="svg")
    short = compact.compact(whole.getvalue())
    assert len(short) < 0.6 * len(whole.getvalue())
    assert compact.compact(short) == short
    before, after = (re.findall(r' d="([^"]*)"( transform="scale\(0)?', text) for text in (whole.getvalue(), short))
    assert len(before) == len(after) > 100
    for (old, letter), (new, _) in zip(before, after, strict=True):
        # An outline of a letter is in units of 64 to the point at 100 points, and is kept to an eighth of that.
        unit, error = (1 / 64, 4.5 / 64) if letter else (1.0, 0.0006)
        a, b = places(old, unit), places(new, 8 * unit if letter else 1.0)
        assert [step for step, _ in a] == [step for step, _ in b]
        assert all(np.allclose(x, y, rtol=0, atol=error) for (_, x), (_, y) in zip(a, b, strict=True))


def test_equal_marks_share_their_style() -> None:
    svg = (
        '<svg><g id="a">\n<use xlink:href="#m" x="1.00049" y="2" style="fill: #fff"/>\n'
        '<use xlink:href="#m" x="3" y="4.5" style="fill: #fff"/>\n<use xlink:href="#m" x="5" y="6" style="fill: #000"/>\n'
        '</g><!-- a --><path d="M 0 0 \nL 1.5 -1 \nL 2 0 \nz\n" style="s"/></svg>'
    )
    assert compact.compact(svg) == (
        '<svg><g><g style="fill: #fff"><use xlink:href="#m" x="1"  y="2"/><use xlink:href="#m" x="3" y="4.5"/></g>'
        '<use xlink:href="#m" x="5" y="6" style="fill: #000"/></g><path d="m0 0l1.5-1 .5 1z" style="s"/></svg>'
    ).replace('x="1"  y', 'x="1" y')


# Colours.


def luminance(colour: str) -> float:
    parts = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_marks_and_words_stand_out_from_white() -> None:
    ratio = {colour: 1.05 / (luminance(colour) + 0.05) for colour in (*theme.PALETTE, theme.GREY)}
    assert all(ratio[colour] >= 3 for colour in theme.PALETTE[: theme.CLEAR])
    assert ratio[theme.INK] > 7
    assert ratio[theme.GREY] > 4.5  # words


# Colours as people see them who lack one kind of cone (Machado, Oliveira & Fernandes 2009, severity 1).
CONES = {
    "none lacks": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no long": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no middle": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no short": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(colour: str, cones: list[list[float]]) -> np.ndarray:
    rgb = np.array(to_rgb(colour))
    linear = np.clip(np.array(cones) @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4), 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = np.array(to_xyz) @ linear / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", CONES)
def test_no_two_colours_look_alike_to_anybody(kind: str) -> None:
    seen = [lab(colour, CONES[kind]) for colour in theme.PALETTE]
    distances = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(distances) > 15


def test_facets_have_scales_of_their_own() -> None:
    data = caterpillar(counties(8), ("a", "b", "c"))
    data.loc[data["effect"] == "b", ["mean", "lower", "upper", "inner_lower", "inner_upper"]] *= 100
    assert all(a.get_xlim() != b.get_xlim() for a, b in pairwise(shown(draw("caterpillar", data))))
