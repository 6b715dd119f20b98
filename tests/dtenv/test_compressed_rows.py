"""Published rows may be compressed: readers take both, and a run that goes on unpacks them."""

import gzip

from paths import RESULTS

from dtenv.reporting import jsonl
from dtenv.reporting.compressed import compressed, read_text, stored, unpack


def test_rows_are_read_and_appended_to_compressed_or_not(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert not stored(path) and jsonl.read(path) == []
    compressed(path).write_bytes(gzip.compress(b'{"a": 1}\n', mtime=0))
    assert stored(path) and read_text(path) == '{"a": 1}\n' and jsonl.read(path) == [{"a": 1}]
    assert not path.exists()  # reading changes nothing
    jsonl.append(path, [{"b": 2}])
    assert jsonl.read(path) == [{"a": 1}, {"b": 2}] and not compressed(path).exists()


def test_a_plain_file_wins(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("new\n")
    compressed(path).write_bytes(gzip.compress(b"old\n"))
    unpack(path)
    assert read_text(path) == "new\n"


def test_published_rows_are_small():
    large = [file for file in RESULTS.rglob("*") if file.suffix in (".csv", ".jsonl") and file.stat().st_size > 100_000]
    assert large == [], "compress them: gzip -n -9"
    assert all(not path.with_suffix("").exists() for path in RESULTS.rglob("*.gz"))
