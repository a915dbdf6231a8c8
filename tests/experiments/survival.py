"""`python -m tests.experiments.survival`: what a case can do to a run, and whether a killed run can be taken up again.

First each misbehaviour in the middle of a run of six cases: all other rows present and passed, the exit status and
JUnit true. Then one session of 36 trivial cases, killed with SIGKILL at random moments and resumed each time, until
it was killed often enough: no row may be lost, repeated or changed.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from fixtures import ROOT
from reports.errors import ReportError
from reports.record.store import last_session, read_rows
from tests.helpers.faulty_backend import environment

QUICK = ("--suite", "embedded", "--precisions", "fp32", "--measure-seconds", "0.2")
SIX = (*QUICK, "--models", "clip-text", "--backends", "pytorch,chaos,onnxruntime", "--batches", "1,2")
MISDEEDS = ("speed kill", "build abort", "build hang", "speed raise", "speed memory", "interrupt")
CASE_LOST, INTERRUPTED = 6, 2
TRIVIAL = tuple(f"trivial-{number}" for number in range(6))
# The answers of trivial engines are constant, which no gate lets pass: their accuracy is not asked.
KILLED = (
    *(*QUICK, "--models", "clip-text", "--backends", ",".join(TRIVIAL), "--batches", "1,2,3,4,5,6"),
    *("-m", "build or speed"),
)
KILLED_ROWS = 2 * 36
# A resumed run needs some five seconds before its first answer on two cores, and some ten for all of them.
LATEST_KILL_S = 12.0
RECORD = "rows.jsonl"


def start(options: Sequence[str], variables: Mapping[str, str]) -> subprocess.Popen[str]:
    """A run in the background."""
    command = [sys.executable, "-m", "pytest", str(ROOT / "bench"), "--benchmark-only", "-q", "-p", "no:cacheprovider"]
    return subprocess.Popen(
        [*command, "--device", "cpu", *options],
        cwd=ROOT,
        env=dict(variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would all that it starts.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - there are no threads
    )


def answers(output: Path) -> list[tuple[str, str, str]]:
    """(case, question, outcome) of every row, in the order of the record; empty where there is none yet."""
    try:
        rows = last_session(read_rows(output / RECORD))
    except ReportError:
        return []
    return [(row["case"]["id"], row["question"], row["outcome"]) for row in rows if row["kind"] == "case"]


def misdeed(how: str, folder: Path) -> str:
    """Run six cases of which two misbehave; what is wrong with what is left, or nothing."""
    output, junit = folder / "output", folder / "junit.xml"
    variables = environment(folder / "site", "" if how == "interrupt" else how)
    options = (*SIX, "--engine-cache", str(folder / "engines"), "--output", str(output), "--junitxml", str(junit))
    run = start((*options, "--case-seconds", "90" if "memory" in how else "40"), variables)
    if how == "interrupt":
        while len(answers(output)) < 7 and run.poll() is None:
            time.sleep(0.02)
        run.send_signal(signal.SIGINT)
    status = run.wait()
    faults = []
    if how == "interrupt":
        if status != INTERRUPTED:
            faults.append(f"exit status {status} after Ctrl-C")
        before = answers(output)
        status = start((*options[:-2], "--resume", str(output)), variables).wait()
        found = answers(output)
        if found[: len(before)] != before or len({each[:2] for each in found}) != 18 or status:
            faults.append(f"resumed: {len(before)} rows became {len(found)}, exit status {status}")
        if len(before) == len(found):
            faults.append("the interruption came too late to mean anything")
        return "; ".join(faults)
    found = answers(output)
    sound = [each for each in found if "chaos" not in each[0]]
    lost = [each for each in found if "chaos" in each[0] and each[2] == "error"]
    if len(sound) != 12 or any(outcome != "passed" for _, _, outcome in sound):
        faults.append(f"the other cases: {sound}")
    # 20 GB may fit into the machine; then the case has every right to pass.
    may_live = how.endswith("memory")
    if len(found) != 18 or not (lost or may_live):
        faults.append(f"{len(found)} rows, {len(lost)} of them errors")
    if status != (CASE_LOST if lost else 0):
        faults.append(f"exit status {status}")
    suite = ElementTree.parse(junit).getroot()[0]
    if suite.get("errors") != str(len(lost)) or suite.get("failures") != "0":
        faults.append(f"JUnit: {suite.attrib}")
    return "; ".join(faults)


def killed_again_and_again(kills: int, seed: int, folder: Path) -> tuple[int, list[str]]:
    """Kill and resume; how many kills struck a run that was recording, and what went wrong."""
    chance = random.Random(seed)
    variables = environment(folder / "site", names=TRIVIAL)
    faults: list[str] = []
    struck, session = 0, 0
    while struck < kills and not faults:
        session += 1
        output = folder / f"output-{session}"
        options = (*KILLED, "--engine-cache", str(folder / "engines"))
        before: list[tuple[str, str, str]] = []
        while struck < kills:
            resume = ("--resume", str(output)) if (output / RECORD).exists() else ("--output", str(output))
            run = start((*options, *resume), variables)
            size = (output / RECORD).stat().st_size if (output / RECORD).exists() else 0
            # Counted from the first byte that the run writes: what comes before it cannot lose anything.
            while run.poll() is None and (not (output / RECORD).exists() or (output / RECORD).stat().st_size == size):
                time.sleep(0.005)
            time.sleep(chance.uniform(0.0, LATEST_KILL_S))
            if run.poll() is None:
                run.kill()
                struck += 1
            run.wait()
            found = answers(output)
            if found[: len(before)] != before:
                faults.append(f"session {session}: rows before and after a kill differ")
            # A case that was killed in the middle is asked again from its build on; one that was done is not.
            done = {
                case for case, _, _ in before if sum(case == each[0] for each in {each[:2] for each in before}) == 2
            }
            if any(each[0] in done for each in found[len(before) :]):
                faults.append(f"session {session}: a case that was done was asked again")
            before = found
            if run.returncode == 0:
                break
        wrong = [each for each in before if each[2] != "passed"]
        complete = len({each[:2] for each in before}) == KILLED_ROWS or struck >= kills
        if wrong or not complete:
            faults.append(f"session {session}: {len(before)} rows, not passed: {wrong}")
        print(f"session {session}: {len(before)} rows, {struck} kills so far", flush=True)
    return struck, faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bar: 0 where it is passed, 1 where it is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="(100)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills (0)")
    parser.add_argument("--misdeeds", default=",".join(MISDEEDS), help="which of them, separated by commas (all)")
    asked = parser.parse_args(arguments)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for how in filter(None, asked.misdeeds.split(",")):
            begin = time.perf_counter()
            fault = misdeed(how, Path(folder) / how.replace(" ", "-"))
            failed |= bool(fault)
            print(
                f"{how:12} {'FAILED: ' + fault if fault else 'passed'} ({time.perf_counter() - begin:.0f} s)",
                flush=True,
            )
        if asked.kills:
            struck, faults = killed_again_and_again(asked.kills, asked.seed, Path(folder) / "killed")
            failed |= bool(faults)
            print(f"{struck} kills: {'FAILED: ' + json.dumps(faults) if faults else 'nothing lost, nothing repeated'}")
    print("FAILED" if failed else "passed")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
