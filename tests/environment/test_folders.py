"""Homes that nobody has, paths that nothing fits into, folders with signs in their names."""

import multiprocessing.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fixtures import ROOT
from fixtures.environment import folders
from fixtures.environment.folders import LONGEST_SOCKET_FOLDER, plain_path
from fixtures.errors import BenchError

ALONE = "import getpass, os, pathlib; from fixtures.environment.collect import keep_quiet; keep_quiet(False); "


def _alone(code: str, **environment: str) -> str:
    """What a fresh process prints that has these variables alone."""
    kept = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=kept | environment, capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr[-2000:]
    return done.stdout.strip()


def test_a_uid_without_an_entry_gets_a_home_and_a_name():
    """The entry is taken away in Python: to become another uid one must be root."""
    nobody = "import pwd\ndef none(uid): raise KeyError(uid)\npwd.getpwuid = none\n"
    home, user = _alone(f"{nobody}{ALONE}print(pathlib.Path.home(), getpass.getuser())").split()
    assert Path(home).is_dir() and user == f"uid-{os.getuid()}"


def test_a_home_that_is_there_stays(tmp_path: Path):
    said = _alone(f"{ALONE}print(pathlib.Path.home(), getpass.getuser())", HOME=str(tmp_path), USER="somebody")
    assert said == f"{tmp_path} somebody"


def test_suite_is_chosen_where_there_is_no_home(monkeypatch: pytest.MonkeyPatch):
    from fixtures.plan import suite

    monkeypatch.setattr(suite, "_home", lambda: None)
    for name in ("YOLO_CONFIG_DIR", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    assert suite._ultralytics_settings() == {}
    assert not suite._hub_cache_holds("openai/clip-vit-base-patch32")


@pytest.mark.parametrize("name", ["a cache", "naïve", "it's", 'a"quote', "semi;colon", "dollar$HOME", "(x86)"])
def test_a_folder_with_signs_in_its_name_has_a_plain_link(tmp_path: Path, name: str):
    folder = tmp_path / name
    folder.mkdir()
    link = plain_path(folder)
    assert folders.PLAIN.fullmatch(str(link)) and link.resolve() == folder
    assert plain_path(folder) == link
    (folder / "x").write_text("y")
    assert (link / "x").read_text() == "y"
    link.unlink()


def test_a_plain_folder_is_itself(tmp_path: Path):
    assert plain_path(tmp_path) == tmp_path


def test_somebody_elses_link_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "a cache"
    folder.mkdir()
    plain_path(folder).unlink()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    monkeypatch.setattr(folders, "SHORT_FOLDERS", ())
    (tmp_path / "temp").mkdir()
    link = plain_path(folder)
    link.unlink()
    link.symlink_to(tmp_path)
    with pytest.raises(BenchError, match=r"compilers cannot work in .*a cache: .* is something else"):
        plain_path(folder)


def test_a_long_tmpdir_leaves_room_for_a_socket(tmp_path: Path):
    long = tmp_path / ("long" * 30)
    long.mkdir()
    code = (
        f"{ALONE}from fixtures.isolation.pool import WorkerFactory; import multiprocessing.util, tempfile\n"
        "START; p = WorkerFactory()._context().Process(target=print, args=('alive',), kwargs={'flush': True})\n"
        "p.start(); p.join(); print(len(multiprocessing.util.get_temp_dir()), tempfile.gettempdir())"
    )
    # Forked off a process that has imported nothing: what is asked is whether its socket can be made.
    code = code.replace(
        "START",
        "from multiprocessing import forkserver; WorkerFactory()._context(); "
        "forkserver.set_forkserver_preload([]); forkserver.ensure_running()",
    )
    said = _alone(code, TMPDIR=str(long), HOME=str(tmp_path)).splitlines()
    assert "alive" in said
    length, folder = said[-1].split()
    assert int(length) <= LONGEST_SOCKET_FOLDER and folder == str(long)


def test_where_no_place_is_short_the_length_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    monkeypatch.setattr(folders, "SHORT_FOLDERS", ())
    monkeypatch.setattr(multiprocessing.util, "get_temp_dir", lambda: pytest.fail("made"))
    with pytest.raises(BenchError, match=rf"TMPDIR is too long for a socket: .* has {len(str(long))} characters"):
        folders.keep_socket_paths_short()
