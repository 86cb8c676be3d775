"""Charts of the results hold the numbers of the files, for any set of methods and noises."""

import dataclasses
import json
import math

import pytest

from denoiser.analysis.published import PUBLISHED
from denoiser.analysis.results import METRICS, NOISY, Benchmark, read_benchmark, read_history
from denoiser.ui.benchmark.charts import (
    Point,
    distortion_against_perception,
    in_short_lines,
    pareto_front,
    quality_against_time,
    strength_curves,
    train_test_matrix,
    training_curves,
)
from denoiser.ui.benchmark.tab import table_value
from denoiser.ui.common.charts import wrapped

PSNR, SSIM = METRICS["psnr"], METRICS["ssim"]
SPECTRAL, SHARPNESS = METRICS["spectral_distance"], METRICS["sharpness"]
FRECHET, DETECTABILITY = METRICS["frechet_distance"], METRICS["detectability"]
WIDTHS = (320, 1300)


@pytest.fixture(scope="module")
def benchmark():
    return read_benchmark()


@pytest.fixture(scope="module")
def gappy(benchmark) -> Benchmark:
    """The results without one network's scores on one noise, and with a method nobody scored."""
    scores = {
        key: value for key, value in benchmark.scores.items() if key != ("patchgan", "gaussian-25")
    }
    new = dataclasses.replace(
        benchmark.methods[0], id="new.poisson", label="New <b>one", family="hybrid"
    )
    return dataclasses.replace(benchmark, scores=scores, methods=(*benchmark.methods, new))


def condition(benchmark, name):
    return next(c for c in benchmark.conditions if c.id == name)


def curve(benchmark, name):
    return next(c for c in benchmark.curves if c.conditions[0].kind == name)


def traces(figure):
    return {trace.name: trace for trace in figure.data if trace.name}


def markers(figure):
    return {name: (t.x[0], t.y[0]) for name, t in traces(figure).items() if t.mode == "markers"}


class TestStrengthCurves:
    def test_values_by_strength_and_the_noisy_line(self, benchmark):
        drawn = curve(benchmark, "gaussian")
        lines = traces(strength_curves(benchmark, drawn, PSNR, ["median"], 1000))
        assert list(lines) == ["Median 3x3", "Noisy picture"]
        for name, method in (("Median 3x3", "median"), ("Noisy picture", NOISY)):
            assert list(lines[name].x) == [c.settings[0] for c in drawn.conditions]
            assert list(lines[name].y) == [
                benchmark.value(method, c.id, "psnr") for c in drawn.conditions
            ]
        assert lines["Noisy picture"].line.dash == "dash"

    def test_gain_puts_the_noisy_picture_at_zero(self, benchmark):
        drawn = curve(benchmark, "gaussian")
        lines = traces(strength_curves(benchmark, drawn, PSNR, ["median"], 1000, gain=True))
        assert set(lines["Noisy picture"].y) == {0}
        assert lines["Median 3x3"].y[-1] == benchmark.gain("median", drawn.conditions[-1].id, "psnr")

    def test_noise_grows_to_the_right(self, benchmark):
        more_is_less = strength_curves(benchmark, curve(benchmark, "poisson"), PSNR, [], 1000)
        more_is_more = strength_curves(benchmark, curve(benchmark, "gaussian"), PSNR, [], 1000)
        assert more_is_less.layout.xaxis.autorange == "reversed"
        assert more_is_more.layout.xaxis.autorange is None

    def test_a_missing_score_is_skipped(self, gappy):
        drawn = curve(gappy, "gaussian")
        lines = traces(strength_curves(gappy, drawn, SSIM, ["patchgan", "new.poisson"], 1000))
        assert 25.0 not in lines["PatchGAN"].x
        assert len(lines["PatchGAN"].x) == len(drawn.conditions) - 1
        assert len(lines["New <b>one"].x) == 0


class TestQualityAgainstTime:
    @pytest.mark.parametrize("metric", [PSNR, SSIM])
    def test_points_are_the_results(self, benchmark, metric):
        figure = quality_against_time(benchmark, condition(benchmark, "impulse-30"), metric, 600)
        assert markers(figure) == {
            m.label: (m.milliseconds, benchmark.value(m.id, "impulse-30", metric.id))
            for m in benchmark.methods
        }
        assert figure.layout.xaxis.type == "log"
        noisy = benchmark.value(NOISY, "impulse-30", metric.id)
        assert [shape.y0 for shape in figure.layout.shapes] == [noisy]
        low, high = figure.layout.yaxis.range
        assert low < noisy < high

    def test_the_line_joins_what_nothing_beats(self, benchmark):
        figure = quality_against_time(benchmark, condition(benchmark, "gaussian-25"), PSNR, 600)
        front = traces(figure)["Nothing is better in both"]
        points = markers(figure).values()
        for x, y in zip(front.x, front.y, strict=True):
            assert not any(a <= x and b >= y and (a, b) != (x, y) for a, b in points)
        best = max(points, key=lambda point: point[1])
        assert best in list(zip(front.x, front.y, strict=True))

    def test_a_missing_score_has_no_point(self, gappy):
        names = markers(quality_against_time(gappy, condition(gappy, "gaussian-25"), PSNR, 600))
        assert "PatchGAN" not in names
        assert len(names) == len(gappy.methods) - 2


