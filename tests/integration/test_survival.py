#!/usr/bin/env python3
# keeprolling - recordings that are killed, crowded, slowed down and run out of disk
# SPDX-License-Identifier: LGPL-2.1-or-later
"""--long: 1000 kills instead of 50."""

import contextlib
import os
import pty
import random
import resource
import shutil
import subprocess
import time

from support import KEEPROLLING, LONG, Skip, check, environment, run, test
from recording import (Report, check_folder, drive, driver_command,
                       files_of, indices, packets_of, recover, sanitized)

KILLS = 1000 if LONG else 50


def start(sink, *options, env=None, log=None):
    """The driver in the background, its report in a file."""
    with open(log, 'wb') as out:
        return subprocess.Popen(driver_command(sink, *options), stdout=out,
                                stderr=subprocess.STDOUT, env=env or environment())


def report_of(process, log, limit=60):
    process.wait(timeout=limit)
    return Report(log.read_text(errors='replace'), process.returncode)


def kill_once(t, number, rng):
    folder, log = t.dir / f'k{number}', t.dir / f'k{number}.log'
    process = start(f'atomicfilesink location={folder}/x-{{seq}}.ts max-size-bytes=150000 '
                    'buffer-size=65536 flush-interval=10000000 sync-interval=20000000 '
                    'recover=false', '--packets=100000', '--rate=3000000', '--gop=350', log=log)
    t.wait(lambda: log.stat().st_size > 0, 'the recording starts')
    time.sleep(rng.random() * 0.3)
    process.kill()
    report = report_of(process, log)
    if not folder.exists():
        return 0
    recover(folder)
    written = report.last('bytes-written')
    check_folder(folder, f'kill {number}', reported=written)
    for path in files_of(folder):
        os.unlink(path)
    return written


@test(limit=60 + KILLS * 4)
def killed_anywhere(t):
    seed = random.randrange(1 << 32)
    t.note(f'seed {seed}')
    rng = random.Random(seed)
    total = sum(kill_once(t, number, rng) for number in range(KILLS))
    t.note(f'{KILLS} kills, {total} bytes reported as written, none missing')
    check(total > KILLS * 10000, 'the kills came before anything was recorded')


@test(limit=120)
def a_low_rate_loses_little(t):
    folder, log = t.dir / 'r', t.dir / 'log'
    process = start(f'atomicfilesink location={folder}/x.ts', '--packets=100000', '--rate=5000',
                    '--gop=70', log=log)
    t.wait(lambda: Report(log.read_text(), 0).last('bytes-received') > 20000, '20 kB are sent',
           limit=30)
    process.kill()
    report = report_of(process, log)
    received = report.last('bytes-received')
    there = os.stat(folder / 'x.recording.ts').st_size
    t.note(f'{received} bytes received, {received - there} lost')
    # 1.2 s at 5 kB/s, and one buffer.
    check(received - there <= 6000 + 1316, f'{received - there} bytes are lost')
    recover(folder)
    check_folder(folder, 'low rate', reported=report.last('bytes-written'))


@test
def slow_syncs_stall_nobody(t):
    if sanitized():
        raise Skip('sanitizers and the preloaded library do not go together')
    folder = t.dir / 'r'
    report = drive(f'atomicfilesink location={folder}/x-{{seq}}.ts sync-interval=600000000 '
                   'max-size-time=2000000000', '--packets=32000', '--rate=1000000', '--gop=875',
                   folder=folder, fault='fdatasync:0+:delay=500,fsync:0+:delay=500,'
                   'renameat2:0+:delay=500,mkdirat:0+:delay=500')
    t.note(f'longest push {report.push_ns_max / 1e6:.2f} ms, syncs up to '
           f'{report.last("sync-ns-max") / 1e6:.0f} ms')
    check(report.status == 0, f'{report.errors}')
    check(report.last('sync-ns-max') > 400e6, 'the syncs were not slow')
    check(report.last('dropped-bytes') == 0, 'something was dropped')
    # A guard that a busy machine does not trip: a wait for one sync would be 500 ms.
    check(report.push_ns_max < 100e6, f'the streaming thread waited {report.push_ns_max} ns')
    check(check_folder(folder, 'slow') == 32000 * 188, 'all is there')


