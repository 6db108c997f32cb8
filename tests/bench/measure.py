# keeprolling - runs commands and reads what they cost
# SPDX-License-Identifier: LGPL-2.1-or-later
"""CPU is user plus system time. Times are seconds, sizes bytes."""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time


@dataclasses.dataclass
class Cost:
    cpu: float = 0.0
    wall: float = 0.0
    rss: int = 0
    write_calls: int | None = None
    bytes: int = 0


class Unavailable(Exception):
    """A variant needs something that is not built or not installed."""


def run(command, env, cwd):
    """The cost of a whole process, its start included."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=subprocess.STDOUT)
        # Not ru_maxrss: it remembers what this interpreter was before the exec.
        peak = 0
        ended = (0, 0, None)
        while ended[0] == 0:
            peak = max(peak, peak_rss_of(child.pid))
            time.sleep(0.02)
            ended = os.wait4(child.pid, os.WNOHANG)
        _, status, usage = ended
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - started
        if child.returncode != 0:
            log.seek(0)
            raise RuntimeError(f"{' '.join(command)}: exit {child.returncode}\n"
                               + log.read().decode(errors="replace")[-2000:])
    return Cost(cpu=usage.ru_utime + usage.ru_stime, wall=wall, rss=peak)


def run_reporting(command, env, cwd):
    """The cost that a program reports about its own work, as bench-push does."""
    done = subprocess.run(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    report = json.loads(done.stdout.splitlines()[-1])
    return Cost(cpu=report["cpu"], wall=report["wall"], rss=report["rss_kib"] * 1024,
                write_calls=report["write_calls"], bytes=report["bytes"])


def cpu_of(pid):
    """CPU time of another process so far, threads that have ended included."""
    # CLOCK_PROCESS_CPUTIME_ID of a pid, as clock_getcpuclockid() makes it on Linux.
    return time.clock_gettime((~pid << 3) | 2)


def pss_of(pid):
    """Memory in bytes, what processes share counted in parts: the fair measure of many."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def rss_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def peak_rss_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [int(child) for child in children.read().split()]


@contextlib.contextmanager
def process(command, env, cwd, stop=signal.SIGINT):
    """A process that runs as long as the block does. It ends by itself or is made to."""
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=subprocess.STDOUT)
        child.log = log
        try:
            yield child
        finally:
            if child.poll() is None:
                child.send_signal(stop)
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()


def log_of(child):
    child.log.seek(0)
    return child.log.read().decode(errors="replace")[-2000:]


def wait_for(condition, what, seconds=60, child=None):
    """Waits for a condition; a guard against hangs, not a measure."""
    end = time.monotonic() + seconds
    while not condition():
        if child is not None and child.poll() is not None:
            raise RuntimeError(f"ended before {what}:\n{log_of(child)}")
        if time.monotonic() > end:
            raise RuntimeError(f"not within {seconds} s: {what}"
                               + (f"\n{log_of(child)}" if child is not None else ""))
        time.sleep(0.05)


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def folder_size(folder):
    return sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())


def interleave(variants, rounds, progress):
    """Runs every variant once per round: A B A B. Returns {name: [Cost...]}; a variant that is
    not available has the reason in the place of its costs."""
    costs = {}
    for turn in range(rounds):
        for name, measure in variants:
            if isinstance(costs.get(name), str):
                continue
            progress(f"round {turn + 1}/{rounds}: {name}")
            try:
                costs.setdefault(name, []).append(measure())
            except Unavailable as reason:
                costs[name] = str(reason)
    return costs


def spread(values):
    return statistics.median(values), min(values), max(values)


def ratios(costs, base, value):
    """Median and spread of the ratio within each round."""
    return spread([value(a) / value(b) for a, b in zip(costs, base) if value(b) > 0])
