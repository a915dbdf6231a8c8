from pathlib import Path

import pytest

from fixtures.errors import BenchError
from fixtures.photos.prompts import DEFAULT_PROMPTS, read_prompts


def test_the_default_list_is_one_of_everyday_scenes():
    prompts = read_prompts(DEFAULT_PROMPTS)
    assert len(prompts) == 102 and "a photo of a beach" in prompts


def test_empty_lines_comments_and_a_byte_order_mark_are_no_prompts(tmp_path: Path):
    path = tmp_path / "scenes.txt"
    path.write_bytes("\ufeff# mine\n\n a photo of a fjord \na photo of a sauna\n".encode())
    assert read_prompts(path) == ("a photo of a fjord", "a photo of a sauna")


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "0 prompts"), (b"one\n", "1 prompts"), (b"a\nb\na\n", "twice: a"), (b"\xff", "read")]
)
def test_what_leaves_nothing_to_choose_is_refused(tmp_path: Path, content: bytes, words: str):
    path = tmp_path / "scenes.txt"
    path.write_bytes(content)
    with pytest.raises(BenchError, match=words):
        read_prompts(path)
