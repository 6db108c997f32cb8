#!/usr/bin/env python3
# keeprolling - the elements without the launcher: the launch lines of README and doc blocks
# SPDX-License-Identifier: LGPL-2.1-or-later

import re
import shlex
import signal

from support import (SOURCE, SrtFeed, check, clip, final, growing, run, size, stream_types, test)


def launch_lines(path):
    """The words behind gst-launch-1.0 of each |[ ... ]| in a doc block."""
    text = re.sub(r'^ \* ?', '', path.read_text(), flags=re.M)
    for block in re.findall(r'\|\[\n(.*?)\]\|', text, re.S):
        if block.startswith('gst-launch-1.0 '):
            yield shlex.split(block.replace('\\\n', ' '))[1:]


def element_files():
    """The sources that define an element."""
    return [path for path in sorted((SOURCE / 'plugins').glob('*.c'))
            if 'gst_element_class_set_static_metadata' in path.read_text()]


@test(limit=240)
def the_lines_of_the_documentation_work(t):
    for path in element_files():
        lines = list(launch_lines(path))
        check(lines, f'{path.name}: no launch line in its doc block')
        for words in lines:
            folder = t.dir / f'{path.stem}-{lines.index(words)}'
            folder.mkdir()
            # A line may name a file in.ts or a feed; it gets one.
            if 'location=in.ts' in words:
                (folder / 'in.ts').symlink_to(clip())
            live = [number for number, word in enumerate(words) if word.startswith('uri=srt:')]
            for number in live:
                words[number] = f'uri={SrtFeed(t, clip()).start().uri}'
            launch = t.spawn(['gst-launch-1.0', *words], cwd=folder)
            if live:
                t.wait(lambda: any(size(file) > 50_000 for file in folder.rglob('*')),
                       f'{path.name}: something is written', alive=[launch])
                launch.send(signal.SIGINT)
            check(launch.wait() == 0, f'{path.name}: {shlex.join(words)}\n{launch.output()[-2000:]}')


@test
def the_line_of_the_readme_records(t):
    """A temporary name while it runs, a final name after Ctrl-C."""
    [line] = [line for line in re.findall(r'gst-launch-1.0 (.*?)\n```',
                                          (SOURCE / 'README.md').read_text(), re.S)]
    words = shlex.split(line.replace('\\\n', ' '))
    feed = SrtFeed(t, clip()).start()
    words = [f'uri={feed.uri}' if word.startswith('uri=') else word for word in words]
    launch = t.spawn(['gst-launch-1.0', *words], cwd=t.dir)
    t.wait(lambda: any(size(path) > 200_000 for path in growing(t.dir)), 'the file grows',
           limit=40, alive=[launch])
    check(not final(t.dir), 'a final name before the end')
    check(launch.stop(signal.SIGINT) == 0, 'gst-launch-1.0 -e fails')
    check(not growing(t.dir), 'a temporary name is left')
    [path] = final(t.dir)
    check(re.fullmatch(r'cam-\d{8}T\d{6}Z\.ts', path.name), path.name)
    check(stream_types(path) == ['audio', 'video'], 'the file does not play')


run()
