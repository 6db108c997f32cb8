#!/usr/bin/env python3
# keeprolling - the unit under a real systemd
# SPDX-License-Identifier: LGPL-2.1-or-later
"""By hand, as root: tests/systemd/test_unit.py [CASE...]. Installs ./build (or $KR_BUILD_DIR) on a
throw-away copy of this machine and boots it. Where that cannot be done, it fails."""

import json
import os
import sys
import time

from machine import CannotRun, Machine
from support import SrtFeed, check, clip, decode_errors, free_port, run, srt_server, test

RECORD = '''[Pipeline record]
Launch =
    {source}
  ! mpegtsregen wait-keyframe=true
  ! growthmonitorsink sink="atomicfilesink location={out}/{name}_{{instance}}_{{seq}}.ts"
SourceTimeoutSec = 1s
{more}
'''
UDP = 'udpsrc address=127.0.0.1 port={port} buffer-size=1000000'
STATE = 'var/lib/keeprolling'


class Unit:
    """keeprolling@NAME.pipeline, with what a drop-in adds."""

    def __init__(self, t, name, source, *, drop_in='', out='rec', more='', text=None):
        self.t, self.file, self.name = t, f'{name}.pipeline', f'keeprolling@{name}.pipeline.service'
        path = machine.root / 'etc/keeprolling' / self.file
        path.write_text(text or RECORD.format(source=source, out=out, name=name, more=more))
        folder = machine.root / 'etc/systemd/system' / f'{self.name}.d'
        folder.mkdir(parents=True)
        (folder / 'test.conf').write_text(
            f'[Service]\nEnvironment="KEEPROLLING_OPTIONS=--listen none"\n{drop_in}')
        ok(machine.run('systemctl', 'daemon-reload'))
        self.folder = machine.root / STATE / self.file
        t.units.append(self)

    def show(self, name):
        return machine.run('systemctl', 'show', '-P', name, self.name).stdout.strip()

    def main(self):
        """The supervisor's process id as the machine has it; 0 if there is none."""
        return int(self.show('MainPID'))

    def start(self, *options):
        return machine.run('systemctl', 'start', *options, self.name)

    def processes(self):
        """{process id: its command line} of all that run in the unit."""
        group = self.show('ControlGroup')
        found = {}
        for folder in (machine.root / 'proc').glob('[0-9]*'):
            try:
                groups = (folder / 'cgroup').read_text()
                words = (folder / 'cmdline').read_text().split('\0')
            except OSError:
                continue
            if any(line.endswith(group) for line in groups.splitlines()) and words[0]:
                found[int(folder.name)] = ' '.join(words)
        return found

    def workers(self):
        return [pid for pid, words in self.processes().items() if ' worker' in words]

    def journal(self):
        """What the unit and systemd about it said, as dictionaries."""
        out = machine.run('journalctl', '-o', 'json', '--no-pager', '-u', self.name).stdout
        return [json.loads(line) for line in out.splitlines()]

    def said(self, words):
        """The entries with @words in them."""
        return [entry for entry in self.journal() if words in str(entry.get('MESSAGE'))]

    def recording(self):
        return sorted(self.folder.rglob('*.recording.*'))

    def final(self):
        return sorted(path for path in self.folder.glob('rec/*') if '.recording.' not in path.name)

    def await_growth(self, n=1):
        """Until the n-th file is being written, and systemd knows."""
        self.t.wait(lambda: len(self.final()) + len(self.recording()) >= n and self.recording() and
                    self.recording()[-1].stat().st_size > 200_000, f'file {n} grows', limit=60)
        self.t.wait(lambda: self.show('ActiveState') == 'active', 'systemd hears of it', limit=30)

    def clean(self):
        machine.run('systemctl', 'kill', '-s', 'KILL', self.name)
        machine.run('systemctl', 'stop', self.name)


def ok(done):
    check(done.returncode == 0, f'{done.args[-3:]}: {done.returncode} {done.stdout}{done.stderr}')
    return done


def at(entry):
    return int(entry['__REALTIME_TIMESTAMP']) / 1e6


def case(limit=120):
    """A test whose units are gone afterwards; of a failed one the journal is shown."""
    def add(function):
        def wrapped(t):
            t.units = []
            try:
                function(t)
            except Exception:
                for unit in t.units:
                    print(machine.run('journalctl', '--no-pager', '-o', 'short-precise', '-u',
                                      unit.name).stdout.replace('\n', '\n# '))
                raise
            finally:
                for unit in t.units:
                    unit.clean()
        wrapped.__name__ = function.__name__
        return test(wrapped, limit=limit)
    return add


