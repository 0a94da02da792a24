"""Figures: the same bytes for the same table, readable labels, no surprises from names or from odd data."""

import io
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from fixtures.figure_tables import (
    COUNTIES,
    LONG,
    MODELS,
    ODD,
    PARAMETERS,
    assert_readable,
    by_chain,
    by_row,
    calibration,
    caterpillar,
    counties,
    differences_by_time,
    draw,
    elpd_differences,
    energy,
    forest,
    group_statistics,
    missingness,
    pairs,
    pointwise,
    predictive_by_group,
    predictive_density,
    predictive_quantiles,
    predictive_statistics,
    ranks,
    rootogram,
    shrinkage,
    shrinkage_plane,
    trajectories,
    written,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from multilevel.figures import labels, marks, theme

SCRIPTS = Path(theme.__file__).parents[2]


@dataclass(frozen=True)
class Case:
    """A figure: how to make its table for given names, typical names, columns that may all be missing, its words."""

    make: Callable[[list[Any]], pd.DataFrame]
    typical: list[str]
    optional: list[str] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)
    many: int = 40

    def names(self, count: int) -> list[str]:
        return [*self.typical, *(f"{self.typical[i % len(self.typical)]}.{i}" for i in range(count))][:count]


CASES = {
    "shrinkage": Case(
        shrinkage, counties(8), ["no_pooling_lower", "no_pooling_upper", "partial_lower", "partial_upper"],
        {"quantity": "log radon (log pCi/L)", "group": "county"}, 85,
    ),
    "caterpillar": Case(
        caterpillar, counties(8), ["lower", "upper", "inner_lower", "inner_upper"], {"group": "county"}, 85,
    ),
    "shrinkage_plane": Case(
        shrinkage_plane, counties(8), ["alone_x", "alone_y", "sd_x", "sd_y", "cor"],
        {"group": "county", "quantity": "log radon (log pCi/L)"}, 85,
    ),
    "pairs": Case(pairs, PARAMETERS, ["r_hat", "ess"], {"note": "60 of 4000 draws."}, 6),
    "group_statistics": Case(
        group_statistics, counties(8), ["lower", "upper", "predicted"],
        {"group": "county", "quantity": "log radon", "note": "The sd of 3 levels is not drawn."}, 85,
    ),
    "predictive_by_group": Case(
        predictive_by_group, ["all rows", *counties(8)], [], {"quantity": "log radon", "y": "Density", "note": "Largest"}, 12,
    ),
    "trajectories": Case(
        trajectories, counties(8), [], {"time": "age (days)", "quantity": "circumference (mm)", "note": "8 of 80 are drawn."}, 12,
    ),
    "rootogram": Case(rootogram, counties(8), ["lower", "upper", "predicted"], {"quantity": "seizures in two weeks"}, 50),
    "calibration": Case(calibration, counties(8), ["lower", "upper"], {"quantity": "use of contraception"}, 10),
    "predictive_quantiles": Case(predictive_quantiles, MODELS, ["lower", "upper"], {"quantity": "log radon"}),
    "forest": Case(
        forest, MODELS, ["lower", "upper", "inner_lower", "inner_upper"], {"note": "Not drawn: 85 of b(county[…])."},
    ),
    "elpd_differences": Case(elpd_differences, MODELS, ["se_diff", "k_bad", "elpd_diff"]),
    "pointwise": Case(
        pointwise, counties(8), [], {"best": MODELS[3], "group": "county", "note": "2 more are not drawn."}, 85,
    ),
    "differences_by_time": Case(
        differences_by_time, ["3", "4", "5", "6"], [], {"best": MODELS[3], "time": "day", "note": "2 more are not drawn."}, 60,
    ),
    "predictive_density": Case(predictive_density, MODELS, [], {"quantity": "log radon"}),
    "predictive_statistics": Case(predictive_statistics, MODELS, ["lower", "upper"]),
    "trace": Case(by_chain, PARAMETERS),
    "ranks": Case(ranks, PARAMETERS, many=20),
    "energy": Case(energy, ["0", "1", "2", "3"]),
    "pareto_k": Case(lambda g: by_row(g, "pareto_k").assign(threshold=0.5), counties(8), ["pareto_k"], many=85),
    "data_response_by_group": Case(
        lambda g: by_row(g, "value").assign(response="log radon")[["response", "group", "value"]], counties(8), [],
        {"group": "county"}, 85,
    ),
    "group_sizes": Case(
        lambda g: pd.DataFrame({"group": g, "n": np.arange(len(g)) ** 2 + 1}), counties(8), [], {"unit": "houses"}, 85,
    ),
    "missingness": Case(
        missingness, ["log_radon", "floor", "county", "log_uranium"], [], {"note": "The first 2 are used by some model."},
    ),
}  # fmt: skip