def too_slow_a_disk(t, overflow):
    """20 MB/s for a disk that takes 1 MB in 100 ms, 1 MiB of memory to wait in."""
    if sanitized():
        raise Skip('sanitizers and the preloaded library do not go together')
    folder = t.dir / 'r'
    report = drive(f'atomicfilesink location={folder}/x.ts buffer-size=262144 overflow={overflow} '
                   'max-pending-bytes=1048576 sync-interval=0', '--packets=80000',
                   '--rate=20000000', folder=folder, fault='pwritev:0+:delay=100')
    stats = report.stats[-1]
    check(report.status == 0, f'{report.errors}')
    check(stats['bytes-received'] == 80000 * 188, 'all of it came')
    check(stats['bytes-received'] == stats['bytes-written'] + stats['dropped-bytes'],
          f'every byte is accounted for: {stats}')
    check(os.stat(folder / 'x.ts').st_size == stats['bytes-written'], 'and in the file')
    pending = max(s['pending-bytes'] for s in report.stats)
    check(pending <= 1048576 + 1316, f'{pending} bytes waited in memory')
    t.note(f'longest push {report.push_ns_max / 1e6:.2f} ms, {stats["dropped-bytes"]} bytes in '
           f'{stats["dropped-buffers"]} buffers dropped')
    return report


@test
def a_full_queue_makes_upstream_wait(t):
    report = too_slow_a_disk(t, 'block')
    check(report.last('dropped-bytes') == 0, 'nothing is dropped')
    check(report.push_ns_max > 20e6, 'upstream has waited')


@test
def a_full_queue_can_drop(t):
    report = too_slow_a_disk(t, 'drop')
    check(report.last('dropped-buffers') > 0, 'some was dropped')
    check(report.push_ns_max < 80e6, f'upstream has waited {report.push_ns_max} ns')


@test
def twins_in_the_same_second(t):
    folder = t.dir / 'r'
    logs = [t.dir / f'twin{n}.log' for n in range(4)]
    twins = [start(f'atomicfilesink location={folder}/x-{{seq}}.ts max-size-bytes=200000',
                   '--packets=5000', '--rate=2000000', '--gop=350', log=log) for log in logs]
    reports = [report_of(twin, log) for twin, log in zip(twins, logs)]
    check(all(report.status == 0 for report in reports), f'{[r.errors for r in reports]}')
    # A file that is just being made, and has no lock yet, may be swept away for being empty; its
    # owner notices and makes it again.
    check(not [m for r in reports for m in r.named('atomicfilesink-recovered')
               if m['action'] != 'removed'], 'one took the other for dead')
    names = [m['location'] for r in reports for m in r.named('atomicfilesink-segment-closed')]
    check(len(names) == len(set(names)), f'a name was given twice: {names}')
    found = packets_of(folder)
    check(sorted(found) == sorted(name.strip('"') for name in names), 'files and messages agree')
    check(sum(len(numbers) for numbers in found.values()) == 4 * 5000,
          'each has recorded everything')


@test
def a_sweep_beside_a_living_writer(t):
    folder, log = t.dir / 'r', t.dir / 'log'
    process = start(f'atomicfilesink location={folder}/x-{{seq}}.ts max-size-bytes=60000 '
                    'flush-interval=10000000', '--packets=30000', '--rate=1500000', '--gop=70',
                    log=log)
    live, sweeps = 0, 0
    t.wait(folder.exists, 'the recording starts')
    while process.poll() is None:
        counts = recover(folder)['counts']
        check(counts['finalised'] + counts['quarantined'] == 0, f'touched a living one: {counts}')
        live += counts['live']
        sweeps += 1
    report = report_of(process, log)
    t.note(f'{sweeps} sweeps met {live} living files')
    check(report.status == 0, f'{report.errors}')
    check(live > 0, 'no sweep met a living file')
    check(check_folder(folder, 'sweep') == 30000 * 188, 'all is there')


@test
def leftovers_are_finalised_at_the_next_start(t):
    folder = t.dir / 'r'
    sink = f'atomicfilesink location={folder}/%Y/x-{{instance}}-{{seq}}.ts flush-interval=10000000'
    log = t.dir / 'log'
    process = start(sink, '--packets=100000', '--rate=1000000', log=log)
    t.wait(lambda: Report(log.read_text(), 0).last('bytes-written') > 100000, 'it is written')
    process.kill()
    written = report_of(process, log).last('bytes-written')
    (folder / 'other.recording.ts').write_bytes(b'not of this template')
    report = drive(sink, '--packets=7', '--linger=300')
    recovered = report.named('atomicfilesink-recovered')
    check([m['action'] for m in recovered] == ['finalised'], f'{report.messages}')
    check(report.last('segments-recovered') == 1, 'stats count it')
    check(int(recovered[0]['bytes']) >= written, 'all that was reported is there')
    check((folder / 'other.recording.ts').exists(), 'another template is left alone')


