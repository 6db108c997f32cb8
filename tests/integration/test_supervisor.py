#!/usr/bin/env python3
# keeprolling - layer 2 against workers that crash, hang, lie and linger
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real supervisor with the test double of tests/support/fake_worker.py as its workers: what
matters here is which process lives when, not media."""

import json
import os
import pathlib
import signal
import stat
import subprocess
import time

from fakes import (Log, alive, final_files, recording_files, records, start, stop,
                   write_file)
from support import KEEPROLLING, LONG, check, run, test


def pipeline(t):
    """What the status says of the one pipeline."""
    done = subprocess.run([KEEPROLLING, 'status', '--json', f'--runtime-dir={t.dir / "runtime"}'],
                          capture_output=True, text=True, check=False)
    return json.loads(done.stdout)['pipelines'][0]      # it exits with 1 in case of trouble


def gaps(t):
    return pipeline(t)['gaps_24h']


@test
def stops_in_good_order(t):
    supervisor = start(t, write_file(t))
    pid = records(t, 'cam', 1)
    stop(t, supervisor)
    check(Log(t, 'cam').words(pid) == ['start ok', 'stop', 'finish'], Log(t, 'cam').rows())
    check(not recording_files(t) and len(final_files(t)) == 1, 'the file is finished')
    check(not alive(pid), 'the worker is gone')


@test
def second_signal_forces(t):
    supervisor = start(t, write_file(t, plan='deaf'))
    pid = records(t, 'cam', 1)
    began = time.monotonic()
    supervisor.send(signal.SIGINT)
    t.wait(lambda: 'stop' in Log(t, 'cam').words(pid), 'the worker is told to stop')
    supervisor.send(signal.SIGINT)
    code = supervisor.wait()
    check(code == 75, f'ended with {code}, not 75: a file was not finished in time')
    check(time.monotonic() - began < 15, 'well before TimeoutStopSec')
    check(not alive(pid), 'the worker is gone')
    check('sigint' not in Log(t, 'cam').words(pid), 'Ctrl-C is for the supervisor alone')
    check(recording_files(t) or list(t.dir.glob('cam-*.ts')), 'what was recorded is still there')


@test
def deadline_forces(t):
    supervisor = start(t, write_file(t, plan='deaf', more='TimeoutStopSec = 1s'))
    pid = records(t, 'cam', 1)
    code = supervisor.stop()
    check(code == 75, f'ended with {code}, not 75')
    check(not alive(pid), 'the worker is gone')


@test
def crash_is_restarted_at_once(t):
    supervisor = start(t, write_file(t, plan='ok ok'))
    pid = records(t, 'cam', 1)
    t.wait(lambda: 'records again' not in supervisor.output() and recording_files(t), 'first file')
    # Let it become ready: the second one then starts without delay.
    time.sleep(0.5)
    died = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    log = Log(t, 'cam')
    t.wait(lambda: len(log.starts()) == 2, 'a second worker')
    t.note(f'new worker after {log.starts()[1][1] - died:.2f} s')
    t.wait(lambda: 'records again' in supervisor.output(), 'the recovery is told')
    # The old file gets out of the way of the new one.
    t.wait(lambda: len(recording_files(t)) == 1, 'the leftover is dealt with')
    stop(t, supervisor)
    text = supervisor.output()
    check('killed by signal 9' in text and 'the next one starts now' in text, text)


@test(limit=120)
def crashes_in_a_row_back_off(t):
    # none has recorded: at once, 1 s, 2 s, 4 s; the rest of the row is core's own test
    n = 12 if LONG else 5
    supervisor = start(t, write_file(t, plan='stillborn:0.3 ' * n))
    log = Log(t, 'cam')
    t.wait(lambda: len(log.starts()) == n + 1, f'{n + 1} starts', limit=1500 if LONG else 90)
    crashes = [at for _, at, word in log.rows() if word == 'crash']
    starts = [at for _, at, _ in log.starts()][1:]
    delays = [start - crash for crash, start in zip(crashes, starts)]
    t.note('delays: ' + ' '.join(f'{delay:.2f}' for delay in delays))
    for i, delay in enumerate(delays):
        wanted = 0 if i == 0 else min(2 ** (i - 1), 300)
        check(delay >= wanted - 0.05, f'delay {i} is {delay:.2f} s, not {wanted} s')
    records(t, 'cam', n + 1)
    stop(t, supervisor)


@test(limit=120)
def killed_twelve_times(t):
    """Each of them recorded: none waits, except that there is one start in a second at most."""
    supervisor = start(t, write_file(t))
    log = Log(t, 'cam')
    n = 12
    killed = []
    for i in range(n):
        pid = records(t, 'cam', i + 1)
        # Whoever has never reported leaves a file that only its successor can find.
        t.wait(lambda: i or pipeline(t)['segment']['path'], 'its file is known')
        t.wait(lambda: supervisor.output().count('records again') >= i, 'that is known')
        killed.append(time.monotonic())
        os.kill(pid, signal.SIGKILL)
    records(t, 'cam', n + 1)
    delays = [at - died for (_, at, _), died in zip(log.starts()[1:], killed)]
    t.note('delays: ' + ' '.join(f'{delay:.2f}' for delay in delays))
    stop(t, supervisor)
    text = supervisor.output()
    check('starts in 2 s' not in text and 'starts in 4 s' not in text, text)
    check(not recording_files(t), f'all have their final names: {recording_files(t)}')


@test(limit=180)
def restart_storm(t):
    """Each of them records for a second and dies. People see it, and it slows down."""
    n = 15
    path = write_file(t, plan='crash:1 ' * n)
    path.write_text(path.read_text().replace('IntervalSec = 1s', 'IntervalSec = 10s'))
    supervisor = start(t, path)
    log = Log(t, 'cam')

    def words(number, word):
        t.wait(lambda: len(log.starts()) == number, f'{number} starts', limit=120)
        t.wait(lambda: pipeline(t)['status'] == word, f'{word} at start {number}')
        return pipeline(t)['checks']['state']['reason']

    reason = words(5, 'warn')
    check('workers in a row died soon after they began to record' in reason, reason)
    reason = words(n, 'fail')
    check(reason.startswith('restart storm: 1'), reason)
    records(t, 'cam', n + 1)
    t.wait(lambda: pipeline(t)['data']['written_bytes'] and len(log.starts()) == n + 1, 'it records again')
    check(pipeline(t)['status'] == 'fail', 'no green light after a storm before a minute has passed')
    crashes = [at for _, at, word in log.rows() if word == 'crash']
    delays = [at - died for (_, at, _), died in zip(log.starts()[1:], crashes)]
    t.note('delays: ' + ' '.join(f'{delay:.2f}' for delay in delays))
    for delay, wanted in zip(delays[12:], (2, 4, 5)):
        check(delay >= wanted - 0.05, f'{delay:.2f} s, not {wanted} s')
    stop(t, supervisor)


def hang(t, plan, word):
    supervisor = start(t, write_file(t, plan=plan))
    pid = records(t, 'cam', 1)
    log = Log(t, 'cam')
    t.wait(lambda: len(log.starts()) == 2, 'a second worker', limit=60)
    t.wait(lambda: not alive(pid), 'the first is gone')
    t.note(f'replaced after {log.starts()[1][1] - log.starts()[0][1]:.1f} s')
    t.wait(lambda: word in supervisor.output(), f'the log says: {word}')
    t.wait(lambda: 'records again' in supervisor.output(), 'it records again')
    stop(t, supervisor)


@test
def silent_worker_is_killed(t):
    hang(t, 'silent ok', 'the worker hangs (no report for')


@test
def silent_worker_that_writes_is_replaced_beside(t):
    hang(t, 'silent-writing ok', 'beside the old one')


@test
def garbled_worker_is_replaced(t):
    hang(t, 'garbled ok', 'makes no sense')


@test
def flooding_worker_disturbs_nobody(t):
    quiet = write_file(t, name='quiet')
    flood = write_file(t, name='flood', plan='flood ok')
    supervisor = start(t, quiet, flood)
    records(t, 'quiet', 1)
    records(t, 'flood', 2)
    check(len(Log(t, 'quiet').starts()) == 1, 'the other worker is the same')
    stop(t, supervisor)


@test
def stopped_process_is_killed(t):
    supervisor = start(t, write_file(t))
    pid = records(t, 'cam', 1)
    time.sleep(0.5)
    os.kill(pid, signal.SIGSTOP)
    records(t, 'cam', 2)
    t.wait(lambda: not alive(pid), 'the stopped process is gone')
    t.wait(lambda: len(recording_files(t)) == 1, 'its file is dealt with')
    stop(t, supervisor)


@test
def late_reports_are_no_gaps(t):
    supervisor = start(t, write_file(t, plan='unsteady'))
    records(t, 'cam', 1)
    time.sleep(8)
    check(gaps(t)['count'] == 0, gaps(t))
    stop(t, supervisor)


@test
def gap_of_a_stopped_process_counts(t):
    supervisor = start(t, write_file(t))
    pid = records(t, 'cam', 1)
    time.sleep(1.5)
    began = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    records(t, 'cam', 2)
    t.wait(lambda: Log(t, 'cam').starts()[1:] and recording_files(t), 'the next one writes')
    lost = Log(t, 'cam').starts()[1][1] - began
    t.wait(lambda: gaps(t)['count'] == 1, 'the gap is counted')
    check(lost - 1 < gaps(t)['seconds'], f'{lost:.1f} s were lost, and {gaps(t)} counted')
    stop(t, supervisor)


@test
def worker_without_a_word_is_killed(t):
    supervisor = start(t, write_file(t, plan='no-hello ok'))
    log = Log(t, 'cam')
    t.wait(lambda: len(log.starts()) == 2, 'a second worker', limit=60)
    records(t, 'cam', 2)
    stop(t, supervisor)


@test
def stalled_worker_is_replaced(t):
    supervisor = start(t, write_file(t, plan='stalled ok'))
    log = Log(t, 'cam')
    t.wait(lambda: len(log.starts()) == 2, 'a second worker', limit=60)
    records(t, 'cam', 2)
    check('finish' in log.words(log.starts()[0][0]), 'the first was asked, not killed')
    text = supervisor.output()
    check('record: not growing (no-growth)' in text, text)
    stop(t, supervisor)


@test
def absent_source_is_left_alone(t):
    supervisor = start(t, write_file(t, plan='absent'))
    log = Log(t, 'cam')
    t.wait(log.starts, 'the worker starts')
    time.sleep(8)   # more than grace + Threshold x IntervalSec
    check(len(log.starts()) == 1, 'the worker is the same')
    stop(t, supervisor)


@test
def failed_pipeline_is_taken_over_at_once(t):
    supervisor = start(t, write_file(t, plan='failed ok'))
    log = Log(t, 'cam')
    t.wait(lambda: len(log.starts()) == 2, 'a second worker', limit=60)
    t.note(f'replaced after {log.starts()[1][1] - log.starts()[0][1]:.1f} s')
    check('10 errors within 60 s' in supervisor.output(), 'the reason is named')
    stop(t, supervisor)


@test
def hungry_worker_is_replaced_without_a_gap(t):
    supervisor = start(t, write_file(t, plan='hungry:150 ok', health='MemoryMax = 100M'))
    pid = records(t, 'cam', 1)
    log = Log(t, 'cam')
    t.wait(lambda: len(log.starts()) == 2, 'a second worker', limit=60)
    t.wait(lambda: not alive(pid), 'the first is gone')
    finished = next(at for its, at, word in log.rows() if its == pid and word == 'stop')
    check(finished > log.starts()[1][1], 'the old one recorded until the new one did')
    check('memory, over the limit' in supervisor.output(), supervisor.output())
    stop(t, supervisor)
    check(len(final_files(t)) == 2 and not recording_files(t), 'both files are finished')


@test
def replacement_that_never_records_is_ended(t):
    supervisor = start(t, write_file(t, plan='failed late:3600 ok', health=''))
    log = Log(t, 'cam')
    t.wait(lambda: len(log.starts()) == 2, 'a second worker', limit=60)
    stop(t, supervisor)


@test
def lies_change_nothing(t):
    supervisor = start(t, write_file(t, plan='lies'))
    records(t, 'cam', 1)
    time.sleep(4)
    check(len(Log(t, 'cam').starts()) == 1, 'the worker is the same')
    stop(t, supervisor)


@test
def one_files_trouble_is_its_own(t):
    good = write_file(t, name='good')
    bad = write_file(t, name='bad', plan='crash:0.2 silent garbled exit:65')
    supervisor = start(t, good, bad)
    log = Log(t, 'bad')
    t.wait(lambda: 'starting it again cannot help' in supervisor.output(), 'bad gives up',
           limit=90)
    check(len(log.starts()) == 4, log.rows())
    pid = Log(t, 'good').starts()[0][0]
    check(len(Log(t, 'good').starts()) == 1 and alive(pid), 'good has the same worker')
    check(supervisor.running(), 'and the supervisor goes on')
    stop(t, supervisor)


@test
def exit_codes(t):
    for word, more, wanted in (('exit:65', '', 65), ('exit:66', '', 66), ('exit:78', '', 78),
                               ('exit:64', '', 64), ('exit:69', 'Restart = no', 69),
                               ('exit:0', 'Restart = no', 0), ('exit:0', 'Restart = on-failure', 0),
                               ('exit:74', 'Restart = no', 74)):
        name = f'cam-{word.replace(":", "")}-{more[-7:].strip(" =")}'
        supervisor = start(t, write_file(t, name=name, plan=word, more=more))
        code = supervisor.wait()
        check(code == wanted, f'{word} {more}: ended with {code}\n{supervisor.output()}')
        check(len(Log(t, name).starts()) == 1, 'it was not started again')


@test
def supervisor_killed(t):
    """kill -9 of the supervisor: the workers see the line end, finish their files and end."""
    supervisor = start(t, write_file(t, name='one'), write_file(t, name='two'))
    pids = [records(t, name, 1) for name in ('one', 'two')]
    os.kill(supervisor.pid, signal.SIGKILL)
    for name, pid in zip(('one', 'two'), pids):
        t.wait(lambda: not alive(pid), f'the worker of {name} ends')
        check(Log(t, name).words(pid) == ['start ok', 'eof', 'finish'], Log(t, name).rows())
        check(final_files(t, name) and not recording_files(t, name), 'the file is finished')


@test
def supervisor_paused(t):
    """The supervisor itself stood still: its workers' silence is held against nobody."""
    supervisor = start(t, write_file(t))
    pid = records(t, 'cam', 1)
    time.sleep(1.5)
    os.kill(supervisor.pid, signal.SIGSTOP)
    time.sleep(6)
    os.kill(supervisor.pid, signal.SIGCONT)
    t.wait(lambda: 'itself stood still' in supervisor.output(), 'it says so')
    time.sleep(2)
    check(alive(pid) and len(Log(t, 'cam').starts()) == 1, 'the worker is the same')
    stop(t, supervisor)