every_figure = pytest.mark.parametrize("name", CASES)


@cache
def typical(name: str) -> Figure:
    return draw(name, CASES[name].make(CASES[name].typical), **CASES[name].words)


def saved(figure: Figure, path: Path, data: pd.DataFrame) -> bytes:
    theme.save(figure, path, data)
    return path.read_bytes()


@pytest.mark.slow
@every_figure
def test_same_table_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    data = case.make(case.typical)
    first = saved(typical(name), tmp_path / "first.svg", data)
    with mpl.rc_context(
        {"font.size": 20, "lines.linewidth": 9, "svg.fonttype": "none", "text.parse_math": True, "axes.grid": True}
    ):
        figure = draw(name, data.copy(), **case.words)
        second = saved(figure, tmp_path / "second.svg", data)
    assert first == second
    assert saved(figure, tmp_path / "third.svg", data) == first
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "second.csv").read_bytes()
    assert b"<dc:date>" not in first
    assert mpl.__version__.encode() not in first


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_process(tmp_path: Path) -> None:
    data = pointwise(counties(8))
    data.to_csv(tmp_path / "data.csv", index=False)
    here = saved(draw("pointwise", pd.read_csv(tmp_path / "data.csv")), tmp_path / "here.svg", data)
    code = """if True:
        import sys
        import pandas as pd
        from multilevel.figures.pointwise import draw_pointwise
        from multilevel.figures.theme import save
        data = pd.read_csv("data.csv")
        save(draw_pointwise(data), "there.svg", data)
        assert "matplotlib.pyplot" not in sys.modules, "pyplot keeps figures alive and picks a backend"
    """
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "PYTHONHASHSEED": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True)
    assert (tmp_path / "there.svg").read_bytes() == here


def test_no_module_reaches_pyplot() -> None:
    for path in Path(theme.__file__).parent.glob("*.py"):
        assert "pyplot" not in path.read_text(encoding="utf-8").replace("touches pyplot", ""), path.name


@pytest.mark.slow
@every_figure
def test_csv_beside_the_figure_holds_the_data(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    data = case.make(case.typical)
    before = data.copy(deep=True)
    saved(typical(name), tmp_path / "figure.svg", data)
    draw(name, data)
    pd.testing.assert_frame_equal(data, before)
    text = {column: str for column in data if data[column].dtype.kind not in "if"}
    back = pd.read_csv(tmp_path / "figure.csv", dtype=text)
    pd.testing.assert_frame_equal(back, data.reset_index(drop=True), check_dtype=False, rtol=1e-9)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure.csv", "figure.png", "figure.svg"]


@every_figure
def test_typical_labels_are_readable(name: str) -> None:
    figure = typical(name)
    assert_readable(figure)
    width, height = figure.get_size_inches()
    assert float(width) == theme.WIDTH
    assert 0.5 < height < 10


@pytest.mark.slow
@every_figure
def test_many_names_are_readable(name: str) -> None:
    case = CASES[name]
    assert_readable(draw(name, case.make(case.names(case.many)), **case.words))


@every_figure
@pytest.mark.parametrize("only", ["one", pytest.param(LONG, marks=pytest.mark.slow)])
def test_one_name_is_enough(name: str, only: str, tmp_path: Path) -> None:
    case = CASES[name]
    data = case.make([only])
    figure = draw(name, data, **case.words)
    assert_readable(figure)
    saved(figure, tmp_path / "figure.svg", data)


@pytest.mark.slow
@every_figure
def test_odd_names_are_drawn_as_they_are(name: str, tmp_path: Path) -> None:
    data = CASES[name].make(ODD)
    figure = draw(name, data)
    assert_readable(figure)
    for text, _ in written(figure):
        assert "$" not in text.get_text() or not text.get_parse_math(), text.get_text()
    root = ET.fromstring(saved(figure, tmp_path / "figure.svg", data))
    kinds = {element.tag.rsplit("}")[-1] for element in root.iter() if isinstance(element.tag, str)}
    assert not kinds & {"script", "foreignObject", "text"}, "words are outlines, and nothing from a name is an element"


@pytest.mark.slow
@pytest.mark.parametrize("word", ["$\\undefined{$ with $x^2$", LONG, ""])
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.words])
def test_words_of_the_caller_may_be_odd(name: str, word: str) -> None:
    case = CASES[name]
    assert_readable(draw(name, case.make(case.typical), **dict.fromkeys(case.words, word)))


