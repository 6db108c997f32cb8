#!/usr/bin/env python3
# keeprolling - the power fails at every moment of a recording, in every way a disk may forget
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A recording's calls are traced with their data, and replayed up to each of them. What a disk
holds then is not one state but many: all that was synced, and of the rest any part, in any
order, blocks perhaps allocated but never written (the idea of ALICE, OSDI 2014). Each state is
laid out as files, recovered, and must hold every byte that the sink had reported as durable.
--long tries ten times as many states."""

import os
import random

from support import LONG, Skip, check, run, test
from recording import PACKET, drive, files_of, indices, recover, sanitized

RANDOM_STATES = 60 if LONG else 6


class Inode:
    """What was done to a file, in order. certain = that much of it is on the disk whatever
    happens; doubtful = a sync of it failed, which nobody will repeat."""

    def __init__(self):
        self.changes = []           # (offset, bytes) or (None, size)
        self.certain = [False] * 0
        self.doubtful = [False] * 0

    def change(self, offset, what):
        self.changes.append((offset, what))
        self.certain.append(False)
        self.doubtful.append(False)

    def sync(self, ok):
        for i in range(len(self.changes)):
            if ok and not self.doubtful[i]:
                self.certain[i] = True
            elif not ok and not self.certain[i]:
                self.doubtful[i] = True

    def content(self, choose, zeros):
        data = bytearray()
        for i, (offset, what) in enumerate(self.changes):
            if not self.certain[i] and not choose(i, len(self.changes)):
                continue
            if offset is None:
                data = data[:what] + bytes(max(0, what - len(data)))
                continue
            if len(data) < offset:
                data += bytes(offset - len(data))
            data[offset:offset + len(what)] = (bytes(len(what)) if zeros and not self.certain[i]
                                               else what)
        return bytes(data)


class Disk:
    def __init__(self):
        self.inodes = {}            # present name -> Inode
        self.folders = {'.': []}    # folder -> [[operation, names..., inode or None, certain]]

    def entry(self, path, operation, *arguments):
        folder = os.path.dirname(path) or '.'
        self.folders.setdefault(folder, []).append([operation, path, *arguments, False])

    def apply(self, call, path, more, result, data):
        if result < 0:
            if call == 'fdatasync' and path in self.inodes:
                self.inodes[path].sync(False)
            return
        if call == 'mkdirat' and path != '.':
            self.entry(path, 'mkdir')
        elif call == 'openat' and more == 'create':
            self.inodes[path] = Inode()
            self.entry(path, 'create', self.inodes[path])
        elif call == 'pwritev':
            self.inodes[path].change(int(more), data)
        elif call == 'ftruncate':
            self.inodes[path].change(None, int(more))
        elif call in ('fdatasync', 'fsync') and path in self.inodes:
            self.inodes[path].sync(True)
        elif call == 'fsync':
            for operation in self.folders.get(path, []):
                operation[-1] = True
        elif call == 'renameat2':
            self.inodes[more] = self.inodes.pop(path)
            self.entry(path, 'rename', more)
        elif call == 'unlinkat':
            self.inodes.pop(path)
            self.entry(path, 'unlink')

    def names(self, choose):
        """One legal set of names: what is certain, and of the rest what choose() says."""
        names = {}
        made = {'.'}
        for folder, operations in sorted(self.folders.items()):
            if folder not in made:
                continue            # an operation in a folder that is not there
            for i, operation in enumerate(operations):
                if not operation[-1] and not choose(i, len(operations)):
                    continue
                if operation[0] == 'mkdir':
                    made.add(operation[1])
                elif operation[0] == 'create':
                    names[operation[1]] = operation[2]
                elif operation[0] == 'rename' and operation[1] in names:
                    names[operation[2]] = names.pop(operation[1])
                elif operation[0] == 'unlink':
                    names.pop(operation[1], None)
        return names

    def states(self, rng):
        """(what, names, how to choose data, zeros)."""
        nothing, everything = (lambda i, n: False), (lambda i, n: True)
        for what_names, choose_names in (('old', nothing), ('new', everything)):
            for what, choose, zeros in (('none', nothing, False), ('all', everything, False),
                                        ('zeros', everything, True)):
                yield f'{what_names} names, {what}', self.names(choose_names), choose, zeros
        for number in range(RANDOM_STATES):
            cut = rng.random()
            prefix = lambda i, n: i < cut * n
            some = lambda i, n: rng.random() < 0.5
            names = self.names(prefix if number % 2 else some)
            yield f'random {number}', names, some if number % 3 else prefix, rng.random() < 0.4


def read_trace(path):
    data = open(f'{path}.data', 'rb').read()
    at = 0
    for line in path.read_text().splitlines():
        words = line.split('\t')
        if words[0] == 'note':
            if words[1].startswith('durable '):
                yield 'durable', int(words[1].split()[1])
            continue
        call, name, more, result = words[0], words[1], words[2], int(words[3])
        part = b''
        if call == 'pwritev' and result > 0:
            part = data[at:at + result]
            at += result
        yield 'call', (call, name, more, result, part)


def lay_out(folder, names, choose, zeros):
    for name, inode in names.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(inode.content(choose, zeros))


def check_state(folder, what, durable):
    there = set()
    for path in files_of(folder):
        check('.recording.' not in path, f'{what}: {path} is left')
        with open(path, 'rb') as file:
            data = file.read()
        check(data, f'{what}: {path} is empty')
        there.update(indices(data))
    missing = [n for n in range(durable // PACKET) if n not in there]
    check(not missing, f'{what}: {len(missing)} of {durable // PACKET} durable packets are gone, '
                       f'such as {missing[:3]}')


def lose_power(t, fault=None):
    if sanitized():
        raise Skip('sanitizers and the preloaded library do not go together')
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    source, trace, base = t.dir / 'r', t.dir / 'trace', t.dir / 'states'
    source.mkdir()
    report = drive(f'atomicfilesink location={source}/day/x-{{seq}}.ts max-size-bytes=60000 '
                   'buffer-size=65536 flush-interval=10000000 sync-interval=20000000 '
                   'recover=false', '--packets=1400', '--rate=1500000', '--gop=140',
                   folder=source, trace=trace, fault=fault)
    check(report.status == 0, f'{report.errors}')
    disk, durable, todo, highest = Disk(), 0, [], 0
    for number, (kind, what) in enumerate(read_trace(trace)):
        if kind == 'durable':
            durable = what
            highest = max(highest, what)
            continue
        disk.apply(*what)
        for label, names, choose, zeros in disk.states(rng):
            folder = base / f's{len(todo)}'
            folder.mkdir(parents=True)
            lay_out(folder, names, choose, zeros)
            todo.append((folder, f'seed {seed}, after call {number} ({what[0]} {what[1]}), '
                                 f'{label}', durable))
    check(highest > 1400 * PACKET // 2, f'only {highest} bytes were durable before the end')
    recover(base)
    for folder, what, promised in todo:
        check_state(folder, what, promised)
    t.note(f'{len(todo)} states of the disk, up to {highest} bytes durable, seed {seed}')


@test(limit=300)
def power_lost_at_any_moment(t):
    lose_power(t)


@test(limit=300)
def power_lost_after_a_failed_sync(t):
    lose_power(t, fault='fdatasync:3:EIO')


run()