@test
def nothing_starts_when_anything_is_wrong(t):
    good = write_file(t, name='good')
    bad = t.dir / 'bad.pipeline'
    bad.write_text('[Pipeline x]\nLaunch = fakesrc ! nosuchelement\n')
    for files, wanted, words in (
            ((good, bad), 65, 'nosuchelement'),
            ((good, t.dir / 'missing.pipeline'), 66, 'missing.pipeline'),
            ((), 64, 'no pipeline file')):
        supervisor = start(t, *files)
        code = supervisor.wait()
        check(code == wanted, f'ended with {code}, not {wanted}\n{supervisor.output()}')
        check(words in supervisor.output(), supervisor.output())
        check(not Log(t, 'good').starts(), 'nothing was started')
    supervisor = start(t, good, set={'NOBODY_USES_THIS': '1'})
    check(supervisor.wait() == 78, supervisor.output())
    check(not Log(t, 'good').starts(), 'nothing was started')


@test
def two_files_of_one_name(t):
    """Log, status, metrics and alerts know a file by its name: two of them could not be told apart."""
    first = write_file(t)
    (t.dir / 'other').mkdir()
    second = t.dir / 'other' / first.name
    second.write_text(first.read_text())
    supervisor = start(t, first, second)
    check(supervisor.wait() == 78, supervisor.output())
    for word in ("two files are called 'cam'", str(first), str(second), 'rename one'):
        check(word in supervisor.output(), f'{word}: {supervisor.output()}')
    check(not Log(t, 'cam').starts(), 'nothing was started')