@pytest.mark.slow
@every_figure
def test_names_may_be_numbers_or_missing(name: str) -> None:
    assert_readable(draw(name, CASES[name].make([1, 2.0, None, float("nan"), pd.NA, "one"])))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.optional])
@pytest.mark.parametrize("share", ["all", "some"])
def test_missing_numbers_are_left_out(name: str, share: str) -> None:
    case = CASES[name]
    data = case.make(case.typical)
    for place, column in enumerate(case.optional):
        data[column] = data[column].astype(float)
        gone = data.index if share == "all" else data.index[place % 2 :: 2]
        data.loc[gone, column] = np.nan if share == "all" else np.inf
    assert_readable(draw(name, data))


@every_figure
def test_nothing_to_draw_is_an_error_that_says_so(name: str) -> None:
    data = CASES[name].make(CASES[name].typical)
    with pytest.raises(ValueError, match=f"draw_{name} has nothing to draw: the table has no rows"):
        draw(name, data[:0])


@every_figure
def test_a_missing_column_is_named(name: str) -> None:
    data = CASES[name].make(CASES[name].typical)
    gone = data.columns[-1]
    with pytest.raises(
        ValueError, match=f"draw_{name} needs the columns .*; missing: {gone}; the table has: {data.columns[0]}"
    ):
        draw(name, data.drop(columns=gone))