@test
def recover_shows_progress_on_a_terminal_only(t):
    folder = t.dir / 'r'
    folder.mkdir()
    (folder / 'a.recording.ts').write_bytes(b'no recording')
    ours, theirs = pty.openpty()
    done = subprocess.run([KEEPROLLING, 'recover', '--dry-run', folder], stdout=subprocess.PIPE,
                          stderr=theirs, env=environment(), check=False, text=True)
    os.close(theirs)
    shown = os.read(ours, 10000).decode()
    check(done.returncode == 0 and 'would be kept as' in done.stdout, done.stdout)
    check('looked at' in shown and '\r' in shown, f'no progress: {shown!r}')
    check(recover(folder)['counts']['quarantined'] == 1, 'and in a pipe nothing but the result')
    done = subprocess.run([KEEPROLLING, 'recover', folder / 'missing'], capture_output=True,
                          text=True, env=environment(), check=False)
    check(done.returncode == 66 and 'missing' in done.stderr, f'{done}')
    done = subprocess.run([KEEPROLLING, 'recover'], capture_output=True, text=True,
                          env=environment(), check=False)
    check(done.returncode == 64, f'{done}')


# --- full disks -----------------------------------------------------------------------------

@contextlib.contextmanager
def small_disk(t, kind, size):
    """A file system of @size bytes. Mounting needs privileges: a skip says so."""
    folder = t.dir / f'disk-{kind}'
    folder.mkdir()
    if kind == 'tmpfs':
        command = ['mount', '-t', 'tmpfs', '-o', f'size={size}', 'none', folder]
    else:
        image = t.dir / 'disk.img'
        with open(image, 'wb') as file:
            file.truncate(size)
        # Not in everybody's PATH.
        mkfs = shutil.which('mkfs.ext4', path=f'{os.environ["PATH"]}:/usr/sbin:/sbin')
        if mkfs is None:
            raise Skip('there is no mkfs.ext4 here; Debian has it in e2fsprogs')
        subprocess.run([mkfs, '-q', '-F', '-m', '0', '-O', '^has_journal', image],
                       check=True)
        command = ['mount', '-o', 'loop', image, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Skip(f'no {kind} can be mounted here: {done.stderr.strip()}')
    try:
        yield folder
    finally:
        subprocess.run(['umount', '-l', folder], check=True)


def fill_and_free(t, folder, ballast):
    """The disk runs full during a recording; later @ballast is removed. Returns the report."""
    log = t.dir / 'log'
    process = start(f'atomicfilesink location={folder}/r/x-{{seq}}.ts buffer-size=262144 '
                    'flush-interval=20000000 sync-interval=200000000', '--packets=200000',
                    '--rate=3000000', '--gop=350', log=log)
    try:
        t.wait(lambda: 'atomicfilesink-disk-full' in log.read_text(), 'the disk is full',
               limit=30)
        time.sleep(0.3)
        os.unlink(ballast)
        t.wait(lambda: 'atomicfilesink-disk-recovered' in log.read_text(), 'it resumes', limit=30)
        t.wait(lambda: Report(log.read_text(), 0).stats[-1]['segment-bytes'] > 100000,
               'the next segment grows')
        process.terminate()
        return report_of(process, log)
    finally:
        if process.poll() is None:
            process.kill()


def check_full(t, folder, report):
    full = report.named('atomicfilesink-disk-full')
    back = report.named('atomicfilesink-disk-recovered')
    closed = report.named('atomicfilesink-segment-closed')
    stats = report.stats[-1]
    check(report.status == 0 and not report.errors, f'the pipeline lives: {report.errors}')
    check(len(full) == 1 and len(back) == 1, f'announced once: {full} {back}')
    check([m['reason'] for m in closed] == ['disk-full', 'eos'], f'{closed}')
    check(int(back[0]['dropped-bytes']) > 0, 'what was dropped is told')
    check(int(back[0]['dropped-bytes']) == stats['dropped-bytes'], 'nothing was dropped later')
    check(stats['bytes-received'] == stats['bytes-written'] + stats['dropped-bytes'],
          f'every byte is accounted for: {stats}')
    there = check_folder(folder / 'r', 'full')
    check(there == stats['bytes-written'], f'{there} bytes are there, {stats}')
    second = packets_of(folder / 'r')[closed[1]['location'].strip('"')]
    check(second[0] % 350 == 0, 'the new segment begins at a keyframe')
    t.note(f'{there} bytes written, {stats["dropped-bytes"]} dropped, outage '
           f'{int(back[0]["outage-ns"]) / 1e9:.1f} s')


def with_ballast(t, kind, size, ballast):
    with small_disk(t, kind, size) as folder:
        with open(folder / 'ballast', 'wb') as file:
            file.write(b'x' * ballast)
        check_full(t, folder, fill_and_free(t, folder, folder / 'ballast'))


@test(limit=120)
def a_full_tmpfs(t):
    with_ballast(t, 'tmpfs', 4 << 20, 2 << 20)


@test(limit=120)
def a_full_ext4(t):
    with_ballast(t, 'ext4', 8 << 20, 4 << 20)


@test(limit=120)
def cuts_while_the_disk_is_full(t):
    """Small files, a disk that fills and is freed again and again: no empty file, no byte that is
    neither there nor counted as dropped."""
    with small_disk(t, 'tmpfs', 3 << 20) as folder:
        log = t.dir / 'log'
        process = start(f'atomicfilesink location={folder}/x-{{seq}}.ts max-size-bytes=30000 '
                        'buffer-size=65536 flush-interval=10000000 sync-interval=50000000 '
                        'max-size-time=300000000', '--packets=200000', '--rate=4000000',
                        '--gop=70', log=log)
        kept, seen = 0, set()

        def take_away():
            nonlocal kept
            for path in sorted(folder.glob('x-??????.ts')):
                with open(path, 'rb') as file:
                    data = file.read()
                check(data and len(data) % 188 == 0, f'{path} has {len(data)} bytes')
                numbers = indices(data)
                check(numbers[0] % 70 == 0, f'{path} does not begin at a keyframe')
                check(not seen.intersection(numbers), f'{path} repeats something')
                seen.update(numbers)
                kept += len(numbers) * 188
                path.unlink()

        for round in range(1, 4):
            t.wait(lambda: log.read_text().count('atomicfilesink-disk-full') >= round,
                   f'full for the {round}. time', limit=30)
            take_away()
            t.wait(lambda: log.read_text().count('atomicfilesink-disk-recovered') >= round,
                   'it resumes', limit=30)
        process.terminate()
        report = report_of(process, log)
        take_away()
        check(report.status == 0, f'{report.errors}')
        stats = report.stats[-1]
        check(kept == stats['bytes-written'], f'{kept} bytes in files, {stats}')
        check(stats['bytes-received'] == stats['bytes-written'] + stats['dropped-bytes'],
              f'every byte is accounted for: {stats}')
        t.note(f'{stats["segments"]} files, {stats["dropped-bytes"]} bytes dropped')


@test(limit=120)
def min_free_bytes_act_before_the_disk_is_full(t):
    with small_disk(t, 'tmpfs', 4 << 20) as folder:
        log = t.dir / 'log'
        report = drive(f'atomicfilesink location={folder}/x-{{seq}}.ts flush-interval=10000000 '
                       'buffer-size=65536 min-free-bytes=1000000', '--packets=40000',
                       '--rate=6000000', '--gop=350')
        full = report.named('atomicfilesink-disk-full')
        check(len(full) == 1, f'{report.messages}')
        free = int(full[0]['free-bytes'])
        check(500000 < free < 1000000, f'{free} bytes were left free')
        check(report.last('runway-s') == 0, 'there is no runway left')
        check(report.status == 0, f'{report.errors}')


@test
def a_full_disk_can_be_an_error(t):
    with small_disk(t, 'tmpfs', 1 << 20) as folder:
        report = drive(f'atomicfilesink location={folder}/x.ts on-disk-full=error '
                       'flush-interval=10000000', '--packets=20000', '--rate=4000000')
        check(report.status == 1 and len(report.errors) == 1, f'{report.errors}')
        check('No space left' in report.errors[0], report.errors[0])
        there = check_folder(folder, 'error')
        check(there == report.last('bytes-written') > 500000, 'what was written stays')


@test
def a_file_size_limit_is_a_full_disk(t):
    folder = t.dir / 'r'
    done = subprocess.run(
        driver_command(f'atomicfilesink location={folder}/x-{{seq}}.ts flush-interval=10000000 '
                       'buffer-size=65536', '--packets=20000', '--rate=3000000', '--gop=350'),
        capture_output=True, text=True, env=environment(), timeout=60, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000000, 1000000)))
    report = Report(done.stdout, done.returncode)
    check(report.status == 0, f'status {report.status} {report.errors}')
    check(len(report.named('atomicfilesink-disk-full')) >= 1, f'{report.messages}')
    check_folder(folder, 'EFBIG')
    stats = report.stats[-1]
    check(stats['bytes-received'] == stats['bytes-written'] + stats['dropped-bytes'], f'{stats}')


run()