class TestDistortionAgainstPerception:
    @pytest.mark.parametrize("perception", [SPECTRAL, SHARPNESS])
    def test_points_are_the_results(self, benchmark, perception):
        noise = condition(benchmark, "gaussian-50")
        points = markers(distortion_against_perception(benchmark, noise, perception, 600))
        names = {m.label: m.id for m in benchmark.methods} | {"Noisy picture": NOISY}
        assert points == {
            label: tuple(benchmark.value(i, noise.id, m) for m in ("psnr", perception.id))
            for label, i in names.items()
        }

    def test_sharpness_is_best_at_one(self, benchmark):
        figure = distortion_against_perception(
            benchmark, condition(benchmark, "gaussian-50"), SHARPNESS, 600
        )
        assert [shape.y0 for shape in figure.layout.shapes] == [1.0]
        assert "Nothing is better in both" not in traces(figure)

    def test_front_falls_in_distance_as_psnr_is_given_up(self, benchmark):
        figure = distortion_against_perception(
            benchmark, condition(benchmark, "gaussian-50"), SPECTRAL, 600
        )
        front = traces(figure)["Nothing is better in both"]
        assert list(front.x) == sorted(front.x)
        assert list(front.y) == sorted(front.y)

    @pytest.mark.parametrize("perception", [FRECHET, DETECTABILITY])
    def test_measures_with_intervals_and_a_floor(self, benchmark, perception):
        noise = condition(benchmark, "gaussian-50")
        scored = {"median": 0.9, "patchgan": 0.7, NOISY: 1.0}
        pairs = {(name, noise.id): value for name, value in scored.items()}
        others = {
            key: {name: value for name, value in values.items() if name != perception.id}
            for key, values in benchmark.scores.items()
        }
        measured = dataclasses.replace(
            benchmark,
            scores=others | {pair: others[pair] | {perception.id: pairs[pair]} for pair in pairs},
            intervals={k: {perception.id: (v - 0.1, v + 0.2)} for k, v in pairs.items()},
            floors={perception.id: 0.5},
        )
        figure = distortion_against_perception(measured, noise, perception, 600)
        assert set(markers(figure)) == {"Median 3x3", "PatchGAN", "Noisy picture"}
        assert markers(figure)["PatchGAN"][1] == 0.7
        text = f"95 %: {perception.format(0.6)} to {perception.format(0.9)}"
        assert text in traces(figure)["PatchGAN"].hovertemplate
        assert [shape.y0 for shape in figure.layout.shapes] == [0.5]
        (level,) = (a for a in figure.layout.annotations if a.text == "Clean pictures")
        is_log = figure.layout.yaxis.type == "log"
        assert is_log == (perception is FRECHET)
        assert level.y == pytest.approx(math.log10(0.5) if is_log else 0.5)
        assert "Nothing is better in both" in traces(figure)


class TestParetoFront:
    def test_by_hand(self, benchmark):
        method = benchmark.methods[0]
        points = [Point(method, x, y) for x, y in [(1, 1), (2, 3), (3, 2), (2, 2), (4, 3), (1, 0)]]
        front = pareto_front(points, lower_x=True, lower_y=False)
        assert [(point.x, point.y) for point in front] == [(1, 1), (2, 3)]
        assert pareto_front([], lower_x=True, lower_y=True) == []