def test_what_is_no_number_is_named() -> None:
    data = shrinkage(COUNTIES).assign(partial="high")
    with pytest.raises(ValueError, match=r"draw_shrinkage: column partial must hold numbers: .*high"):
        draw("shrinkage", data)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("shrinkage", {"no_pooling": np.nan, "partial": np.inf}, "no finite value in no_pooling, partial"),
        (
            "elpd_differences",
            {"status": "fine"},
            "unknown status 'fine'; choose from ok, failed checks, not scored, not fitted",
        ),
        ("missingness", {"missing": 920}, "column 'log_radon' has 920 missing of 919 rows"),
        ("missingness", {"missing": np.nan}, "column 'log_radon' has nan missing"),
        ("pareto_k", {"threshold": np.arange(48)}, "the column threshold holds several values"),
        ("pareto_k", {"threshold": np.nan}, "no finite value in threshold"),
        ("trace", {"value": np.nan}, "no finite value in value"),
    ],
)
def test_impossible_tables_are_refused(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(name, CASES[name].make(CASES[name].typical).assign(**changes))


@pytest.mark.slow
def test_every_level_is_named_once_up_to_130_and_none_above() -> None:
    for count, named in ((8, True), (33, True), (130, True), (131, False)):
        figure = draw("shrinkage", shrinkage(counties(count)))
        ticks = [t.get_text() for axes in figure.axes for t in axes.get_yticklabels() if t.get_text()]
        assert len(ticks) == len(set(ticks)) == (count if named else 0)
        assert_readable(figure)


def test_levels_stand_in_the_order_of_their_size_or_estimate() -> None:
    data = shrinkage(counties(8))
    by_n = [t.get_text() for t in draw("shrinkage", data).axes[0].get_yticklabels()]
    assert by_n == list(data.sort_values(["n", "partial"], ascending=False)["level"])
    by_estimate = [t.get_text() for t in draw("shrinkage", data, order="estimate").axes[0].get_yticklabels()]
    assert by_estimate == list(data.sort_values("partial", ascending=False)["level"])


def test_wide_intervals_without_pooling_do_not_squeeze_the_rest() -> None:
    data = shrinkage(counties(8))
    low, high = draw("shrinkage", data.assign(no_pooling_lower=-1e6, no_pooling_upper=1e6)).axes[0].get_xlim()
    assert high - low < 10
    assert low < data[["no_pooling", "partial_lower"]].min().min()
    assert high > data[["no_pooling", "partial_upper"]].max().max()


def test_failed_models_stand_apart_and_do_not_set_the_scale() -> None:
    data = elpd_differences(MODELS)
    data.loc[4, "elpd_diff"] = -1e5
    figure = draw("elpd_differences", data)
    ranked, apart = figure.axes
    assert [t.get_text() for t in ranked.get_yticklabels()] == MODELS[:4]
    assert [t.get_text() for t in apart.get_yticklabels()] == MODELS[4:]
    assert ranked.get_xlim()[0] > -100
    words = [text.get_text() for text in apart.texts]
    assert words == ["failed checks, \N{MINUS SIGN}100000.0 (8.0), 1 high k", "not fitted"]
    assert "best model" in figure.texts[0].get_text()


def test_scale_holds_the_inner_intervals_where_outer_ones_are_missing() -> None:
    data = forest(["a"]).assign(lower=np.nan, upper=np.nan)
    low, high = draw("forest", data).axes[0].get_xlim()
    assert low < data["inner_lower"][0] < data["inner_upper"][0] < high


def test_a_reference_that_is_not_best_is_named() -> None:
    data = pd.DataFrame(
        {"model": ["b", "a"], "elpd_diff": [5.0, 0.0], "se_diff": [2.0, 0.0], "status": "ok", "k_bad": 0}
    )
    assert "Difference in elpd from a," in draw("elpd_differences", data).texts[0].get_text()


@pytest.mark.parametrize("status", ["failed checks", "not fitted"])
def test_all_models_may_have_failed(status: str) -> None:
    figure = draw("elpd_differences", elpd_differences(MODELS).assign(status=status))
    assert_readable(figure)
    assert bool(len(figure.axes[0].get_xticks())) == (status == "failed checks"), (
        "a scale only where something is drawn"
    )


def test_each_parameter_has_its_own_scale_and_models_keep_their_order() -> None:
    figure = draw("forest", forest(MODELS))
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left").replace("\n", " ") for axes in shown] == PARAMETERS
    assert [t.get_text() for t in shown[0].get_yticklabels()] == MODELS
    assert all(a.get_xlim() != b.get_xlim() for a, b in pairwise(shown))


@pytest.mark.slow
@pytest.mark.parametrize("chains", [1, 9])
def test_any_number_of_chains(chains: int) -> None:
    assert_readable(draw("ranks", ranks(PARAMETERS[:2], chains)))
    assert_readable(draw("trace", by_chain(PARAMETERS[:2], chains)))
    assert_readable(draw("energy", energy(list(range(chains)))))


def test_units_without_finite_pareto_k_count_as_bad() -> None:
    data = by_row(COUNTIES, "pareto_k").assign(pareto_k=0.1, threshold=0.7)
    data.loc[[3, 30], "pareto_k"] = [np.inf, np.nan]
    data.loc[5, "pareto_k"] = 0.8
    figure = draw("pareto_k", data)
    assert figure.axes[0].get_title(loc="right") == "3 of 48 above 0.7 (2 not finite)"
    assert {text.get_text().split(",")[0] for text in figure.axes[0].texts} == {"row 3", "row 30", "row 5"}
    assert_readable(figure)


@pytest.mark.slow
def test_large_data_stay_small_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    data = pd.DataFrame(
        {
            "model": "m",
            "row_id": np.arange(8_000),
            "group": rng.integers(0, 3000, 8_000),
            "diff": rng.normal(size=8_000),
        }
    )
    assert len(saved(draw("pointwise", data), tmp_path / "figure.svg", data)) < 500_000
    again = tmp_path / "again.svg"
    assert saved(draw("pointwise", data), again, data) == (tmp_path / "figure.svg").read_bytes()


def test_save_refuses_other_formats(tmp_path: Path) -> None:
    data = missingness(["a"])
    with pytest.raises(ValueError, match=r"saved as \.svg with \.png and \.csv beside it, got 'figure\.png'"):
        theme.save(draw("missingness", data), tmp_path / "figure.png", data)


def test_a_save_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = missingness(["a"])
    figure, path = draw("missingness", data), tmp_path / "figure.svg"
    whole = saved(figure, path, data)
    beside = path.with_suffix(".png").read_bytes(), path.with_suffix(".csv").read_bytes()

    def interrupted(self: Figure, target: io.StringIO, **_: object) -> None:
        target.write("<svg")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", interrupted)
    with pytest.raises(KeyboardInterrupt):
        theme.save(figure, path, data.assign(n=1))
    assert path.read_bytes() == whole
    assert (path.with_suffix(".png").read_bytes(), path.with_suffix(".csv").read_bytes()) == beside
    assert sorted(p.name for p in tmp_path.iterdir()) == ["figure.csv", "figure.png", "figure.svg"]


def test_the_theme_ends_with_its_block() -> None:
    before = dict(mpl.rcParams)
    with theme.theme():
        assert not mpl.rcParams["text.parse_math"]
    assert dict(mpl.rcParams) == before


def test_colours_are_told_apart_or_all_the_same() -> None:
    assert len(set(theme.colours(5))) == 5
    assert len(set(theme.colours(6))) == 1
    assert theme.cycled(9)[7:] == theme.cycled(2)


@settings(deadline=None, max_examples=50)
@given(st.text(), st.floats(0.5, 3.0), st.sampled_from([theme.TINY, theme.SMALL]))
def test_elided_names_fit(text: str, room: float, size: float) -> None:
    name = labels.plain(text)
    short = labels.elide(name, room, size)
    assert len(short) <= 3 or labels.text_width(short, size) <= room
    assert short == name or "…" in short


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(alphabet="ab (12)…", min_size=1), max_size=12, unique=True))
def test_short_names_stay_distinct(names: list[str]) -> None:
    distinct = {labels.plain(name) for name in names}
    assert len(set(labels.short_names(sorted(distinct), 0.6, theme.SMALL))) == len(distinct)


