#!/usr/bin/env python3
# keeprolling - the demo of the README, without a terminal
# SPDX-License-Identifier: LGPL-2.1-or-later

import re
import shutil
import signal
import subprocess
import sys
import time

from support import BUILD, SOURCE, check, run, test

DEMO = [sys.executable, SOURCE / 'tests/integration/demo.py', '--build', BUILD]


def demo(t, *arguments):
    """The demo, recording into a folder of ours."""
    return t.spawn([*DEMO, '--out', t.dir / 'demo', *arguments], name='demo')


@test(limit=180)
def the_demo_shows_what_it_promises(t):
    process = demo(t, '--seconds', '16')
    check(process.wait(limit=120) == 0, f'exit status {process.popen.returncode}')
    text = process.output()
    for words in 'two live feeds', 'cam2 is killed', 'cam2 starts again', 'final names':
        check(words in text, f'does not say "{words}"')
    rows = re.findall(r'^(\S+\.ts) +[\d.]+ +([\d.]+)  plays', text, re.M)
    check(any('/cam1/' in name for name, _ in rows) and any('/programme/' in name for name, _ in rows),
          f'recordings: {rows}')
    length = sum(float(seconds) for name, seconds in rows if '/programme/' in name)
    t.note(f'{len(rows)} files, {length:.1f} s of programme')
    check(length > 6, f'{length:.1f} s of programme in a demo of 16 s')


@test(limit=120)
def an_interrupt_ends_it_with_the_list(t):
    process = demo(t)
    t.wait(lambda: any((t.dir / 'demo').rglob('*.recording.ts')), 'a recording grows', limit=60,
           alive=[process])
    time.sleep(3)
    check(process.stop(signal.SIGINT, limit=60) == 0, f'exit status {process.popen.returncode}')
    check('ffprobe says' in process.output(), 'no list')
    check(not list((t.dir / 'demo').rglob('*.recording.*')), 'a temporary name is left')


@test
def recordings_lie_outside_tracked_files(t):
    check('/demo/' in (SOURCE / '.gitignore').read_text().splitlines(), '.gitignore')
    if shutil.which('git') and (SOURCE / '.git').exists():
        done = subprocess.run(['git', '-C', SOURCE, 'check-ignore', 'demo/x.ts'],
                              capture_output=True, check=False)
        check(done.returncode == 0, 'git would see the recordings')


run()