@test
def unreadable_file(t):
    good = write_file(t, name='good')
    if os.geteuid() == 0:
        # root reads everything; a folder in the place of the file is as unreadable
        bad = t.dir / 'bad.pipeline'
        bad.symlink_to(t.dir / 'loop')
        (t.dir / 'loop').symlink_to(bad)
    else:
        bad = write_file(t, name='bad')
        bad.chmod(0)
    supervisor = start(t, good, bad)
    check(supervisor.wait() == 66, supervisor.output())
    check(not Log(t, 'good').starts(), 'nothing was started')


@test
def folder_means_its_files(t):
    folder = t.dir / 'pipelines'
    folder.mkdir()
    for name in ('a', 'b'):
        (folder / f'{name}.pipeline').write_text(write_file(t, name=name).read_text())
    (folder / 'notes.txt').write_text('not a pipeline')
    supervisor = start(t, folder)
    records(t, 'a', 1)
    records(t, 'b', 1)
    stop(t, supervisor)


@test
def supervisor_keeps_clear_of_gstreamer(t):
    supervisor = start(t, write_file(t))
    records(t, 'cam', 1)
    maps = pathlib.Path(f'/proc/{supervisor.pid}/maps').read_text()
    plugins = [row for row in maps.splitlines() if '/gstreamer-1.0/' in row]
    check(not plugins, f'no plugin is loaded: {plugins[:3]}')
    threads = [pathlib.Path(path, 'comm').read_text().strip()
               for path in pathlib.Path(f'/proc/{supervisor.pid}/task').iterdir()]
    t.note(f'threads: {threads}')
    check(not [name for name in threads if 'gst' in name.lower()], threads)
    stop(t, supervisor)


