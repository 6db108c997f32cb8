#!/usr/bin/env python3
# keeprolling - runs tests many times, to find the one run in 200 that fails
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tests/repeat.py [--times N] [--jobs N] [--load N] [NAME | SUITE]...

Runs each test of a build folder N times, in rounds of a random order, as `meson test` would. A run
fails by its status, by a test that is "not ok", by its time limit, and by what it leaves behind: a
process, a file in its temporary folder. A failed run keeps its output, and the backtrace of a core
dump or, where it hung, of every process; where, is printed. --load N keeps N processors busy
meanwhile. Ends with 1 if a run failed, with a table of all."""

import argparse
import contextlib
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

MARK = 'KR_REPEAT_RUN'


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', help='tests or suites; all of them by default')
    parser.add_argument('--build', default='build', help='the build folder')
    parser.add_argument('--times', type=int, default=200)
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--load', type=int, default=0, help='processes that keep a core busy')
    parser.add_argument('--seconds', type=float, default=float('inf'),
                        help='begin no run after this time')
    parser.add_argument('--output', help='folder for the failed runs')
    parser.add_argument('--stop', action='store_true', help='stop at the first failure')
    return parser.parse_args()


def chosen_tests(build, names):
    answer = subprocess.run(['meson', 'introspect', '--tests', build], check=True,
                            capture_output=True, text=True).stdout
    for test in json.loads(answer):
        suites = [suite.partition(':')[2] for suite in test['suite']]
        if test['name'] == 'registry':
            subprocess.run(test['cmd'], env=environment(test), check=True, capture_output=True)
        elif not names or test['name'] in names or set(suites) & set(names):
            yield test


def environment(test, **extra):
    env = {**os.environ, **test['env'], **extra}
    for name in ('PATH', 'LD_LIBRARY_PATH'):
        parts = [test['env'].get(name), os.environ.get(name)]
        env[name] = ':'.join(part for part in parts if part)
    return env


# --- what is left ---------------------------------------------------------------------------

def marked_processes(mark):
    """(pid, command) of those that inherited the mark of a run."""
    wanted = f'{MARK}={mark}'.encode()
    for path in pathlib.Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):
            if wanted in (path / 'environ').read_bytes().split(b'\0'):
                words = (path / 'cmdline').read_bytes().replace(b'\0', b' ').decode(errors='replace')
                if words:                               # a zombie has none
                    yield int(path.name), words.strip()


def leftovers(mark, folder):
    """What a run should have taken away. A process that was killed needs a moment to be gone."""
    for _ in range(100):
        processes = list(marked_processes(mark))
        if not processes:
            break
        time.sleep(0.02)
    found = [f'process {pid}: {words}' for pid, words in processes]
    for pid, _ in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found + [f'file {path}' for path in sorted(folder.iterdir())]


def backtrace(*words):
    if not shutil.which('gdb'):
        return 'no gdb here to show a backtrace\n'
    done = subprocess.run(['gdb', '-q', '-batch', '-ex', 'set pagination off', '-ex',
                           'thread apply all bt', *map(str, words)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors='replace', check=False)
    return done.stdout


# --- one run --------------------------------------------------------------------------------

class Run:
    def __init__(self, test, number, parent):
        self.test, self.number = test, number
        self.mark = f"{os.getpid()}-{test['name']}-{number}"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{test['name']}-{number}-", dir=parent))
        # Not in there: the path of a socket has 107 bytes.
        self.temp = pathlib.Path(tempfile.mkdtemp(prefix='krr-'))
        self.log = self.folder / 'output'
        self.problems = []

    def __call__(self):
        self.temp.chmod(0o755)                          # a test may become another user
        began = time.monotonic()
        scale = float(os.environ.get('KR_TEST_TIMEOUT_SCALE', '1'))
        with open(self.log, 'wb') as out:
            process = subprocess.Popen(
                self.test['cmd'], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                cwd=self.folder, start_new_session=True,
                env=environment(self.test, TMPDIR=str(self.temp), **{MARK: self.mark}))
            try:
                process.wait(timeout=self.test['timeout'] * scale)
            except subprocess.TimeoutExpired:
                self.hangs(process)
        self.seconds = time.monotonic() - began
        if process.returncode:
            self.problems.append(f'ended with {process.returncode}')
        self.problems += [line for line in self.log.read_text(errors='replace').splitlines()
                          if line.startswith(('not ok', 'Bail out'))]
        self.problems += leftovers(self.mark, self.temp)
        self.close()
        return self

    def hangs(self, process):
        self.problems.append('hangs')
        with open(self.folder / 'backtraces', 'w') as out:
            for pid, words in marked_processes(self.mark):
                out.write(f'--- {pid} {words}\n{backtrace("-p", pid)}\n')
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self):
        if not self.problems:
            shutil.rmtree(self.folder, ignore_errors=True)
            shutil.rmtree(self.temp, ignore_errors=True)
            return
        for core in [*self.folder.rglob('core*'), *self.temp.rglob('core*')]:
            program = self.test['cmd'][0]
            with open(self.folder / 'backtraces', 'a') as out:
                out.write(f'--- {core}\n{backtrace(program, core)}\n')


# --- all of them ----------------------------------------------------------------------------

class Runs:
    """Shares out the runs to some threads, each of which waits for one process."""

    def __init__(self, tests, options):
        self.options = options
        self.parent = pathlib.Path(options.output or tempfile.mkdtemp(prefix='kr-repeat-'))
        self.parent.mkdir(parents=True, exist_ok=True)
        self.end = time.monotonic() + options.seconds
        self.lock = threading.Lock()
        self.queue = self.in_rounds(tests, options.times)
        self.done = {test['name']: [] for test in tests}
        self.failed = 0

    @staticmethod
    def in_rounds(tests, times):
        for number in range(times):
            for test in random.sample(tests, len(tests)):
                yield test, number

    def work(self):
        while True:
            with self.lock:
                test, number = next(self.queue, (None, 0))
                stop = self.options.stop and self.failed
            if test is None or stop or time.monotonic() > self.end:
                return
            run = Run(test, number, self.parent)()
            with self.lock:
                self.done[test['name']].append(run)
                if run.problems:
                    self.failed += 1
                    print(f"{test['name']} run {number} after {run.seconds:.1f} s: "
                          f"{'; '.join(run.problems)}\n  {run.folder}", flush=True)

    def go(self):
        threads = [threading.Thread(target=self.work) for _ in range(self.options.jobs)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            print('interrupted: the runs under way are the last', flush=True)
            self.end = 0
            for thread in threads:
                thread.join()

    def table(self):
        print(f"{'test':28} {'runs':>5} {'failed':>6} {'median':>8} {'longest':>8}")
        for name, runs in self.done.items():
            if not runs:
                continue
            times = sorted(run.seconds for run in runs)
            failed = sum(bool(run.problems) for run in runs)
            print(f'{name:28} {len(runs):5} {failed:6} {times[len(times) // 2]:6.2f} s '
                  f'{times[-1]:6.2f} s')


@contextlib.contextmanager
def busy(count):
    spinners = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinners:
            process.kill()
            process.wait()


def on_interrupt(number, frame):
    raise KeyboardInterrupt


def main():
    # Where a shell runs it in the background, SIGINT is ignored.
    signal.signal(signal.SIGINT, on_interrupt)
    signal.signal(signal.SIGTERM, on_interrupt)
    options = arguments()
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    tests = list(chosen_tests(options.build, options.names))
    if not tests:
        sys.exit(f"no test or suite of {options.build} is named {' or '.join(options.names)}")
    runs = Runs(tests, options)
    with busy(options.load):
        runs.go()
    runs.table()
    sys.exit(1 if runs.failed else 0)


if __name__ == '__main__':
    main()