def test_equal_names_are_numbered() -> None:
    assert labels.short_names([LONG + " in " + "x" * 40 + c + "y" * 60 for c in "ab"], 2.0, theme.SMALL)[1].endswith(
        " (2)"
    )
    assert labels.short_names(["one", "two"], 2.0, theme.SMALL) == ["one", "two"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "(missing)"),
        (float("nan"), "(missing)"),
        (pd.NA, "(missing)"),
        (" a \n b ", "a b"),
        ("", "(blank)"),
        (3.0, "3"),
        ("x\x00", "x\ufffd"),
    ],
)
def test_plain_text(value: object, text: str) -> None:
    assert labels.plain(value) == text


def test_wrapped_titles_break_at_spaces_before_marks() -> None:
    assert labels.wrap("cor(county: Intercept, floor)", 1.5, theme.SMALL) == "cor(county: Intercept,\nfloor)"
    assert labels.wrap("short", 1.5, theme.SMALL) == "short"
    two = labels.wrap(LONG, 1.5, theme.SMALL).split("\n")
    assert len(two) == 2
    assert all(labels.text_width(line, theme.SMALL) <= 1.5 for line in two)


@pytest.mark.parametrize(
    ("ticks", "texts"),
    [
        ([-0.5, 0, 0.5], ["−0.5", "0", "0.5"]),
        ([0.25, 0.5, 0.75], ["0.25", "0.50", "0.75"]),
        ([0, 50, 100], ["0", "50", "100"]),
        ([0, 1e6, 2e6], ["0", "1e6", "2e6"]),
        ([1e-6, 2e-6], ["1e−6", "2e−6"]),
    ],
)
def test_tick_labels(ticks: list[float], texts: list[str]) -> None:
    assert marks.PlainFormatter().format_ticks(ticks) == texts


@pytest.mark.parametrize(
    ("values", "limits"),
    [([0, 10], (-0.5, 10.5)), ([5, np.nan], (2.5, 7.5)), ([0.0], (-0.5, 0.5)), ([np.nan], (0, 1)), ([], (0, 1))],
)
def test_limits_are_never_empty(values: list[float], limits: tuple[float, float]) -> None:
    assert marks.span(values) == pytest.approx(limits)


def test_numbers_in_words() -> None:
    assert [labels.number(x) for x in (-1.26, -0.04, 3.0)] == ["−1.3", "0.0", "3.0"]
    assert labels.percent(0.95) == "95%"


def test_text_is_measured_only_where_it_can_be() -> None:
    with pytest.raises(TypeError, match="a figure made by new_figure"):
        marks.renderer_of(Figure())
