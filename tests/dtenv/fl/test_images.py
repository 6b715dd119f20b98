import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from paths import SHARED

from dtenv.fl.data.images import load_images, read_idx

MNIST = SHARED / "data" / "mnist"


def idx(array: np.ndarray, code: int = 0x08) -> bytes:
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_set(folder: Path, *, classes=3, packed=False, **replaced: bytes) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for part, n in (("train", 12), ("t10k", 6)):
        images = rng.integers(0, 256, (n, 4, 4), dtype=np.uint8)
        images[0, 0, 0] = 255
        for kind, array in (("images-idx3", images), ("labels-idx1", (np.arange(n) % classes).astype(np.uint8))):
            raw = replaced.get(f"{part}_{kind[:6]}", idx(array))
            name = folder / f"{part}-{kind}-ubyte{'.gz' if packed else ''}"
            name.write_bytes(gzip.compress(raw) if packed else raw)
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read_plain_and_packed(tmp_path, packed):
    images = load_images(write_set(tmp_path / "toy", packed=packed))
    assert (images.name, images.classes, images.pixels) == ("toy", 3, 16)
    assert images.x.shape == (12, 16) and images.test_y.tolist() == [0, 1, 2, 0, 1, 2]
    assert float(images.x.max()) == 1.0 and images.x.dtype == torch.float32


def test_idx_of_wider_numbers_is_big_endian(tmp_path):
    values = np.array([[1, -2], [300, 4]], dtype=">i2")
    (tmp_path / "wide").write_bytes(idx(values, 0x0B))
    assert read_idx(tmp_path / "wide").tolist() == values.tolist()


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "magic number"),
        (b"PNG!", "magic number .* got 0x504e4721"),
        (b"\0\0\x08\x03\0\0", "header of 16 bytes"),
        (idx(np.zeros((3, 2, 2), np.uint8))[:-1], r"must have 28 bytes for shape \[3, 2, 2\], got 27"),
        (idx(np.zeros((3, 2, 2), np.uint8)) + b"x", "got 29"),
        (gzip.compress(idx(np.zeros((3, 2), np.uint8)), mtime=0)[:-9], "broken gzip"),
        (b"\x1f\x8bnonsense", "broken gzip"),
    ],
    ids=("empty", "not IDX", "short header", "short", "long", "short gzip", "no gzip"),
)
def test_corrupt_idx_files_are_refused_by_name(tmp_path, raw, told):
    (tmp_path / "broken-file").write_bytes(raw)
    with pytest.raises(ValueError, match=told) as error:
        read_idx(tmp_path / "broken-file")
    assert "broken-file" in str(error.value)


def test_a_set_that_does_not_fit_together_is_refused(tmp_path):
    with pytest.raises(ValueError, match="labels must be one per image"):
        load_images(write_set(tmp_path / "a", train_labels=idx(np.zeros(11, np.uint8))))
    with pytest.raises(ValueError, match="every label from 0 to 2 must be in both parts; test breaks it at 1"):
        load_images(write_set(tmp_path / "b", t10k_labels=idx(np.array([0, 2, 0, 2, 0, 2], np.uint8))))
    with pytest.raises(ValueError, match="training breaks it at 1"):
        load_images(write_set(tmp_path / "c", train_labels=idx(np.array([0, 2] * 6, np.uint8))))
    with pytest.raises(ValueError, match="positive value"):
        load_images(write_set(tmp_path / "d", train_images=idx(np.zeros((12, 4, 4), np.uint8))))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="train-images"):
        load_images(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="neither 'digits' nor"):
        load_images(tmp_path / "nowhere")
    (tmp_path / "text.txt").write_text("no")
    with pytest.raises(ValueError, match=r"an \.npz"):
        load_images(tmp_path / "text.txt")


def test_archives_are_read_and_refused(tmp_path):
    x, y = np.arange(24.0).reshape(6, 2, 2), np.array([0, 1, 2, 0, 1, 2])
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x[:3], y_test=y[:3])
    images = load_images(tmp_path / "own.npz")
    assert (images.name, images.classes, images.pixels, len(images.test_y)) == ("own", 3, 4, 3)
    np.savez(tmp_path / "less.npz", x_train=x, y_train=y)
    with pytest.raises(ValueError, match="lacks x_test, y_test"):
        load_images(tmp_path / "less.npz")
    np.savez(tmp_path / "nan.npz", x_train=x * np.nan, y_train=y, x_test=x[:3], y_test=y[:3])
    with pytest.raises(ValueError, match="finite"):
        load_images(tmp_path / "nan.npz")
    np.savez(tmp_path / "half.npz", x_train=x, y_train=y + 0.5, x_test=x[:3], y_test=y[:3])
    with pytest.raises(ValueError, match="non-negative integers"):
        load_images(tmp_path / "half.npz")


def test_digits_are_split_by_writers_and_their_test_is_balanced():
    images = load_images("digits")
    assert (images.classes, images.pixels, len(images.y), len(images.test_y)) == (10, 64, 1297, 500)
    x, y = images.balanced_test(200)
    assert len(x) == 200 and torch.bincount(y).tolist() == [20] * 10


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not here")
def test_mnist_is_what_is_known_of_it():
    images = load_images(MNIST)
    assert images.x.shape == (60_000, 784) and images.test_x.shape == (10_000, 784)
    assert torch.bincount(images.y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
