"""``python -m denoiser``: what it writes, what it says, and how it ends."""

import csv
import io
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
from skimage.data import astronaut

import denoiser
from denoiser import __main__ as command
from denoiser.images import Photo, read_photo, write_photo
from tests.conftest import ROOT
from tests.pictures import srgb_profile

SIDE = 64


@pytest.fixture
def folder(tmp_path):
    """A folder of a clean photo, and one of a noisy one, with a profile."""
    clean = np.ascontiguousarray(astronaut()[60 : 60 + SIDE, 190 : 190 + SIDE])
    noise = np.random.default_rng(0).normal(0, 25, clean.shape)
    noisy = np.clip(clean + noise, 0, 255).astype(np.uint8)
    for name, pixels in (("clean", clean), ("noisy", noisy)):
        (tmp_path / name).mkdir()
        write_photo(Photo(pixels, srgb_profile()), tmp_path / name / "face.png")
    return tmp_path


def run(*arguments):
    return command.main([str(argument) for argument in arguments])


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


class TestDenoise:
    def test_a_photo(self, folder, capsys):
        source, target = folder / "noisy" / "face.png", folder / "out.png"
        before = source.read_bytes()
        assert run("denoise", source, "-o", target, "--method", "nl-means", "--sigma", "25") == 0
        photo = read_photo(source)
        result = denoiser.denoise(photo, "nl-means", sigma=25 / 255)
        written = read_photo(target)
        np.testing.assert_array_equal(written.pixels, result.photo.pixels)
        assert written.icc_profile == srgb_profile()
        (row,) = rows(capsys.readouterr().out)
        assert tuple(row) == command.COLUMNS
        assert (row["file"], row["output"], row["method"]) == (str(source), str(target), "nl-means")
        assert (row["sigma"], row["sigma_source"], row["psnr"]) == ("25.00", "known", "")
        assert source.read_bytes() == before

    def test_a_strength_that_is_not_known_is_estimated(self, folder, capsys):
        run("denoise", folder / "noisy", "-o", folder / "out", "--method", "nl-means")
        (row,) = rows(capsys.readouterr().out)
        assert row["sigma_source"] == "estimated"
        assert 15 < float(row["sigma"]) < 35

    def test_scores(self, folder, capsys):
        arguments = ("--method", "median", "--compare")
        noisy, clean = folder / "noisy" / "face.png", folder / "clean" / "face.png"
        assert run("denoise", noisy, "-o", folder / "one.png", *arguments, clean) == 0
        assert run("denoise", noisy.parent, "-o", folder / "all", *arguments, clean.parent) == 0
        outs = capsys.readouterr().out.split("file,")
        one, every = (rows("file," + out)[0] for out in outs[1:])
        scores = [one[name] for name in ("psnr_noisy", "psnr", "ssim_noisy", "ssim")]
        assert scores == [every[name] for name in ("psnr_noisy", "psnr", "ssim_noisy", "ssim")]
        written, reference = (read_photo(path).pixels / 255 for path in (folder / "one.png", clean))
        assert float(scores[1]) == pytest.approx(denoiser.psnr(written, reference), abs=1e-3)
        assert float(scores[3]) == pytest.approx(denoiser.ssim(written, reference), abs=1e-3)
        assert float(scores[1]) > float(scores[0])

    @pytest.mark.parametrize("bits", [8, 16])
    def test_bits(self, folder, bits):
        target = folder / "new" / "out.png"
        source = folder / "noisy" / "face.png"
        assert run("denoise", source, "-o", target, "--method", "median", "--bits", bits) == 0
        assert read_photo(target).bits == bits

    def test_a_folder(self, folder, capsys):
        """One bad file does not stop the others; what is no picture is left alone."""
        photos = folder / "noisy"
        (photos / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0")
        (photos / "face.JPG").write_bytes(b"")
        (photos / "notes.txt").write_text("nothing")
        (photos / ".hidden.png").write_bytes(b"")
        write_photo(Photo(np.full((9, 5), 7, np.uint16)), photos / "gray.png")
        assert run("denoise", photos, "-o", folder / "out", "--method", "median", "--threads", 2) == 1
        said = capsys.readouterr()
        assert sorted(path.name for path in (folder / "out").iterdir()) == ["face.png.png", "gray.png"]
        assert read_photo(folder / "out" / "gray.png").pixels.tolist() == [[7] * 5] * 9
        assert len(rows(said.out)) == 2
        assert sorted(said.err.splitlines()) == [
            "denoiser: cut.jpg: This isn't a picture that can be read; PNG, JPEG, WebP, AVIF, HEIC, "
            "GIF, BMP and TIFF can.",
            "denoiser: face.JPG: The file is empty.",
        ]

    def test_a_clean_photo_that_does_not_fit(self, folder, capsys):
        write_photo(Photo(np.zeros((3, 4), np.uint8)), folder / "small.png")
        arguments = ("-o", folder / "out.png", "--method", "median", "--compare")
        assert run("denoise", folder / "noisy" / "face.png", *arguments, folder / "small.png") == 1
        assert "must have one shape" in capsys.readouterr().err
        assert not (folder / "out.png").exists()
        (folder / "clean" / "face.png").unlink()
        out = ("-o", folder / "all", "--method", "median", "--compare", folder / "clean")
        assert run("denoise", folder / "noisy", *out) == 1
        assert capsys.readouterr().err == "denoiser: face.png: There is no file of this name.\n"

    def test_a_target_that_cannot_be_written(self, folder, capsys):
        (folder / "file").write_text("in the way")
        target = folder / "file" / "out.png"
        assert run("denoise", folder / "noisy" / "face.png", "-o", target, "--method", "median") == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("denoiser: face.png: ")
        assert "Errno" not in line

    def test_the_photo_itself_is_never_overwritten(self, folder, capsys):
        photos = folder / "noisy"
        source = photos / "face.png"
        before = source.read_bytes()
        (folder / "link.png").hardlink_to(source)
        (folder / "soft").symlink_to(photos)
        for place in (source, photos, folder / "link.png", folder / "soft", folder / "soft/face.png"):
            assert run("denoise", source, "-o", place, "--method", "median") == 2, place
            assert "would be overwritten" in capsys.readouterr().err
        assert run("denoise", photos, "-o", photos, "--method", "median") == 2
        clean = folder / "clean" / "face.png"
        assert run("denoise", source, "-o", clean, "--method", "median", "--compare", clean) == 2
        assert source.read_bytes() == before
        assert len([*photos.iterdir()]) == 1

    @pytest.mark.parametrize(
        "arguments",
        [
            ("noisy", "-o", "out"),
            ("noisy", "--method", "median"),
            ("noisy", "-o", "out", "--method", "magic"),
            ("noisy", "-o", "out", "--method", "median", "--sigma", "-1"),
            ("noisy", "-o", "out", "--method", "median", "--sigma", "nan"),
            ("noisy", "-o", "out", "--method", "median", "--sigma", "much"),
            ("noisy", "-o", "out", "--method", "median", "--bits", "12"),
            ("noisy", "-o", "out", "--method", "median", "--threads", "0"),
            ("noisy", "-o", "out.png", "--method", "median"),
            ("noisy/face.png", "-o", "out.jpg", "--method", "median"),
            ("noisy", "-o", "out", "--method", "median", "--compare", "clean/face.png"),
            ("noisy/face.png", "-o", "out", "--method", "median", "--compare", "clean"),
            ("empty", "-o", "out", "--method", "median"),
        ],
    )
    def test_options_that_make_no_sense(self, folder, arguments, monkeypatch, capsys):
        (folder / "empty").mkdir()
        monkeypatch.chdir(folder)
        try:
            code = run("denoise", *arguments)
        except SystemExit as stop:  # argparse's own
            code = stop.code
        assert code == 2
        assert capsys.readouterr().err
        assert sorted(path.name for path in folder.iterdir()) == ["clean", "empty", "noisy"]

    def test_weights_that_are_missing(self, folder, monkeypatch, capsys):
        def fail(_):
            raise denoiser.WeightsError("The model can't be had.")

        monkeypatch.setattr(command, "create_denoiser", fail)
        assert run("denoise", folder / "noisy", "-o", folder / "out", "--method", "median") == 1
        assert capsys.readouterr().err == "denoiser: The model can't be had.\n"

    def test_ctrl_c(self, folder, monkeypatch, capsys):
        def interrupt(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(command, "denoise", interrupt)
        assert run("denoise", folder / "noisy", "-o", folder / "out", "--method", "median") == 130
        assert capsys.readouterr().err == "denoiser: stopped\n"

    def test_a_terminal_sees_how_far_it_is(self, folder, monkeypatch, capsys):
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        monkeypatch.setattr("denoiser.denoisers.windows.SIDE", 32)
        run("denoise", folder / "noisy", "-o", folder / "out", "--method", "median")
        said = capsys.readouterr().err
        assert "100%" in said
        assert "1/1 face.png" in said
        assert said.endswith("\r\033[K")

    def test_as_a_program(self, folder):
        source, target = folder / "noisy" / "face.png", folder / "out.png"
        ran = subprocess.run(
            [sys.executable, "-m", "denoiser", "denoise", source, "-o", target, "--method", "median"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        assert target.is_file()
        assert [row["method"] for row in rows(ran.stdout)] == ["median"]

    def test_networks_for_colour_can_be_had(self, folder):
        assert {*command.list_denoisers(colour=True)} > {*command.list_denoisers()}
        source, target = folder / "noisy" / "face.png", folder / "out.png"
        (name, *_) = (i for i in command.list_denoisers(colour=True) if i.endswith("-colour"))
        assert run("denoise", source, "-o", target, "--method", name) == 0
        assert read_photo(target).pixels.shape == (SIDE, SIDE, 3)


class TestCompare:
    def test_a_sheet(self, folder, capsys):
        picture = folder / "clean" / "face.png"
        sheet = folder / "sheet.png"
        arguments = ("--noise", "gaussian", "sigma=50", "--methods", "median", "nl-means", "--seed", 3)
        assert run("compare", picture, "-o", sheet, *arguments) == 0
        clean = denoiser.load_image(picture, 48, crop_face=True)
        noise = denoiser.create_noise("gaussian", sigma=50 / 255)
        comparison = denoiser.compare(clean, noise, 3, ["median", "nl-means"])
        psnr = {line.split(":")[0]: line.split()[1] for line in capsys.readouterr().out.splitlines()}
        assert psnr == {
            "noisy": f"{comparison.noisy.psnr:.2f}",
            **{name: f"{result.psnr:.2f}" for name, result in comparison.items()},
        }
        with PIL.Image.open(sheet) as drawn:
            assert drawn.format == "PNG"
            assert drawn.width > 4 * 192

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--noise", "magic"),
            ("--noise", "gaussian", "amount=3"),
            ("--noise", "gaussian", "sigma"),
            ("--noise", "gaussian", "sigma=300"),
            ("--seed", "-1"),
            ("--size", "5"),
            ("--methods", "magic"),
            ("-o", "sheet.jpg"),
            ("-o", "face.png"),
        ],
    )
    def test_options_that_make_no_sense(self, folder, arguments, monkeypatch, capsys):
        monkeypatch.chdir(folder / "clean")
        try:
            code = run("compare", "face.png", "-o", "sheet.png", *arguments)
        except SystemExit as stop:  # argparse's own
            code = stop.code
        assert code == 2
        assert capsys.readouterr().err
        assert [path.name for path in (folder / "clean").iterdir()] == ["face.png"]

    def test_a_bad_picture(self, folder, capsys):
        (folder / "bad.png").write_bytes(b"no picture")
        assert run("compare", folder / "bad.png", "-o", folder / "sheet.png") == 1
        assert "isn't a picture" in capsys.readouterr().err


class TestScore:
    @pytest.fixture
    def own(self, tmp_path):
        """A file of functions, in a folder of three faces."""
        for index, top in enumerate((60, 64, 68)):
            pixels = np.ascontiguousarray(astronaut()[top : top + 48, 200:248])
            write_photo(Photo(pixels), tmp_path / f"{index}.png")
        (tmp_path / "mine.py").write_text(
            "def denoise(noisy):\n    return noisy\n"
            "def dark(noisy):\n    return noisy / 2\n"
            "def bad(noisy):\n    return noisy[1:]\n"
        )
        return tmp_path

    def score(self, own, function, *arguments):
        return run("score", f"{own / 'mine.py'}{function}", "--faces", own, "--workers", 1, *arguments)

    def test_prints_a_table_and_writes_it(self, own, capsys):
        files = ("--csv", own / "out.csv", "--markdown", own / "out.md")
        noises = ("--noise", "gaussian-25", "gaussian sigma=40")
        assert self.score(own, ":dark", *noises, "--rivals", "median", *files) == 0
        printed = capsys.readouterr().out
        assert printed == (own / "out.md").read_text(encoding="utf-8")
        assert printed.splitlines()[0] == "| denoiser | gaussian-25 | Gaussian, sigma 40 of 255 |"
        assert "| **Dark** |" in printed
        found = rows((own / "out.csv").read_text())
        assert {row["denoiser"] for row in found} == {"noisy", "median", "dark"}
        faces = denoiser.faces.scored.find_test_faces(own)
        noise = denoiser.create_noise("gaussian", sigma=40 / 255)
        table = denoiser.score(lambda noisy: noisy / 2, [noise], faces=faces, rivals=[])
        (expected,) = (row.psnr for row in table if row.denoiser == "lambda")
        (psnr,) = (r["psnr"] for r in found if (r["denoiser"], r["noise"]) == ("dark", noise.describe()))
        assert float(psnr) == expected

    def test_the_function_is_called_denoise_unless_another_is_named(self, own, capsys):
        assert self.score(own, "", "--noise", "gaussian-25", "--rivals", "median", "--first", 2) == 0
        printed = capsys.readouterr().out
        assert "| **Denoise** |" in printed
        assert ": 2 faces" in printed

    @pytest.mark.parametrize(
        ("function", "words"),
        [
            (":bad", "returned shape (47, 48)"),
            (":nope", "no function 'nope'; it has: denoise, dark, bad"),
            (".txt", "FILE.py:FUNCTION"),
        ],
    )
    def test_a_bad_function_is_one_sentence(self, own, function, words, capsys):
        assert self.score(own, function) == 1
        said = capsys.readouterr().err
        assert words in said
        assert said.startswith("denoiser: ")
        assert said.count("\n") == 1

    def test_faces_that_cannot_be_had(self, own, capsys):
        assert run("score", own / "mine.py", "--faces", own / "nowhere") == 1
        assert "can't be read: No such file" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--noise", "magic"),
            ("--noise", "gaussian sigma=300"),
            ("--noise", "gaussian amount=3"),
            ("--first", "1"),
            ("--seed", "-1"),
            ("--rivals", "magic"),
            ("--workers", "0"),
        ],
    )
    def test_options_that_make_no_sense(self, own, arguments, capsys):
        try:
            code = self.score(own, "", *arguments)
        except SystemExit as stop:  # argparse's own
            code = stop.code
        assert code == 2
        assert capsys.readouterr().err

    def test_a_package_that_fails_is_said_and_stops_nothing(self, own, monkeypatch, capsys):
        monkeypatch.setattr(command, "register_packages", lambda: ("It can't be loaded.",))
        noises = ("--noise", "gaussian-25", "--rivals", "median")
        assert self.score(own, "", *noises) == 0
        assert capsys.readouterr().err == "denoiser: It can't be loaded.\n"
