"""The watch on a card, end to end with a stand-in for the driver's package; energy on a scripted clock."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from fixtures import ROOT
from fixtures.gpu import nvml
from fixtures.gpu.nvml import (
    LEAD_IN_SECONDS,
    Energy,
    GpuWatch,
    energy_counter,
    energy_per_image,
    now_s,
    open_watch,
    own_processes,
)
from fixtures.gpu.telemetry import Process, Sample, summarize

UUID = "GPU-6a7a0e14-0000-1111-2222-333344445555"
# The real package needs a driver; all that stands in is the answers. The driver is one before 535, of a card that
# tells no utilisation; while the file `hot` lies beside the module, the card is too hot.
FAKE_PYNVML = f"""
import os
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).parent
NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

class NVMLError(Exception):
    pass

def nvmlInit():
    if (HERE / "no-driver").exists():
        raise NVMLError("Driver Not Loaded")

def nvmlDeviceGetHandleByUUID(uuid):
    if uuid != "{UUID}":
        raise NVMLError("Not Found")
    return "card"

def refused(handle):
    raise NVMLError("Not Supported")

hot = (HERE / "hot").exists
nvmlDeviceGetName = lambda handle: "NVIDIA GeForce RTX 2080 Ti"
nvmlDeviceGetUUID = lambda handle: "{UUID}"
nvmlSystemGetDriverVersion = lambda: "470.82"
nvmlDeviceGetMaxClockInfo = lambda handle, kind: {{1: 2100, 2: 7000}}[kind]
nvmlDeviceGetClockInfo = lambda handle, kind: {{1: 1200 if hot() else 1800, 2: 6800}}[kind]
nvmlDeviceGetCurrentClocksEventReasons = refused
nvmlDeviceGetCurrentClocksThrottleReasons = lambda handle: 0x40 if hot() else 0
nvmlDeviceGetTemperature = lambda handle, sensor: 92 if hot() else 61
nvmlDeviceGetPowerUsage = lambda handle: 231500
nvmlDeviceGetTotalEnergyConsumption = lambda handle: 123456
nvmlDeviceGetMemoryInfo = lambda handle: SimpleNamespace(used=3 * 2**30)
nvmlDeviceGetUtilizationRates = refused
nvmlDeviceGetComputeRunningProcesses = lambda handle: [
    SimpleNamespace(pid=os.getppid(), usedGpuMemory=2**30), SimpleNamespace(pid=4242, usedGpuMemory=None)
]
# No nvmlDeviceGetEnforcedPowerLimit: an older package lacks functions altogether.
"""


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """The folder of the stand-in, which this process and its children import as pynvml."""
    (tmp_path / "pynvml.py").write_text(FAKE_PYNVML)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    monkeypatch.delitem(sys.modules, "fixtures.gpu.nvml_sampler", raising=False)
    yield tmp_path
    for name in ("pynvml", "fixtures.gpu.nvml_sampler"):
        sys.modules.pop(name, None)


def has_ended(pid: int) -> bool:
    """Whether the process ends in time; one that only waits to be reaped has ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def test_a_watch_gives_the_samples_of_each_window(driver):
    with GpuWatch(UUID, interval_ms=10) as watch:
        cool_start_s = now_s()
        time.sleep(0.3)
        cool_end_s = now_s()
        (driver / "hot").touch()
        time.sleep(0.1)
        hot_start_s = now_s()
        time.sleep(0.3)
        hot_end_s = now_s()
        assert watch.latest().temperature_c == 92
        watch.close()
        assert now_s() - hot_end_s < 2
        assert not psutil.pid_exists(watch.pid)

    cool = watch.between(cool_start_s, cool_end_s)
    assert 10 <= len(cool) <= 32
    assert all(cool_start_s <= each.time_s <= cool_end_s for each in cool)
    assert cool[0] == Sample(
        time_s=cool[0].time_s,
        sm_clock_mhz=1800,
        memory_clock_mhz=6800,
        reasons=0,
        temperature_c=61,
        power_w=231.5,
        memory_used_bytes=3 * 2**30,
        utilisation_percent=None,
        processes=(Process(os.getpid(), 2**30), Process(4242, None)),
        query_ms=cool[0].query_ms,
    )
    assert 0 < cool[0].query_ms < 100
    assert (watch.spec.name, watch.spec.uuid, watch.spec.driver) == ("NVIDIA GeForce RTX 2080 Ti", UUID, "470.82")
    assert (watch.spec.sm_clock_max_mhz, watch.spec.power_limit_w) == (2100, None)

    assert not summarize(cool, watch.spec, own_processes(), None).throttled
    state = summarize(watch.between(hot_start_s, hot_end_s), watch.spec, own_processes(), 2**30)
    assert state.throttled and state.reasons == {"HwThermalSlowdown": 1.0}
    assert state.sm_clock_share == pytest.approx(1200 / 2100)
    assert state.memory_peak_bytes == 2 * 2**30
    assert state.foreign == "1 process beside ours computed on the card: 4242"
    assert watch.between(hot_end_s + 1, hot_end_s + 2) == ()


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("end", ["kill", "kill, with the pipe still held by a fork"])
def test_the_child_ends_with_its_parent(end):
    fork = "import os; os.fork() or time.sleep(30)" if "fork" in end else ""
    code = f"""
import time
from fixtures.gpu.nvml import GpuWatch
watch = GpuWatch("{UUID}", interval_ms=10)
print(watch.pid, flush=True)
{fork}
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    try:
        pid = int(parent.stdout.readline())
        time.sleep(0.1)
        assert psutil.Process(pid).is_running()
        forks = [each for each in psutil.Process(parent.pid).children() if each.pid != pid]
        assert len(forks) == (1 if fork else 0)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
    ended = has_ended(pid)
    for each in forks:
        each.kill()
    assert ended


def test_without_a_card_there_is_a_reason_instead_of_a_watch(driver):
    assert open_watch("").result() == "no card is in use"
    reason = open_watch("GPU-another").result()
    assert reason == "NVML cannot watch the card GPU-another: Not Found"
    (driver / "no-driver").touch()
    assert open_watch(UUID).result() == f"NVML cannot watch the card {UUID}: Driver Not Loaded"


def test_without_the_package_the_reason_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(nvml, "find_spec", lambda _: None)
    assert open_watch(UUID).result() == "nvidia-ml-py is not installed (pip install nvidia-ml-py)"
    assert energy_counter(UUID) is None


def test_a_package_that_breaks_is_a_reason(driver):
    (driver / "pynvml.py").write_text("raise OSError('libnvidia-ml.so.1 is for another machine')")
    assert open_watch(UUID).result() == "OSError: libnvidia-ml.so.1 is for another machine"


@pytest.mark.usefixtures("driver")
def test_a_watch_starts_while_its_caller_is_busy(monkeypatch):
    """Every case has one, and an engine to load before anything of it is asked."""
    waited = []
    monkeypatch.setattr(GpuWatch, "ready", lambda watch: waited.append(watch) or watch)
    pending = open_watch(UUID)
    assert not waited
    watch = pending.result()
    assert isinstance(watch, GpuWatch) and waited == [watch]
    assert pending.result() is watch and waited == [watch], "waited for once"
    watch.close()


def test_a_watch_that_nobody_asked_is_ended_without_waiting_for_its_first_sample(monkeypatch):
    """A driver that wakes slowly: its child has nothing to say yet, and half a minute to say it."""
    begun, popen = [], subprocess.Popen
    monkeypatch.setattr(GpuWatch, "ready", lambda _: pytest.fail("it was waited for"))
    silent = "import sys; sys.stdin.read()"

    def start(_, **options):
        begun.append(popen([sys.executable, "-c", silent], **options))
        return begun[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(nvml, "find_spec", lambda _: True)
    pending = open_watch(UUID)
    pending.close()
    pending.close()  # twice does no harm
    assert begun[0].poll() == 0


@pytest.mark.usefixtures("driver")
def test_an_open_watch_is_a_watch():
    watch = open_watch(UUID).result()
    assert isinstance(watch, GpuWatch)
    watch.close()
    watch.close()  # twice does no harm
    assert watch.latest().sm_clock_mhz == 1800


@pytest.mark.usefixtures("driver")
def test_ctrl_c_is_left_to_the_measurement():
    with GpuWatch(UUID, interval_ms=10) as watch:
        assert os.getsid(watch.pid) != os.getsid(0)


@pytest.mark.usefixtures("driver")
def test_the_energy_counter_is_asked_of_the_card():
    counter = energy_counter(UUID)
    assert counter is not None and counter() == 123456
    assert energy_counter("GPU-another") is None
    assert energy_counter("") is None


def test_our_threads_are_ours():
    assert {os.getpid(), *(thread.id for thread in psutil.Process().threads())} <= own_processes()


class Bench:
    """A card that needs 10 ms a call and 200 W, and a clock that moves only when it works."""

    def __init__(self, counter_step_s: float = 0.0) -> None:
        self.calls_done = 0
        self.calls: list[int] = []
        self._counter_step_s = counter_step_s

    def call(self, number: int) -> None:
        self.calls.append(number)

    def synchronize(self) -> None:
        self.calls_done = len(self.calls)

    def clock(self) -> float:
        return 1000 + self.calls_done / 100

    def counter_mj(self) -> int:
        seen_s = self.clock()
        if self._counter_step_s:
            seen_s -= seen_s % self._counter_step_s
        return round(200_000 * seen_s)

    def energy(self, with_counter: bool = True, power_w: float | None = 199.0) -> Energy | None:
        def between(start_s: float, end_s: float) -> list[Sample]:
            assert 1000.0 + LEAD_IN_SECONDS <= start_s < end_s == self.clock()
            return [Sample(start_s, None, None, None, None, power_w, None, None, None, 1.0)]

        return energy_per_image(
            self.call,
            self.synchronize,
            8,
            self.counter_mj if with_counter else None,
            between,
            clock=self.clock,
        )


def test_energy_is_the_difference_of_the_counter_over_the_images():
    bench = Bench()
    energy = bench.energy()
    assert energy is not None
    # 200 W × 10 ms for 8 images.
    assert energy.joules_per_image == pytest.approx(200 * 0.010 / 8, rel=1e-3)
    assert energy.mean_power_w == pytest.approx(200, rel=1e-3)
    assert energy.seconds >= 5.0
    assert energy.source == "NVML energy counter"
    # What worked before the first reading is not counted; each call has the next number.
    lead_in = round(LEAD_IN_SECONDS / 0.010)
    assert energy.images == 8 * (len(bench.calls) - lead_in)
    assert bench.calls == list(range(len(bench.calls)))


def test_a_counter_that_moves_ten_times_a_second_costs_two_percent_at_most():
    energy = Bench(counter_step_s=0.1).energy()
    assert energy is not None
    assert energy.mean_power_w == pytest.approx(200, rel=0.02)


def test_without_a_counter_energy_is_mean_power_times_time_and_says_so():
    energy = Bench().energy(with_counter=False)
    assert energy is not None
    assert energy.joules_per_image == pytest.approx(199 * 0.010 / 8, rel=1e-3)
    assert energy.source == "mean of NVML power samples × time"


def test_a_card_that_tells_neither_has_no_energy():
    assert Bench().energy(with_counter=False, power_w=None) is None
