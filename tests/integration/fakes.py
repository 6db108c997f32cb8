# keeprolling - a supervisor with fake workers
# SPDX-License-Identifier: LGPL-2.1-or-later
"""For the tests in which it matters which process lives when, not media."""

import os
import pathlib

from support import SOURCE, check, size

FAKE = SOURCE / 'tests' / 'support' / 'fake_worker.py'
RECORD = '[Pipeline record]\nLaunch = fakesrc ! fakesink\n{more}\n[Health]\nIntervalSec = 1s\n' \
         'Threshold = 3\nStartupGraceSec = 2s\n{health}\n[Handover]\nTimeoutReadySec = 10s\n' \
         '[Alerts]\n{alerts}\n'


class Log:
    """What the workers of one file went through."""

    def __init__(self, t, name):
        self.path = t.dir / f'{name}.log'

    def rows(self):
        if not self.path.exists():
            return []
        rows = [row.split(' ', 2) for row in self.path.read_text().splitlines()]
        return [(int(pid), float(at), word) for pid, at, word in rows]

    def starts(self):
        return [row for row in self.rows() if row[2].startswith('start')]

    def words(self, pid):
        return [word for its, _, word in self.rows() if its == pid]


def write_file(t, name='cam', plan='', more='', health='', alerts=''):
    path = t.dir / f'{name}.pipeline'
    path.write_text(RECORD.format(more=more, health=health, alerts=alerts))
    (t.dir / f'{name}.plan').write_text(plan)
    return path


def start(t, *files, **options):
    return t.run_pipeline(*files, KEEPROLLING_WORKER=FAKE, KR_FAKE_DIR=t.dir, **options)


def alive(pid):
    try:
        os.kill(pid, 0)
        return pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except (ProcessLookupError, FileNotFoundError):
        return False


def records(t, name, n):
    """Pid of the n-th worker (from 1) once it writes."""
    log = Log(t, name)
    pid = t.wait(lambda: len(log.starts()) >= n and log.starts()[n - 1][0],
                 f'worker {n} of {name} starts', limit=60)
    t.wait(lambda: list(t.dir.glob(f'{name}-*.recording.ts')), f'worker {n} of {name} writes')
    return pid


def recording_files(t, name='cam'):
    return sorted(path.name for path in t.dir.glob(f'{name}-*.recording.ts'))


def grows(t, name):
    """A worker writes. What a killed one left behind may still lie beside its file."""
    seen = {}

    def has_grown():
        sizes = {file: size(t.dir / file) for file in recording_files(t, name)}
        return any(now > seen.setdefault(file, now) for file, now in sizes.items())

    t.wait(has_grown, f'{name} grows')


def final_files(t, name='cam'):
    return sorted(path.name for path in t.dir.glob(f'{name}-*.ts')
                  if '.recording.' not in path.name)


def stop(t, supervisor, code=0):
    got = supervisor.stop()
    check(got == code, f'ended with {got}, not {code}:\n{supervisor.output()}')