class TestTrainTestMatrix:
    def cells(self, figure):
        return {
            (row, column): float(text)
            for trace in figure.data
            for row, texts in zip(trace.y, trace.customdata, strict=True)
            for column, text in zip(trace.x, texts, strict=True)
            if text
        }

    def test_every_cell_is_the_gain(self, benchmark):
        cells = self.cells(train_test_matrix(benchmark, PSNR, 1300))
        assert len(cells) == len(benchmark.networks) * len(benchmark.conditions)
        for method in benchmark.networks:
            for c in benchmark.conditions:
                gain = benchmark.gain(method.id, c.id, "psnr")
                assert cells[method.label, c.label] == pytest.approx(gain, abs=0.0051)

    def test_on_a_phone_every_row_is_a_noise(self, benchmark):
        figure = train_test_matrix(benchmark, PSNR, 356)
        wide = self.cells(train_test_matrix(benchmark, PSNR, 1300))
        swapped = {(in_short_lines(noise), network): gain for (network, noise), gain in wide.items()}
        assert self.cells(figure) == swapped
        specialists = figure.data[0]
        framed = {
            (specialists.x[int(s.x0 + 0.5)], specialists.y[int(s.y0 + 0.5)])
            for s in figure.layout.shapes
            if s.xref == "x"
        }
        assert framed == {
            (m.label, in_short_lines(c.label))
            for m in benchmark.networks
            for c in benchmark.conditions
            if c.is_specialty(m.specialty)
        }

    def test_zero_is_in_the_middle_and_signs_are_kept(self, benchmark):
        figure = train_test_matrix(benchmark, SSIM, 1300)
        axis = figure.layout.coloraxis
        assert axis.cmin == -axis.cmax
        z = [value for trace in figure.data for row in trace.z for value in row]
        texts = [float(t) for trace in figure.data for row in trace.customdata for t in row]
        assert all(a * b >= 0 for a, b in zip(z, texts, strict=True))
        assert max(map(abs, z)) == pytest.approx(axis.cmax)

    def test_specialists_are_apart_and_framed_where_they_were_trained(self, benchmark):
        figure = train_test_matrix(benchmark, PSNR, 1300)
        assert [a.text for a in figure.layout.annotations] == ["Specialists", "Trained on a mixture"]
        specialists, others = figure.data
        framed = {
            (specialists.y[int(s.y0 + 0.5)], specialists.x[int(s.x0 + 0.5)])
            for s in figure.layout.shapes
            if s.yref == "y"
        }
        assert framed == {
            (m.label, c.label)
            for m in benchmark.networks
            for c in benchmark.conditions
            if c.is_specialty(m.specialty)
        }
        assert len(framed) >= 3
        assert len(others.y) + len(specialists.y) == len(benchmark.networks)

    def test_numbers_in_the_cells_where_there_is_room(self, benchmark):
        wide, narrow = (train_test_matrix(benchmark, PSNR, width).data[0] for width in (1300, 320))
        assert wide.texttemplate
        assert not narrow.texttemplate

    def test_a_missing_score_is_an_empty_cell(self, gappy):
        figure = train_test_matrix(gappy, PSNR, 1300)
        cells = self.cells(figure)
        assert ("PatchGAN", "Gaussian 25") not in cells
        assert ("PatchGAN", "Gaussian 50") in cells
        assert "null" in figure.to_json()

    def test_only_blind_networks(self, benchmark):
        blind = [m for m in benchmark.methods if m.specialty is None]
        figure = train_test_matrix(dataclasses.replace(benchmark, methods=tuple(blind)), PSNR, 1300)
        assert len(figure.data) == 1

    def test_no_network_at_all(self, benchmark):
        filters = [m for m in benchmark.methods if m.trained_on is None]
        figure = train_test_matrix(dataclasses.replace(benchmark, methods=tuple(filters)), PSNR, 320)
        assert len(figure.data) == 0


class TestTrainingCurves:
    def test_what_the_history_says(self):
        history = read_history("attention-unet")
        lines = traces(training_curves(history, 1300))
        assert list(lines["Mean"].y) == list(history.validation[0].values)
        assert list(lines["Mean"].x) == list(history.validation[0].steps)
        assert list(lines["Training loss"].y) == list(history.losses[0].values)
        assert lines["Training loss"].yaxis != lines["Mean"].yaxis

    def test_a_gan_has_a_panel_for_both_its_losses(self):
        history = read_history("patchgan")
        lines = traces(training_curves(history, 1300))
        losses = {series.name: series.values for series in history.losses}
        for label, name in (
            ("Generator loss", "generator_loss"),
            ("Discriminator loss", "discriminator_loss"),
        ):
            assert list(lines[label].y) == list(losses[name])
        panel = {lines[name].yaxis for name in ("Generator loss", "Discriminator loss")}
        assert len(panel) == 1
        assert panel.isdisjoint({lines["Training loss"].yaxis, lines["Mean"].yaxis})

    def test_experts_have_a_panel_for_their_router(self):
        history = read_history("residual-unet")
        lines = traces(training_curves(history, 1300))
        routing = next(series for series in history.losses if series.name == "routing_loss")
        assert list(lines["Routing loss"].y) == list(routing.values)
        others = {lines["Training loss"].yaxis, lines["Mean"].yaxis}
        assert lines["Routing loss"].yaxis not in others

    def test_a_noise_looks_the_same_for_every_model_and_unlike_every_other_line(self):
        both = [traces(training_curves(read_history(m), 1300)) for m in ("attention-unet", "patchgan")]
        one, other = ({name: (t.line, t.marker) for name, t in lines.items()} for lines in both)
        shared = set(one) & set(other)
        assert len(shared) > 5
        assert all(one[name] == other[name] for name in shared)
        looks = {(t.line.color, t.line.dash, t.marker.symbol) for t in both[1].values()}
        assert len(looks) == len(both[1])

    def test_an_empty_history(self):
        empty = dataclasses.replace(read_history("patchgan"), validation=(), losses=())
        assert len(training_curves(empty, 320).data) == 0