def feed(t, port):
    """An encoder that does not care who listens."""
    return t.spawn(['ffmpeg', '-v', 'error', '-nostdin', '-re', '-stream_loop', '-1', '-i', clip(),
                    '-c', 'copy', '-f', 'mpegts', '-flush_packets', '1',
                    f'udp://127.0.0.1:{port}?pkt_size=1316'], name='feed')


def fed(t, name, **words):
    """A unit that records."""
    port = free_port()
    feed(t, port)
    unit = Unit(t, name, UDP.format(port=port), **words)
    ok(unit.start())
    unit.await_growth()
    return unit


def is_whole(path):
    check(path.stat().st_size > 100_000, f'{path.name} has {path.stat().st_size} bytes')
    check(not decode_errors(path), f"{path.name}: {decode_errors(path)[:300]}")


def note_gap(t, unit, since):
    again = [at(entry) for entry in unit.said('recording into') if at(entry) > since]
    t.note(f'{again[0] - since:.2f} s without a recording')


@case(limit=180)
def ready_once_something_records(t):
    """Much later than TimeoutStartSec=, if the source is."""
    srt = SrtFeed(t, clip())
    unit = Unit(t, 'late', f'srtsrc uri="{srt.uri}" latency=200 poll-timeout=1000',
                drop_in='TimeoutStartSec=4\n')
    ok(unit.start('--no-block'))
    begin = time.monotonic()
    t.wait(lambda: 'source not there yet' in unit.show('StatusText'), 'it says why')
    t.wait(lambda: time.monotonic() - begin > 12, 'three times the limit passes', limit=60)
    check(unit.show('ActiveState') == 'activating', unit.show('ActiveState'))
    check(unit.show('StatusText') == 'recording 0 of 1; late: source not there yet',
          unit.show('StatusText'))
    srt.start()
    unit.await_growth()
    t.wait(lambda: unit.show('StatusText') == 'recording 1 of 1', 'it says that, too')
    check(unit.show('NRestarts') == '0', 'it was restarted')


@case()
def no_boot_waits_for_a_camera(t):
    unit = Unit(t, 'boot', UDP.format(port=free_port()))
    (machine.root / 'etc/systemd/system/camera.target').write_text('[Unit]\nDescription=Cameras\n')
    ok(machine.run('systemctl', 'add-wants', 'camera.target', unit.name))
    done = machine.run('systemctl', 'start', 'camera.target', timeout=30)
    check(done.returncode == 0, done.stderr)
    t.wait(lambda: unit.show('ActiveState') == 'activating', 'the unit is started with it')


@case()
def status_asks_through_the_socket(t):
    unit = fed(t, 'asked')
    out = ok(machine.run('keeprolling', 'status', '--json')).stdout
    files = [file['name'] for line in out.splitlines() for file in json.loads(line)['files']]
    check('asked' in files, out)
    check(ok(machine.run('keeprolling', 'status', 'asked')).stdout.count('asked') == 1, 'table')
    [socket] = (machine.root / 'run/keeprolling' / unit.file).glob('*.sock')
    check(socket.stat().st_mode & 0o777 == 0o600, f'{socket.stat().st_mode:o}')
    done = machine.run('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
                       'keeprolling', 'status', 'asked')
    check(done.returncode != 0 and 'recording' not in done.stdout, 'anybody may ask')


@case()
def a_crash_of_the_supervisor(t):
    unit = fed(t, 'crash')
    main, [before] = unit.main(), unit.recording()
    ok(machine.run('kill', '-KILL', main))
    killed = time.time()
    unit.await_growth(2)
    check(unit.main() not in (0, main), 'another supervisor')
    check(len(unit.workers()) == 1, f'{unit.processes()}')
    check([path.name for path in unit.final()] == [before.name.replace('.recording', '')], 'names')
    [complete] = unit.said('is complete')
    check('(eos)' in complete['MESSAGE'] and not unit.said('leftover'), 'its worker finished it')
    is_whole(unit.final()[0])
    check(unit.show('NRestarts') == '1', unit.show('NRestarts'))
    note_gap(t, unit, killed)


