#!/usr/bin/env python3
# keeprolling - bad pipeline files: each a clear error, and nothing is started or lost
# SPDX-License-Identifier: LGPL-2.1-or-later

import json
import os
import re
import subprocess

from support import KEEPROLLING, check, environment, run, test

GOOD = '[Pipeline cam1]\nLaunch = fakesrc num-buffers=3 ! fakesink\n'
HEAD = '[Pipeline cam1]\nLaunch =\n    '

# What is wrong: the content, then (line, column, word of the message, word of the hint) for each
# mistake that must be reported.
BAD = {
    'empty': ('', [(1, 1, 'no [Pipeline NAME]', 'add a group')]),
    'no pipeline': ('[Health]\nThreshold = 3\n', [(1, 1, 'no [Pipeline NAME]', 'add a group')]),
    'no name': ('[Pipeline]\nLaunch = fakesrc ! fakesink\n', [(1, 1, 'no name', 'cam1')]),
    'bad name': ('[Pipeline a/b]\nLaunch = fakesrc ! fakesink\n', [(1, 11, "'a/b'", 'letters')]),
    'no launch': ('[Pipeline a]\nRestart = no\n', [(1, 1, 'has no Launch', 'Launch =')]),
    'empty launch': ('[Pipeline a]\nLaunch =\n  # nothing\n', [(2, 1, 'empty', 'gst-launch')]),
    'unknown group': (GOOD + '[Healt]\n', [(3, 1, "'Healt'", 'Health')]),
    'unknown key': (GOOD + 'RestartSecs = 1s\n', [(3, 1, "'RestartSecs'", 'RestartSec?')]),
    'key in the wrong group': (GOOD + 'Webhook = http://a/\n', [(3, 1, "'Webhook'", 'Alerts')]),
    'key before any group': ('Restart = no\n' + GOOD, [(1, 1, "'Restart'", 'group')]),
    'key twice': (GOOD + 'Restart = no\nRestart = no\n', [(4, 1, "'Restart'", 'line 3')]),
    'group twice': (GOOD + GOOD, [(3, 1, "'Pipeline cam1'", 'line 1')]),
    'group not closed': (GOOD + '[Health\n', [(3, 1, "'[Health'", ']'),]),
    'bad time span': (GOOD + 'RestartSec = soon\n', [(3, 14, "'soon'", '250ms')]),
    'time span out of range': (GOOD + 'RestartSec = 2d\n', [(3, 14, "'2d'", '10ms to 1h')]),
    'bad size': (GOOD + '[Health]\nMemoryMax = much\n', [(4, 13, "'much'", '500M')]),
    'bad number': (GOOD + '[Health]\nThreshold = few\n', [(4, 13, "'few'", '1 to 1000')]),
    'bad word': (GOOD + 'Restart = allways\n', [(3, 11, "'allways'", 'always')]),
    'bad URL': (GOOD + '[Alerts]\nWebhook = example\n', [(4, 11, 'Webhook', 'https://')]),
    'remark behind a value': (GOOD + 'RestartSec = 1s # x\n', [(3, 14, '1s # x', 'own')]),
    'unset variable': (HEAD + 'fakesrc ! filesink location=${OUTDIR}/x\n',
                       [(3, 33, "'OUTDIR'", '--set OUTDIR=')]),
    'variables in a circle': ('[Variables]\nA = ${B}\nB = ${A}\n' + GOOD,
                              [(3, 5, "'A'", 'A -> B -> A')]),
    'variable not closed': (HEAD + 'fakesrc name=${A ! fakesink\n', [(3, 18, "'${A", '${NAME}')]),
    'indented key': (GOOD + '  Restart = no\n', [(3, 3, "'Restart'", 'first column')]),
    'line not indented': ('[Pipeline a]\nLaunch = fakesrc\n! fakesink\n',
                          [(3, 1, "'! fakesink'", 'indent')]),
    'backslash': ('[Pipeline a]\nLaunch = fakesrc \\\n  ! fakesink\n', [(2, 18, "'\\'", 'away')]),
    'no text': (b'[Pipeline a]\nLaunch = fakesrc name=\xff ! fakesink\n', [(2, 23, '0xff', 'UTF-8')]),
    'NUL': (b'[Pipeline a]\nLaunch = fakesrc name=x\0y ! fakesink\n', [(2, 24, 'NUL', 'text')]),
    'too large': ('#' * (256 * 1024 + 1), [(1, 1, '256 KiB', 'right file')]),
    'element missing': (HEAD + 'fakesrc ! fakesinc\n', [(3, 15, "'fakesinc'", 'fakesink')]),
    'element from a package': (HEAD + 'nvh264fooenc ! fakesink\n',
                               [(3, 5, "'nvh264fooenc'", 'plugins-bad')]),
    'property missing': (HEAD + 'fakesrc num-bufers=1 ! fakesink\n',
                         [(3, 13, "'num-bufers'", 'num-buffers')]),
    'bad property value': (HEAD + 'fakesrc ! fakesink sync=maybe\n', [(3, 29, "'maybe'", 'true')]),
    'value out of range': (HEAD + 'fakesrc num-buffers=-9 ! fakesink\n', [(3, 25, "'-9'", '-1')]),
    'link without end': (HEAD + 'fakesrc ! fakesink !\n', [(3, 24, "'!'", 'element')]),
    'link twice': (HEAD + 'fakesrc ! ! fakesink\n', [(3, 15, "'!'", 'element')]),
    'link missing': (HEAD + 'fakesrc fakesink\n', [(3, 5, 'fakesrc', "'!'"),
                                                  (3, 13, 'fakesink', "'!'")]),
    'bin not closed': (HEAD + 'fakesrc ! ( queue ! fakesink\n', [(3, 15, "'('", "')'")]),
    'quote not closed': (HEAD + 'fakesrc ! fakesink name="a\n', [(3, 29, "'name'", '"')]),
    'caps in quotes': (HEAD + "fakesrc ! 'video/x-raw' ! fakesink\n", [(3, 15, 'video/x-raw', 'quotes')]),
    'bad caps': (HEAD + 'fakesrc ! video/x-raw,a=b=c ! fakesink\n', [(3, 15, 'caps', 'field=value')]),
    'nothing of that name': (HEAD + 'fakesrc ! t. tee name=tt ! fakesink\n', [(3, 15, "'t'", 't')]),
    'link cannot work': (HEAD + 'audiotestsrc ! videoconvert ! fakesink\n',
                         [(3, 18, 'audiotestsrc', 'between')]),
    'mistake in a description': (HEAD + 'videotestsrc !\n    fpsdisplaysink '
                                 'video-sink="identity ! fakesink snyc=true"\n',
                                 [(4, 52, "'snyc'", 'sync')]),
    'several at once': ('[Variables]\nX = ${NIX}\n[Pipeline a]\nLaunch = fakesrc ! fakesinc\n'
                        'Restart = x\n[Pipeline b]\nLaunch = fakesrk ! fakesink\n[Halth]\n',
                        [(2, 5, "'NIX'", 'NIX'), (4, 20, "'fakesinc'", 'fakesink'),
                         (5, 11, "'x'", 'always'), (7, 10, "'fakesrk'", 'fakesrc'),
                         (8, 1, "'Halth'", 'Health')]),
}

