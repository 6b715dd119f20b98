"""Labelled training images: scikit-learn's digits, MNIST-like IDX files, or an .npz."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
DIGITS_TEST = 500
"""Number of test digits, the last ones of the file, which are by other writers."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """Training and test images as rows of floats, with labels 0 … classes - 1."""

    name: str
    sha256: str
    """Digest of the training data, for provenance."""
    classes: int
    x: torch.Tensor  # (n, pixels) float32
    y: torch.Tensor  # (n,) int64
    test_x: torch.Tensor
    test_y: torch.Tensor

    @property
    def pixels(self) -> int:
        """Number of pixels of an image."""
        return self.x.shape[1]

    def balanced_test(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the first test images of each class, equally many, about `size` in all."""
        per_class = max(1, min(size // self.classes, int(torch.bincount(self.test_y, minlength=self.classes).min())))
        index = torch.cat([torch.nonzero(self.test_y == c)[:per_class, 0] for c in range(self.classes)])
        return self.test_x[index], self.test_y[index]


def load_images(source: str | Path) -> Images:
    """Load "digits" (scikit-learn's, 8 x 8), a folder with MNIST's four IDX files, plain or gzipped, or an .npz.

    The .npz holds x_train, y_train, x_test and y_test. Raises FileNotFoundError for a missing file or folder, and
    ValueError for malformed files; the message names file and value.
    """
    if str(source) == "digits":
        from sklearn.datasets import load_digits  # slow to import

        x, y = load_digits(return_X_y=True)
        cut = len(y) - DIGITS_TEST
        return _images("digits", x[:cut], y[:cut], x[cut:], y[cut:])
    path = Path(source)
    if path.is_dir():
        return _images(path.name, *(read_idx(_idx_file(path, stem)) for stem in PARTS))
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            names = ("x_train", "y_train", "x_test", "y_test")
            missing = [name for name in names if name not in archive]
            if missing:
                raise ValueError(f"{path.name} must hold {', '.join(names)}, lacks {', '.join(missing)}")
            return _images(path.stem, *(archive[name] for name in names))
    if not path.exists():
        raise FileNotFoundError(f"data {str(source)!r} is neither 'digits' nor a folder of IDX files nor an .npz")
    raise ValueError(f"data must be 'digits', a folder of IDX files or an .npz, got {str(source)!r}")


def read_idx(path: str | Path) -> np.ndarray:
    """Read an IDX file, plain or gzipped; raises ValueError for another format or a length unlike the header's."""
    path = Path(path)
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path.name} is a broken gzip file: {error}") from None
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in IDX_TYPES:
        raise ValueError(f"{path.name} must start with an IDX magic number such as 0x00000803, got 0x{raw[:4].hex()}")
    axes, start = raw[3], 4 + 4 * raw[3]
    if len(raw) < start or axes == 0:
        raise ValueError(f"{path.name} must have a header of {start} bytes and at least one axis, got {len(raw)} bytes")
    shape = np.frombuffer(raw, ">u4", axes, 4).astype(np.int64)
    kind = np.dtype(IDX_TYPES[raw[2]])
    wanted = start + int(np.prod(shape)) * kind.itemsize
    if len(raw) != wanted:
        raise ValueError(f"{path.name} must have {wanted} bytes for shape {shape.tolist()}, got {len(raw)}")
    return np.frombuffer(raw, kind, offset=start).reshape(shape)


def _idx_file(folder: Path, stem: str) -> Path:
    for file in sorted(folder.glob(f"{stem}*")):
        return file
    raise FileNotFoundError(f"{folder} has no file {stem}-…-ubyte or {stem}-…-ubyte.gz")


def _images(name: str, x: Any, y: Any, test_x: Any, test_y: Any) -> Images:
    """Check the images, and scale them to [0, 1] by the largest training value."""
    largest = float(np.max(x)) if np.size(x) else 0.0
    if not np.isfinite(largest) or largest <= 0.0:
        raise ValueError(f"{name}: images must be finite with a positive value among them, got at most {largest!r}")
    pixels, labels = [], []
    for part, images, given in (("training", x, y), ("test", test_x, test_y)):
        if len(images) == 0 or np.shape(given) != (len(images),):
            shapes = f"images {np.shape(images)} and labels {np.shape(given)}"
            raise ValueError(f"{name}: {part} labels must be one per image, and not empty, got {shapes}")
        flat = np.asarray(images, dtype=np.float32).reshape(len(images), -1) / np.float32(largest)
        if not np.isfinite(flat).all():
            raise ValueError(f"{name}: {part} images must be finite, got {images[~np.isfinite(flat).all(axis=1)][:1]}")
        whole = np.asarray(given).astype(np.int64)
        if (whole != given).any() or whole.min() < 0:
            raise ValueError(f"{name}: {part} labels must be non-negative integers, got {np.asarray(given).min()!r}")
        pixels.append(torch.from_numpy(flat))
        labels.append(torch.from_numpy(whole))
    if pixels[0].shape[1] != pixels[1].shape[1]:
        raise ValueError(f"{name}: test images have {pixels[1].shape[1]} numbers, training ones {pixels[0].shape[1]}")
    classes = int(labels[0].max()) + 1
    for part, given in (("training", labels[0]), ("test", labels[1])):
        counts = torch.bincount(given, minlength=classes)
        if len(counts) > classes or (counts == 0).any():
            label = int(torch.nonzero(counts == 0)[0]) if (counts == 0).any() else len(counts) - 1
            raise ValueError(
                f"{name}: every label from 0 to {classes - 1} must be in both parts; {part} breaks it at {label}"
            )
    digest = hashlib.sha256(pixels[0].numpy().tobytes() + labels[0].numpy().tobytes()).hexdigest()
    return Images(
        name=name, sha256=digest, classes=classes, x=pixels[0], y=labels[0], test_x=pixels[1], test_y=labels[1]
    )
