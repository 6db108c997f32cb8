#!/usr/bin/env python3
# keeprolling - the rules of the house, checked on the tree and on the built files
# SPDX-License-Identifier: LGPL-2.1-or-later

import json
import re
import shutil
import subprocess

from support import BUILD, LISTEN, SOURCE, Skip, check, run, test

# Folder -> the folders whose headers it may include. Elements and the launcher meet in
# plugins/common only; engine and services never see each other.
MAY_INCLUDE = {
    'plugins/common': {'plugins/common'},
    'plugins': {'plugins', 'plugins/common'},
    'launcher/core': {'launcher/core', 'plugins/common'},
    'launcher/engine': {'launcher/engine', 'launcher/core', 'plugins/common'},
    'launcher/services': {'launcher/services', 'launcher/core', 'plugins/common'},
    'launcher/app': {'launcher/app', 'launcher/engine', 'launcher/services', 'launcher/core',
                     'plugins/common'},
}
# <folder/...> that only these may include.
ONLY = {
    'gst/': {'plugins', 'launcher/engine'},
    'gio/': {'launcher/engine', 'launcher/services', 'launcher/app'},
    'libsoup/': {'launcher/services'},
    'sqlite3': {'launcher/services'},
    'json-glib/': {'launcher/services', 'launcher/app'},
}


def folder_of(path):
    return str(path.parent.relative_to(SOURCE))


def sources(*endings):
    for folder in MAY_INCLUDE:
        for ending in endings:
            yield from sorted((SOURCE / folder).glob(f'*{ending}'))


@test
def includes_follow_the_layers(t):
    wrong = []
    for path in sources('.c', '.h'):
        folder = folder_of(path)
        for number, line in enumerate(path.read_text().splitlines(), 1):
            own = re.match(r'#\s*include\s+"([^"]+)"', line)
            if own and own[1] != 'config.h':
                target = own[1].rpartition('/')[0]
                if target not in MAY_INCLUDE[folder]:
                    wrong.append(f'{path.relative_to(SOURCE)}:{number}: {own[1]}')
            other = re.match(r'#\s*include\s+<([^>]+)>', line)
            for prefix, allowed in ONLY.items():
                if other and other[1].startswith(prefix) and folder not in allowed:
                    wrong.append(f'{path.relative_to(SOURCE)}:{number}: <{other[1]}>')
    check(not wrong, 'includes against the layers:\n' + '\n'.join(wrong))


def compile_flags():
    """Per folder the flags of one of its files, as the build has them."""
    flags = {}
    for entry in json.loads((BUILD / 'compile_commands.json').read_text()):
        path = (BUILD / entry['file']).resolve()
        if SOURCE not in path.parents or folder_of(path) in flags:
            continue
        words = entry['command'].split()
        flags[folder_of(path)] = [word for word in words if word.startswith(('-I', '-D', '-std'))]
    return flags


@test(limit=240)
def every_header_compiles_alone(t):
    compiler = shutil.which('cc') or shutil.which('gcc') or shutil.which('clang')
    check(compiler, 'no C compiler')
    flags = compile_flags()
    bad = []
    for path in sources('.h'):
        if LISTEN == '--listen=none' and '<libsoup/' in path.read_text():
            continue        # of the part that was not built; its library need not be there
        source = t.dir / 'alone.c'
        source.write_text(f'#include "{path.relative_to(SOURCE)}"\n'
                          f'#include "{path.relative_to(SOURCE)}"\n')
        done = subprocess.run([compiler, '-fsyntax-only', '-Wall', '-Werror',
                               *flags.get(folder_of(path), flags['launcher/core']), f'-I{SOURCE}', source],
                              cwd=BUILD, capture_output=True, text=True, check=False)
        if done.returncode:
            bad.append(f'{path.relative_to(SOURCE)}:\n{done.stderr}')
    check(not bad, '\n'.join(bad))


@test
def plugin_exports_its_entry_points_alone(t):
    plugin = BUILD / 'plugins' / 'libgstkeeprolling.so'
    if not shutil.which('nm'):
        raise Skip('no nm')
    done = subprocess.run(['nm', '-D', '--defined-only', plugin], capture_output=True, text=True,
                          check=True)
    names = {line.split()[-1] for line in done.stdout.splitlines()}
    # Sanitizers export bookkeeping of their own.
    names = {name for name in names if not name.startswith(('__asan', '__odr_asan', '__ubsan'))}
    expected = {'gst_plugin_keeprolling_get_desc', 'gst_plugin_keeprolling_register'}
    check(names == expected, f'exported: {sorted(names)}')


@test
def messages_are_documented(t):
    """docs/messages.md and plugins/common/messages.h name the same messages and words."""
    header = (SOURCE / 'plugins/common/messages.h').read_text()
    text = (SOURCE / 'docs/messages.md').read_text()
    messages = dict(re.findall(r'#define (KR_(?:MSG|REASON|STALL|DISCONT)_\w+)\s+"([^"]+)"', header))
    missing = [value for value in messages.values() if f'`{value}`' not in text]
    check(not missing, f'docs/messages.md does not name {missing}')
    headings = re.findall(r'^### `([^`]+)`$', text, re.M)
    known = {value for name, value in messages.items() if name.startswith('KR_MSG_')}
    check(set(headings) == known, f'headings {sorted(set(headings) ^ known)} differ from the header')
    # The fields that the comment above each message lists stand in that message's section.
    # Two headings in a row share a section.
    sections = dict(re.findall(r'^### `([^`]+)`\n(?=((?:### .*\n)?.*?)(?:^##|\Z))',
                               text, re.M | re.S))
    for comment, names in re.findall(r'/\*((?:(?!\*/).)*)\*/\n((?:#define KR_MSG_\w+\s+"[^"]+"\n)+)',
                                     header, re.S):
        # "What it means. field, field (remark), field": the list stands behind the last stop.
        words = re.sub(r'\([^)]*\)|^ \* ?', ' ', comment, flags=re.M)
        fields = set(re.findall(r'[a-z][a-z-]*', re.split(r'[.:;]\s', words.strip())[-1]))
        for message in re.findall(r'"([^"]+)"', names):
            absent = [field for field in fields if f'`{field}`' not in sections[message]]
            check(not absent, f'docs/messages.md, {message}: {absent}')


run()