def every_figure(benchmark, width):
    noise = benchmark.conditions[0]
    ids = [method.id for method in benchmark.methods]
    return [
        *(strength_curves(benchmark, c, SSIM, ids, width) for c in benchmark.curves),
        quality_against_time(benchmark, noise, PSNR, width),
        distortion_against_perception(benchmark, noise, SPECTRAL, width),
        train_test_matrix(benchmark, PSNR, width),
        training_curves(read_history("patchgan"), width),
    ]


@pytest.mark.parametrize("width", WIDTHS)
class TestEveryFigure:
    def test_can_be_sent(self, gappy, width):
        for figure in every_figure(gappy, width):
            text = figure.to_json()
            json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
            assert len(text) < 30_000
            assert figure.layout.paper_bgcolor.endswith(" 0)")
            assert 200 <= figure.layout.height <= 1200

    def test_legend_has_room(self, benchmark, width):
        ids = [method.id for method in benchmark.methods]
        few, many = (
            strength_curves(benchmark, benchmark.curves[0], PSNR, shown, width).layout
            for shown in (ids[:2], ids)
        )
        grown = many.height - few.height
        assert grown == many.margin.b - few.margin.b  # the lines keep their height
        assert grown > 0


class TestTable:
    def test_sorts_by_numbers_and_shows_rounded_ones(self, benchmark):
        table = table_value(benchmark, PSNR, benchmark.families)
        labels = [column["label"] for column in table["columns"]]
        assert len(set(labels)) == len(labels)
        index = labels.index("Gaussian 25")
        rows = {row[0]["text"]: row[index] for row in table["rows"]}
        value = benchmark.value("median", "gaussian-25", "psnr")
        assert rows["Median 3x3"]["sort"] == value
        assert rows["Median 3x3"]["text"].endswith(f"{value:.2f}")
        best = max(benchmark.methods, key=lambda m: benchmark.value(m.id, "gaussian-25", "psnr"))
        assert [name for name, cell in rows.items() if cell.get("best")] == [best.label]
        json.dumps(table, allow_nan=False)

    def test_families_and_gaps(self, gappy):
        table = table_value(gappy, SSIM, ["GAN", "hybrid"])
        names = [row[0]["text"] for row in table["rows"]]
        chosen = [m.label for m in gappy.methods if m.family in ("GAN", "hybrid")]
        assert names == ["Noisy picture", *chosen]
        assert {"PatchGAN", "New <b>one"} <= set(chosen) < {m.label for m in gappy.methods}
        index = [column["label"] for column in table["columns"]].index("Gaussian 25")
        assert table["rows"][1][index] == {"sort": None, "text": ""}

    def test_published_rows_are_psnr_only_and_never_best(self, benchmark):
        bm3d = next(p for p in PUBLISHED if p.label == "BM3D")
        table = table_value(benchmark, PSNR, ["classical", "published"])
        index = [column["label"] for column in table["columns"]].index("Gaussian 25")
        rows = {row[0]["text"]: row for row in table["rows"]}
        assert rows["BM3D"][index] == {"sort": bm3d.psnr["gaussian-25"], "text": "26.74"}
        assert rows["BM3D"][1]["text"] == "published, told sigma"
        assert rows["DnCNN"][1]["text"] == "published"
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
        best = [name for name, row in rows.items() if row[index].get("best")]
        assert len(best) == 1
        assert best[0] not in {p.label for p in PUBLISHED}
        for metric, families in ((SSIM, ["published"]), (PSNR, [])):
            assert len(table_value(benchmark, metric, families)["rows"]) == 1

    def test_no_family(self, benchmark):
        assert len(table_value(benchmark, PSNR, [])["rows"]) == 1


def test_in_short_lines():
    lines = in_short_lines("Gaussian 15 + Salt and pepper 10 %").split("<br>")
    assert [" ".join(line.split()) for line in lines] == ["Gaussian 15 + Salt", "and pepper 10 %"]
    assert in_short_lines("JPEG compression 10").startswith("JPEG<br>")


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Median 3x3", "Median 3x3"),
        ("Attention U-Net, salt and pepper 10 %", "Attention U-Net,<br>salt and pepper 10 %"),
        ("Dual autoencoder with skips", "Dual autoencoder<br>with skips"),
        ("Averyveryverylongname", "Averyveryverylongname"),
    ],
)
def test_wrapped(label, expected):
    assert wrapped(label) == expected