PROBLEM = re.compile(r'^(.*):(\d+):(\d+): error: (.*)\n  hint: (.+)$', re.M)


def keeprolling(t, *words, **env):
    """Runs it in the test's folder; returns (exit status, stdout, stderr)."""
    out = subprocess.run([KEEPROLLING, *map(str, words)], cwd=t.dir, capture_output=True,
                         text=True, timeout=60, env=environment(**env))
    return out.returncode, out.stdout, out.stderr


def write(t, name, content):
    path = t.dir / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def expect(name, path, expected, stderr):
    found = PROBLEM.findall(stderr)
    check(len(found) == len(expected), f'{name}: {len(expected)} mistakes expected:\n{stderr}')
    for (where, line, column, message, hint), (l, c, word, right) in zip(found, expected):
        check((where, int(line), int(column)) == (str(path), l, c),
              f'{name}: not at {path}:{l}:{c}:\n{stderr}')
        check(word in message, f'{name}: the word {word} is not in: {message}')
        check(right in hint, f'{name}: {right} is not in the hint: {hint}')


@test
def there_are_at_least_twenty_kinds(t):
    check(len(BAD) >= 20, f'only {len(BAD)}')


@test(limit=240)
def check_reports_each(t):
    for name, (content, expected) in BAD.items():
        path = write(t, 'bad.pipeline', content)
        status, stdout, stderr = keeprolling(t, 'check', path)
        check(status == 65, f'{name}: exit status {status}\n{stderr}')
        check(stdout == '', f'{name}: {stdout}')
        expect(name, path, expected, stderr)
        path.unlink()
        check(not list(t.dir.iterdir()), f'{name}: check left something behind')