@case()
def a_supervisor_that_hangs(t):
    """It is recorded on until the watchdog bites."""
    unit = fed(t, 'hang', drop_in='WatchdogSec=6\n')
    main = unit.main()
    ok(machine.run('kill', '-STOP', main))
    size = unit.recording()[-1].stat().st_size
    t.wait(lambda: unit.recording()[-1].stat().st_size > size, 'the worker goes on')
    t.wait(lambda: unit.said('Watchdog timeout'), 'the watchdog bites', limit=60)
    bitten = at(unit.said('Watchdog timeout')[0])
    unit.await_growth(2)
    check(unit.main() not in (0, main) and len(unit.workers()) == 1, f'{unit.processes()}')
    [complete] = unit.said('is complete')
    check('(eos)' in complete['MESSAGE'] and not unit.said('leftover'), 'its worker finished it')
    is_whole(unit.final()[0])
    note_gap(t, unit, bitten)


@case()
def a_crash_of_a_worker(t):
    unit = fed(t, 'worker')
    main, [worker] = unit.main(), unit.workers()
    ok(machine.run('kill', '-KILL', worker))
    killed = time.time()
    unit.await_growth(2)
    check(unit.main() == main and unit.show('NRestarts') == '0', 'systemd has no part in it')
    t.wait(lambda: len(unit.final()) == 1, 'what it left behind is finalised')
    note_gap(t, unit, killed)


@case()
def stop_finishes_the_files(t):
    unit = fed(t, 'stop')
    begin = time.monotonic()
    ok(machine.run('systemctl', 'stop', unit.name))
    t.note(f'stopped after {time.monotonic() - begin:.2f} s')
    check(unit.show('Result') == 'success' and unit.show('ExecMainStatus') == '0', 'result')
    check(not unit.recording() and len(unit.final()) == 1, 'names')
    check('again' not in str([entry['MESSAGE'] for entry in unit.journal()]), 'one stop is one')
    is_whole(unit.final()[0])


@case()
def a_slow_stop_gets_its_time(t):
    """An end of stream that takes longer than TimeoutStopSec= of the unit."""
    text = ('[Pipeline slow]\nLaunch = videotestsrc is-live=true ! video/x-raw,framerate=50/1 '
            '! queue max-size-buffers=0 max-size-bytes=0 max-size-time=0 '
            '! identity sleep-time=40000 ! jpegenc ! matroskamux streamable=true '
            '! atomicfilesink location=rec/slow.mkv flush-interval=100000000\n'
            'TimeoutStopSec = 60s\n')
    unit = Unit(t, 'slow', None, text=text, drop_in='TimeoutStopSec=3\n')
    ok(unit.start())
    time.sleep(14)                  # half of it piles up in the queue
    begin = time.monotonic()
    ok(machine.run('systemctl', 'stop', unit.name))
    t.note(f'stopped after {time.monotonic() - begin:.1f} s')
    check(time.monotonic() - begin > 4, 'that was not slow')
    check(unit.show('Result') == 'success' and unit.show('ExecMainStatus') == '0',
          f'{unit.show("Result")} {unit.show("ExecMainStatus")}')
    check(not unit.recording() and len(unit.final()) == 1, 'names')


@case(limit=180)
def reload_takes_over_what_has_changed(t):
    uri = srt_server(t, clip())
    unit = Unit(t, 'reload', f'srtsrc uri="{uri}" latency=200 poll-timeout=1000')
    ok(unit.start())
    unit.await_growth()
    main, [old] = unit.main(), unit.workers()
    path = machine.root / 'etc/keeprolling' / unit.file
    good = path.read_text()
    path.write_text(good.replace('1s', '2s'))
    begin = time.monotonic()
    ok(machine.run('systemctl', 'reload', unit.name))
    t.note(f'reloaded after {time.monotonic() - begin:.1f} s')
    check(unit.main() == main and unit.show('NRestarts') == '0', 'the supervisor stays')
    t.wait(lambda: len(unit.final()) == 1 and len(unit.workers()) == 1, 'the old one is gone')
    [new] = unit.workers()
    check(new != old and unit.show('ActiveState') == 'active', unit.show('ActiveState'))

    path.write_text(good.replace('SourceTimeoutSec', 'SourceTimeout'))
    done = machine.run('systemctl', 'reload', unit.name)
    check(done.returncode != 0, 'a bad file is loaded')
    check(unit.workers() == [new] and unit.show('ActiveState') == 'active', 'the old one goes on')
    check(unit.said('SourceTimeout'), 'the journal says where the mistake is')
    size = unit.recording()[-1].stat().st_size
    t.wait(lambda: unit.recording()[-1].stat().st_size > size, 'it records on')

    path.write_text(good)
    ok(machine.run('systemctl', 'kill', '--kill-whom=main', '-s', 'HUP', unit.name))
    t.wait(lambda: len(unit.final()) == 2 and len(unit.workers()) == 1, 'SIGHUP does it, too',
           limit=60)
    t.wait(lambda: unit.show('ActiveState') == 'active', 'systemd hears of the end')


