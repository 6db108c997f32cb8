#!/usr/bin/env python3
# keeprolling - every system call of a recording fails once, at every place; or is the last one
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A known stream is recorded while a preloaded library makes the Nth call of a kind fail, or
kills the process there, for every N that a clean run has. Afterwards: what was reported as
written is there, nothing is there twice, nothing was overwritten, nothing is left under a
temporary name. --long tries more errors and errors that stay."""

import collections
import concurrent.futures
import re

from support import LONG, Skip, check, run, test
from recording import check_folder, drive, recover, sanitized

CALLS = ['openat', 'mkdirat', 'flock', 'pwritev', 'fdatasync', 'fsync', 'ftruncate',
         'renameat2', 'close']
ERRORS = {'pwritev': ['EIO', 'ENOSPC', 'EINTR', 'short'], 'fdatasync': ['EIO', 'EINTR'],
          'renameat2': ['EIO', 'EINVAL', 'EEXIST'], 'fsync': ['EIO'], 'openat': ['EIO', 'ENOSPC'],
          'mkdirat': ['EIO', 'ENOSPC'], 'close': ['EIO'], 'flock': ['ENOLCK'],
          'ftruncate': ['EIO']}
MORE_ERRORS = {'pwritev': ['EDQUOT', 'EFBIG'], 'fdatasync': ['ENOSPC'], 'openat': ['EACCES'],
               'fsync': ['EINVAL'], 'renameat2': ['ENOSYS', 'EXDEV']}
SENTINEL = b'an older recording that must not be touched'


def record(folder, *, fault=None, trace=None, sentinel=True):
    """One short recording of three segments."""
    if sentinel:
        folder.mkdir(parents=True)
        (folder / 'x-000000.ts').write_bytes(SENTINEL)
        (folder / 'x-000001.recording.ts').write_bytes(SENTINEL)
    report = drive(f'atomicfilesink location={folder}/x-{{seq}}.ts max-size-bytes=200000 '
                   'buffer-size=65536 flush-interval=10000000 sync-interval=25000000 '
                   'recover=false',
                   '--packets=2800', '--rate=4000000', '--gop=350', folder=folder, fault=fault,
                   trace=trace)
    check(report.status in (0, 1, -9), f'{fault}: status {report.status}\n{report.stderr}')
    return report


def accounted(report, what):
    stats = report.stats[-1]
    check(stats['bytes-received'] >= stats['bytes-written'] + stats['dropped-bytes'],
          f'{what}: more written and dropped than received: {stats}')
    check(stats['bytes-durable'] <= stats['bytes-written'], f'{what}: more durable than written')
    return stats


def one(base, fault, sentinel):
    folder = base / re.sub('[^A-Za-z0-9-]', '-', fault.replace('+', 'p'))
    report = record(folder, fault=fault, sentinel=sentinel)
    killed = report.status == -9
    check('kill' in fault or not killed, f'{fault}: the process died')
    written = report.last('bytes-written')
    for message in report.named('atomicfilesink-segment-closed'):
        path = message['location'].strip('"')
        with open(path, 'rb') as file:
            check(len(file.read()) == int(message['bytes']),
                  f'{fault}: {path} is not as long as was reported')
    if (folder / 'x-000001.recording.ts').exists() and sentinel:
        # Dead and unlocked, but recover=false: not the recorder's to touch.
        (folder / 'x-000001.recording.ts').rename(folder / 'x-000001.sentinel')
    if folder.exists():
        recover(folder)
    doubles = 'ftruncate' in fault or ',' in fault and killed
    if killed:
        # With a part dropped in between, what was written is no longer the stream's beginning.
        dropped = 'ENOSPC' in fault
        there = check_folder(folder, fault, reported=0 if dropped else written,
                             sentinel=SENTINEL, doubles=doubles)
        check(there >= written, f'{fault}: {there} bytes are there, {written} were reported')
    else:
        stats = accounted(report, fault)
        there = check_folder(folder, fault, sentinel=SENTINEL, doubles=doubles)
        check(there >= stats['bytes-written'] if report.errors else
              there == stats['bytes-written'],
              f'{fault}: {there} bytes are there, {stats["bytes-written"]} were reported')
        if not report.errors:
            check(stats['bytes-received'] == stats['bytes-written'] + stats['dropped-bytes'],
                  f'{fault}: bytes unaccounted for: {stats}')
    if sentinel:
        check((folder / 'x-000000.ts').read_bytes() == SENTINEL, f'{fault}: overwritten')
        check((folder / 'x-000001.sentinel').read_bytes() == SENTINEL, f'{fault}: overwritten')
    return 'fatal' if report.errors else 'killed' if killed else 'survived'


def ladder(t, faults):
    outcome = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(one, t.dir, fault, not fault.startswith('mkdirat'))
                for fault in faults]
        for job in concurrent.futures.as_completed(jobs):
            outcome[job.result()] += 1
    t.note(f'{len(faults)} runs: ' + ', '.join(f'{n} {how}' for how, n in outcome.items()))
    return outcome


def clean_counts(t):
    if sanitized():
        raise Skip('sanitizers and the preloaded library do not go together')
    trace = t.dir / 'trace'
    record(t.dir / 'clean', trace=trace, sentinel=False)
    calls = [line.split('\t')[0] for line in trace.read_text().splitlines()]
    counts = collections.Counter(calls)
    t.note(' '.join(f'{call}={counts[call]}' for call in CALLS))
    return counts


@test(limit=600)
def every_call_fails_once(t):
    counts = clean_counts(t)
    faults = []
    for call in CALLS:
        errors = ERRORS[call] + (MORE_ERRORS.get(call, []) if LONG else [])
        faults += [f'{call}:{n}:{error}' for error in errors
                   for n in range(1, counts[call] + 1)]
    outcome = ladder(t, faults)
    check(outcome['killed'] == 0, 'an error killed the process')
    check(outcome['survived'] > len(faults) // 2, 'most errors are survived')


@test(limit=600)
def killed_at_every_call(t):
    counts = clean_counts(t)
    hows = ['kill', 'killafter'] if LONG else ['kill']
    outcome = ladder(t, [f'{call}:{n}:{how}' for how in hows for call in CALLS
                         for n in range(1, counts[call] + 1)])
    check(outcome['killed'] > 30, f'hardly any run was killed: {outcome}')


@test(limit=300)
def errors_that_stay(t):
    clean_counts(t)
    faults = [f'{call}:{n}+:{error}' for call, error, steps in [
        ('fdatasync', 'EIO', (1, 3)), ('pwritev', 'EIO', (1, 4)), ('pwritev', 'ENOSPC', (2,)),
        ('renameat2', 'EINVAL', (1,)), ('renameat2', 'EIO', (1,)), ('fsync', 'EINVAL', (1,)),
        ('flock', 'ENOLCK', (1,))] for n in steps]
    outcome = ladder(t, faults)
    check(outcome['killed'] == 0, 'an error killed the process')


@test(limit=600)
def a_second_error_while_coping_with_the_first(t):
    counts = clean_counts(t)
    steps = 1 if LONG else 4
    faults = [f'{first},{call}:{n}:{error}'
              for first in ('fdatasync:2:EIO', 'pwritev:5:ENOSPC', 'pwritev:6:EIO')
              for call, error in (('pwritev', 'EIO'), ('pwritev', 'ENOSPC'), ('openat', 'EIO'),
                                  ('fdatasync', 'EIO'), ('ftruncate', 'EIO'), ('fsync', 'EIO'),
                                  ('renameat2', 'EIO'), ('close', 'EIO'), ('fdatasync', 'kill'),
                                  ('pwritev', 'kill'), ('ftruncate', 'kill'),
                                  ('renameat2', 'kill'))
              for n in range(1, max(counts[call], 2) + 2, steps if counts[call] > 4 else 1)
              if f'{call}:{n}:' not in first]
    ladder(t, faults)


@test
def a_failed_sync_goes_on_in_a_new_file(t):
    if sanitized():
        raise Skip('sanitizers and the preloaded library do not go together')
    folder = t.dir / 'r'
    report = drive(f'atomicfilesink location={folder}/x-{{seq}}.ts flush-interval=10000000 '
                   'sync-interval=50000000', '--packets=5600', '--rate=4000000', folder=folder,
                   fault='fdatasync:2:EIO')
    failed = report.named('atomicfilesink-sync-failed')
    check(len(failed) == 1 and failed[0]['operation'] == 'fdatasync', f'{failed}')
    check(int(failed[0]['lost-bytes']) == 0, 'everything unsynced was still in memory')
    closed = report.named('atomicfilesink-segment-closed')
    check([m['reason'] for m in closed] == ['error', 'eos'], f'{closed}')
    check(closed[0]['durable'] == 'false' and closed[1]['durable'] == 'true', f'{closed}')
    check(int(closed[0]['bytes']) == int(failed[0]['durable-bytes']),
          'the old file keeps what was synced, the new one has the rest')
    check(check_folder(folder, 'sync') == 5600 * 188, 'the stream is whole')
    check(report.last('bytes-durable') == 5600 * 188, 'all of it is durable in the end')


run()