@test
def secrets_stay_out(t):
    """Of the log, and of every command line, also that of the check."""
    path = t.dir / 'cam.pipeline'
    path.write_text('[Pipeline record]\nLaunch = srtsrc uri="srt://127.0.0.1:1?passphrase='
                    '${SECRET_ONE}" ! fakesink srtsrc uri="${URI}" ! fakesink\n')
    (t.dir / 'cam.plan').write_text('crash:0.2 ok')
    supervisor = start(t, path, SECRET_ONE='verysecretpassphrase',
                       set={'URI': 'srt://127.0.0.1:2?passphrase=alsoverysecret&pbkeylen=16'})
    seen = set()

    def look():
        for proc in pathlib.Path('/proc').iterdir():
            # what the user wrote is there until it has been read
            if proc.name.isdigit() and int(proc.name) != supervisor.pid:
                try:
                    if str(t.dir).encode() in (proc / 'environ').read_bytes():
                        seen.add((proc / 'cmdline').read_bytes())
                except OSError:
                    pass
        return len(Log(t, 'cam').starts()) == 2

    t.wait(look, 'a second worker')
    seen.add(pathlib.Path(f'/proc/{supervisor.pid}/cmdline').read_bytes())
    stop(t, supervisor)
    check(seen and not [words for words in seen if b'verysecret' in words], seen)
    check('verysecret' not in supervisor.output(), supervisor.output())


@test(limit=120)
def debug_log_has_no_secrets(t):
    """What people send to others who are to help them: GStreamer's own log, of check and worker."""
    path = t.dir / 'cam.pipeline'
    path.write_text('[Pipeline record]\nLaunch = srtsrc uri="srt://127.0.0.1:1?passphrase=verysecret1" '
                    'poll-timeout=1000 ! fakesink  srtsrc uri="srt://127.0.0.1:2" '
                    'passphrase="${SECRET}" streamid=verysecret3 poll-timeout=1000 ! fakesink\n')
    log = t.dir / 'debug.log'
    supervisor = t.run_pipeline(path, set={'SECRET': 'verysecret2000'}, GST_DEBUG_FILE=log,
                                GST_DEBUG='default:6,GST_PIPELINE:6,GST_PARAMS:6,srt*:6,uri*:6')
    t.wait(lambda: 'no data from' in supervisor.output(), 'it has tried', alive=[supervisor])
    stop(t, supervisor)
    text = log.read_text()
    check('passphrase=***' in text, text[-3000:])
    check('verysecret' not in text, [row for row in text.splitlines() if 'verysecret' in row][:5])
    check('verysecret' not in supervisor.output(), supervisor.output())


run()
