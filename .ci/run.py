#!/usr/bin/env python3
# keeprolling - everything that has to hold before a change goes in
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds with gcc and clang, warnings being errors, runs the README's test command, then the
suites once more under the address and undefined behavior sanitizers. Ends with one line
"N passed, N failed, N skipped", counted from Meson's own logs; exit status 0 only if something
ran and nothing failed. Needs no terminal; at most 15 minutes on 2 cores."""

import json
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

SOURCE = pathlib.Path(__file__).resolve().parent.parent
GOOD = {'OK', 'EXPECTEDFAIL', 'SKIP'}
# A run that hangs in spite of every test's own limit must still end, with a count. No measure of
# speed: a quiet machine of two cores needs a quarter of it.
LIMIT_SECONDS = 60 * 60
STARTED = time.monotonic()


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.bad = []

    def add_case(self, where, case):
        if case.find('skipped') is not None:
            self.skipped += 1
        elif case.find('failure') is not None or case.find('error') is not None:
            self.failed += 1
            self.bad.append(f'{where}: {case.get("name")}')
            return True
        else:
            self.passed += 1
        return False

    def add_failure(self, what):
        self.failed += 1
        self.bad.append(what)

    def add_logs(self, build, setup=None):
        """Counts the cases of one `meson test`. A program that died or hung after its last
        reported case is one more failure: Meson's per-case log alone does not show it."""
        suffix = f'-{setup}' if setup else ''
        logs = build / 'meson-logs'
        failing = set()
        try:
            suites = ElementTree.parse(logs / f'testlog{suffix}.junit.xml').getroot()
            lines = (logs / f'testlog{suffix}.json').read_text().splitlines()
        except (OSError, ElementTree.ParseError) as error:
            self.add_failure(f'{build.name}: no test log: {error}')
            return
        # A program with cases of its own is a suite of its own, "keeprolling.SUITE / NAME"; any
        # other is a case "SUITE / NAME".
        for suite in suites.iter('testsuite'):
            for case in suite.iter('testcase'):
                owner = suite if ' / ' in suite.get('name') else case
                name = owner.get('name').split(' / ')[-1]
                if self.add_case(f'{build.name}: {name}', case):
                    failing.add(name)
        for line in lines:
            test = json.loads(line)
            name = test['name'].split(' / ')[-1]
            if test['result'] not in GOOD and name not in failing:
                self.add_failure(f'{build.name}: {name}: {test["result"]}')


def run(what, command, env=None):
    print(f'== {what}', flush=True)
    left = LIMIT_SECONDS - (time.monotonic() - STARTED)
    process = subprocess.Popen(command, cwd=SOURCE, stdin=subprocess.DEVNULL,
                               env={**os.environ, **(env or {})})
    try:
        return process.wait(timeout=max(left, 1)) == 0
    except subprocess.TimeoutExpired:
        print(f'== {what}: out of time', flush=True)
        # Meson ends its tests, by their process groups, and still writes its logs.
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return False


def setup(build, *options, env=None):
    if (build / 'build.ninja').exists():
        return run(f'configure {build.name}', ['meson', 'configure', build, *options], env)
    return run(f'configure {build.name}', ['meson', 'setup', build, *options], env)


def build_tree(count, build, *options, env=None):
    done = setup(build, *options, env=env) and run(f'build {build.name}', ['ninja', '-C', build])
    if not done:
        count.add_failure(f'{build.name}: does not build')
    return done


def test(count, build, command, setup_name=None):
    log = build / 'meson-logs' / f'testlog{"-" + setup_name if setup_name else ""}.junit.xml'
    log.unlink(missing_ok=True)
    before = count.failed
    passed = run(f'test {build.name}', command)
    count.add_logs(build, setup_name)
    if not passed and count.failed == before:
        count.add_failure(f'{build.name}: the test command failed')


def main():
    os.environ['CI'] = 'true'
    # Most integration tests wait for media to flow; two per core keep the cores busy.
    os.environ.setdefault('MESON_TESTTHREADS', str(2 * (os.cpu_count() or 1)))
    shared = SOURCE.parent / 'shared'
    if 'KR_SHARED' not in os.environ and shared.is_dir():
        os.environ['KR_SHARED'] = str(shared)
    count = Count()

    test(count, SOURCE / 'build', ['./bootstrap', 'test', '-Dwerror=true'])
    build_tree(count, SOURCE / 'build-clang', '-Dwerror=true', env={'CC': 'clang'})
    sanitized = SOURCE / 'build-sanitize'
    if build_tree(count, sanitized, '-Db_sanitize=address,undefined', '-Dwerror=true'):
        suites = ['common', 'core', 'elements', 'engine', 'services']
        test(count, sanitized,
             ['meson', 'test', '-C', sanitized, '--no-rebuild', '--print-errorlogs',
              '--setup=asan', *(f'--suite={name}' for name in suites)], 'asan')

    for bad in count.bad:
        print(f'failed: {bad}')
    print(f'took {time.monotonic() - STARTED:.0f} s')
    print(f'{count.passed} passed, {count.failed} failed, {count.skipped} skipped')
    return 1 if count.failed or not count.passed else 0


if __name__ == '__main__':
    sys.exit(main())
