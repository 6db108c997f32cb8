# keeprolling - the known stream of record-driver: starting it, failing it, and finding it again
# SPDX-License-Identifier: LGPL-2.1-or-later

import collections
import json
import os
import re
import subprocess

from support import BUILD, KEEPROLLING, check, environment

DRIVER = BUILD / 'tests' / 'integration' / 'record-driver'
SHIM = BUILD / 'tests' / 'integration' / 'libfault-shim.so'
PACKET = 188


class Report:
    """What the driver said on stdout, and how it ended. The last line may be cut off."""

    def __init__(self, text, status):
        self.status = status
        self.stats, self.messages, self.errors, self.warnings = [], [], [], []
        self.push_ns_max = None
        for line in text.splitlines():
            try:
                (kind, value), = json.loads(line).items()
            except (ValueError, AttributeError):
                continue
            if kind == 'stats':
                self.stats.append(value)
            elif kind == 'message':
                self.messages.append(value)
            elif kind == 'error':
                self.errors.append(value)
            elif kind == 'warning':
                self.warnings.append(value)
            elif kind == 'push-ns-max':
                self.push_ns_max = int(value)

    def last(self, name):
        return self.stats[-1][name] if self.stats else 0

    def named(self, name):
        """Messages of that name, as dictionaries of strings."""
        return [dict(re.findall(r'([a-z-]+)=\([a-zA-Z0-9]+\)("(?:[^"\\]|\\.)*"|[^,;]*)', text))
                for text in self.messages if text.startswith(name + ',')]


def driver_command(sink, *options):
    return [str(DRIVER), *[str(word) for word in options], sink]


def fault_environment(folder, fault=None, trace=None, **more):
    env = {'LD_PRELOAD': SHIM, 'KR_FAULT_DIR': folder, **more}
    if fault:
        env['KR_FAULT'] = fault
    if trace:
        env['KR_FAULT_TRACE'] = trace
    return environment(**env)


def sanitized():
    """Sanitizers want to be the first library; the shim does not let them."""
    return b'__asan_init' in DRIVER.read_bytes() or b'__tsan_init' in DRIVER.read_bytes()


def drive(sink, *options, folder=None, fault=None, trace=None, limit=60, env=None):
    """Runs the driver to its end."""
    if folder is not None and (fault or trace):
        env = fault_environment(folder, fault, trace)
    elif env is None:
        env = environment()
    done = subprocess.run(driver_command(sink, *options), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env=env, timeout=limit, check=False)
    report = Report(done.stdout, done.returncode)
    report.stderr = done.stderr
    return report


def recover(folder, *options):
    done = subprocess.run([KEEPROLLING, 'recover', '--json', *options, str(folder)],
                          capture_output=True, text=True, env=environment(), timeout=120,
                          check=False)
    check(done.returncode == 0, f'recover ended with {done.returncode}: {done.stderr}')
    check(done.stderr == '', f'recover is not silent in a pipe: {done.stderr!r}')
    return json.loads(done.stdout)


def indices(data, skip=0):
    """The numbers of the packets in @data, from byte @skip on."""
    whole = len(data) - (len(data) - skip) % PACKET
    return [int.from_bytes(data[at + 180:at + 188], 'big')
            for at in range(skip, whole, PACKET)]


def files_of(folder):
    found = []
    for base, _, names in os.walk(folder):
        found += [os.path.join(base, name) for name in names]
    return sorted(found)


def packets_of(folder, sentinel=None, header=0):
    """{path: [packet numbers]} of all files but the sentinels."""
    result = {}
    for path in files_of(folder):
        with open(path, 'rb') as file:
            data = file.read()
        if sentinel is not None and data == sentinel:
            continue
        check((len(data) - header) % PACKET == 0, f'{path} does not end with a whole packet')
        check(len(data) > header, f'{path} is empty')
        result[path] = indices(data, header)
    return result


def check_folder(folder, what, *, reported=0, sentinel=None, header=0, doubles=False):
    """After recovery: nothing under a temporary name, no packet twice, the first @reported bytes
    of the stream there, each file without a hole. Returns the number of bytes found. @doubles: a
    failed sync, and a crash or another error before the old file could give up what the new one
    has: both keep it."""
    found = packets_of(folder, sentinel, header)
    left = [path for path in found if '.recording.' in path]
    check(not left, f'{what}: orphans {left}')
    count = collections.Counter()
    for path, numbers in found.items():
        count.update(numbers)
        check(numbers == list(range(numbers[0], numbers[0] + len(numbers))),
              f'{what}: {path} has a hole')
    twice = [number for number, times in count.items() if times > 1]
    check(doubles or not twice, f'{what}: {len(twice)} packets are there twice, such as {twice[:3]}')
    missing = [number for number in range(reported // PACKET) if number not in count]
    check(not missing, f'{what}: {len(missing)} packets of {reported // PACKET} reported are '
                       f'missing, such as {missing[:3]}')
    return len(count) * PACKET