@test(limit=240)
def run_reports_each_and_starts_nothing(t):
    """One bad file beside a good one: neither is started, and what is recorded stays."""
    out = t.dir / 'out'
    write(t, 'out/old.ts', b'recorded earlier')
    good = write(t, 'good.pipeline', HEAD + f'videotestsrc ! filesink location={out}/new\n')
    state, runtime = t.dir / 'state', t.dir / 'runtime'
    state.mkdir()
    runtime.mkdir()
    for name, (content, expected) in BAD.items():
        path = write(t, 'bad.pipeline', content)
        status, stdout, stderr = keeprolling(t, 'run', good, path, RUNTIME_DIRECTORY=runtime,
                                             STATE_DIRECTORY=state)
        check(status == 65, f'{name}: exit status {status}\n{stderr}')
        expect(name, path, expected, stderr)
        check([p.name for p in out.iterdir()] == ['old.ts'], f'{name}: something was started')
        check((out / 'old.ts').read_bytes() == b'recorded earlier', f'{name}: something was lost')


@test
def files_that_cannot_be_read(t):
    good = write(t, 'good.pipeline', GOOD)
    (t.dir / 'folder').mkdir()
    cases = [
        ([t.dir / 'none.pipeline'], "no file", 'path of a pipeline file'),
        ([t.dir / 'good'], 'no file', 'did you mean'),
        ([good, t.dir / 'none.pipeline'], 'no file', 'path'),
        ([t.dir / 'folder'], 'no pipeline file in the folder', '.pipeline'),
    ]
    if os.geteuid() != 0:
        secret = write(t, 'secret.pipeline', GOOD)
        secret.chmod(0)
        cases.append(([secret], 'secret.pipeline', 'able to read'))
    for words, message, hint in cases:
        status, stdout, stderr = keeprolling(t, 'check', *words)
        check(status == 66, f'{words}: exit status {status}\n{stderr}')
        check(message in stderr and hint in stderr, stderr)