@case(limit=180)
def reload_takes_over_a_new_program(t):
    """Within the sandbox, the watchdog and all: the supervisor executes the program that an update
    has put in its place."""
    uri = srt_server(t, clip())
    unit = Unit(t, 'update', f'srtsrc uri="{uri}" latency=200 poll-timeout=1000',
                drop_in='WatchdogSec=4\n')
    ok(unit.start())
    unit.await_growth()
    main, [old] = unit.main(), unit.workers()
    program = machine.root / os.readlink(machine.root / f'proc/{main}/exe').lstrip('/')
    new = program.with_suffix('.new')
    new.write_bytes(program.read_bytes())
    new.chmod(0o755)
    new.rename(program)
    ok(machine.run('systemctl', 'reload', unit.name))
    check(unit.main() == main and unit.show('NRestarts') == '0', 'the process is the same')
    check('(deleted)' not in os.readlink(machine.root / f'proc/{main}/exe'), 'the program is not')
    check(unit.said('goes on as version'), 'the journal says so')
    t.wait(lambda: len(unit.final()) == 1 and len(unit.workers()) == 1, 'the old worker is gone')
    check(unit.workers() != [old], 'a new one has taken over')
    time.sleep(6)
    check(unit.show('ActiveState') == 'active' and unit.main() == main, 'the watchdog is served')


@case()
def a_bad_file_is_not_tried_again(t):
    unit = Unit(t, 'bad', None, text='[Pipeline x]\nLaunch = srtsrc urii=3 ! fakesink\n')
    check(unit.start().returncode != 0, 'it started')
    check(unit.show('ExecMainStatus') == '65', unit.show('ExecMainStatus'))
    time.sleep(3)                   # RestartSec=2
    check(unit.show('ActiveState') == 'failed' and unit.show('NRestarts') == '0', 'tried again')
    check('a pipeline file is wrong' in unit.show('StatusText'), unit.show('StatusText'))
    [mistake] = unit.said("no property 'urii'")
    check(mistake['PRIORITY'] == '4', f'priority {mistake["PRIORITY"]}')


@case()
def the_journal_has_fields(t):
    unit = fed(t, 'fields')
    [entry] = unit.said('recording into')
    check(entry['_TRANSPORT'] == 'journal' and entry['PRIORITY'] == '5', entry)
    check((entry['KEEPROLLING_FILE'], entry['KEEPROLLING_PIPELINE']) == ('fields', 'record'), entry)
    check(entry['MESSAGE'].startswith('fields/record: recording into rec/'), entry['MESSAGE'])
    ours = [entry for entry in unit.journal() if entry.get('_COMM') == 'keeprolling']
    check(ours and all('GLIB_DOMAIN' in entry for entry in ours), 'a line that is not a log line')


@case()
def the_sandbox_leaves_room(t):
    """Recordings elsewhere need ReadWritePaths=; GStreamer's list of plugins has its place."""
    elsewhere = machine.root / 'srv/recordings'
    elsewhere.mkdir(exist_ok=True)
    ok(machine.run('chown', 'keeprolling:', '/srv/recordings'))
    port = free_port()
    feed(t, port)
    unit = Unit(t, 'walled', UDP.format(port=port), out='/srv/recordings')
    ok(unit.start('--no-block'))
    t.wait(lambda: unit.said('Read-only file system'), 'it says what is in the way', limit=60)
    check(not list(elsewhere.iterdir()), 'it wrote there all the same')
    other = Unit(t, 'free', UDP.format(port=port), out='/srv/recordings',
                 drop_in='ReadWritePaths=/srv/recordings\n')
    ok(machine.run('systemctl', 'stop', unit.name))
    ok(other.start())
    t.wait(lambda: list(elsewhere.glob('free_*')), 'it records there')
    check(list((machine.root / 'var/cache/keeprolling' / other.file).rglob('registry*.bin')),
          'no list of plugins')


if __name__ == '__main__':
    try:
        machine = Machine()
    except CannotRun as reason:
        print(f'Bail out! {reason}')
        sys.exit(1)
    run()