@test
def values_from_the_command_line(t):
    path = write(t, 'x.pipeline', '[Variables]\nN = 1\nSINK = nosuch\n' + HEAD +
                 'fakesrc num-buffers=${N} ! ${SINK}\n')
    cases = [
        ([], {}, 65, "'nosuch'", ''),
        (['--set', 'SINK=fakesink'], {}, 0, '', ''),
        ([], {'SINK': 'fakesink'}, 0, '', ''),
        (['--set', 'SINK=fakesink'], {'SINK': 'nosuch'}, 0, '', ''),
        (['--set', 'SINK=fakesink', '--set=N=x'], {}, 65, "'x'", 'a number from -1'),
        (['--set', 'SINK=fakesink', '--set', 'M=geheim'], {}, 78, '--set M', '${M}'),
        (['--set', 'SINK=fakesink', '--set', 'SINC=geheim'], {}, 78, '--set SINC', 'SINK'),
        (['--set', 'geheim'], {}, 78, "'='", 'NAME=VALUE'),
        (['--set', '1=geheim'], {}, 78, "'1'", 'letters'),
        (['--sett', 'A=1'], {}, 64, 'sett', '--set?'),
    ]
    for words, env, expected, message, hint in cases:
        status, stdout, stderr = keeprolling(t, 'check', *words, path, **env)
        check(status == expected, f'{words}: exit status {status}\n{stderr}')
        check(message in stderr and hint in stderr, f'{words}: {stderr}')
        check('=geheim' not in stderr, f'the value is shown: {stderr}')


@test
def usage(t):
    cases = [
        ([], 64, 'no command', '--help'),
        (['chekc', 'x'], 64, "'chekc'", 'did you mean check?'),
        (['frobnicate'], 64, "'frobnicate'", '--help'),
        (['--frob'], 64, "'--frob'", '--help'),
        (['check'], 64, 'no pipeline file given', 'path'),
        (['check', '--jsno', 'x'], 64, 'jsno', '--json?'),
    ]
    for words, expected, message, hint in cases:
        status, stdout, stderr = keeprolling(t, *words)
        check(status == expected, f'{words}: exit status {status}\n{stderr}')
        check(message in stderr and hint in stderr, f'{words}: {stderr}')
    for words, text in ((['--help'], 'check'), (['--version'], 'keeprolling '),
                        (['check', '--help'], '--json')):
        status, stdout, stderr = keeprolling(t, *words)
        check(status == 0 and text in stdout and not stderr, f'{words}: {status} {stderr}')


@test
def good_files_and_folders(t):
    write(t, 'f/b.pipeline', GOOD)
    write(t, 'f/a.pipeline', GOOD.replace('\n', '\r\n'))
    write(t, 'f/notes.txt', 'not a pipeline file')
    status, stdout, stderr = keeprolling(t, 'check', 'f')
    check((status, stdout, stderr) == (0, 'f/a.pipeline: ok\nf/b.pipeline: ok\n', ''),
          f'{status} {stdout} {stderr}')
    status, stdout, stderr = keeprolling(t, 'check', '--quiet', 'f', 'f/a.pipeline')
    check((status, stdout, stderr) == (0, '', ''), f'{status} {stdout} {stderr}')
    write(t, 'g/a.pipeline', GOOD)
    status, stdout, stderr = keeprolling(t, 'check', 'f', 'g')
    check(status == 78 and "'a'" in stderr, f'{status} {stdout} {stderr}')


@test
def as_json(t):
    write(t, 'a.pipeline', GOOD)
    write(t, 'b.pipeline', HEAD + 'fakesrc ! "x\n')
    status, stdout, stderr = keeprolling(t, 'check', '--json', '.')
    files = json.loads(stdout)['files']
    check(status == 65 and stderr == '', f'{status} {stderr}')
    check([(f['path'], f['ok']) for f in files] == [('./a.pipeline', True),
                                                    ('./b.pipeline', False)], stdout)
    problem = files[1]['problems'][0]
    check(problem['line'] == 3 and problem['message'] and problem['hint'], stdout)


@test
def secrets_are_not_shown(t):
    path = write(t, 'x.pipeline', '[Variables]\nP = geheim\n[Pipeline a]\nLaunch = fakesrc '
                 'passphrase=${P} ! srt://h?passphrase=geheim filesrc num=geheim passphrase=geheim '
                 '! fakesink silent=false uri="srt://a?passphrase=geheim"\n[Alerts]\n'
                 'Webhook = ftp://h/geheim\n')
    status, stdout, stderr = keeprolling(t, 'check', path)
    check(status == 65 and 'geheim' not in stdout + stderr, stderr)


run()
