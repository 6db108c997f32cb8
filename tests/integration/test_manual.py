#!/usr/bin/env python3
# keeprolling - the manual says what the program does, no more and no less
# SPDX-License-Identifier: LGPL-2.1-or-later

import re
import subprocess

from support import BUILD, KEEPROLLING, SOURCE, Skip, check, environment, run, test

COMMAND_PAGE = SOURCE / 'docs' / 'keeprolling.1.scd'
FILE_PAGE = SOURCE / 'docs' / 'keeprolling-pipeline.5.scd'


def help_of(*words):
    out = subprocess.run([KEEPROLLING, *words, '--help'], capture_output=True, text=True,
                         timeout=30, env=environment())
    check(out.returncode == 0, f'{words} --help: {out.stderr}')
    return out.stdout


def commands():
    listed = re.search(r'^Commands:\n((?:  .*\n)+)', help_of(), re.M)[1]
    return re.findall(r'^  (\S+)', listed, re.M)


def sections(text, mark):
    """{heading: text below it} for headings of one depth."""
    parts = re.split(rf'^{mark} (.+)\n', text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def options(text):
    """All options with their short forms, as --help prints them or the manual defines them."""
    return set(re.findall(r'^\s*\**((?:-\w\**, \**)?--[\w-]+)', text, re.M))


def plain(names):
    return {name.replace('*', '') for name in names}


@test
def every_command_and_option_is_in_the_manual(t):
    manual = sections(sections(COMMAND_PAGE.read_text(), '#')['COMMANDS'], '##')
    check(commands() == sorted(commands()), f'--help is not in order: {commands()}')
    check(set(manual) == set(commands()),
          f'docs/keeprolling.1.scd needs a section for each command in --help: '
          f'in the manual alone: {set(manual) - set(commands())}; '
          f'in the program alone: {set(commands()) - set(manual)}')
    for command in commands():
        real = options(help_of(command)) - {'-h, --help'}
        told = plain(options(manual[command]))
        check(real == told, f'{command}: in the program alone {real - told}, '
                            f'in the manual alone {told - real}')
        check(f'*keeprolling {command}*' in manual[command], f'{command} has no synopsis')


@test
def exit_codes_are_in_the_manual(t):
    header = (SOURCE / 'launcher' / 'core' / 'exit-code.h').read_text()
    codes = set(re.findall(r'^  KR_EXIT_\w+ = (\d+)', header, re.M))
    told = set(re.findall(r'^\*(\d+)\*$', COMMAND_PAGE.read_text(), re.M))
    check(codes == told, f'{codes ^ told}')


def problems(t, text):
    path = t.dir / 'x.pipeline'
    path.write_text(text)
    out = subprocess.run([KEEPROLLING, 'check', path], capture_output=True, text=True,
                         timeout=30, env=environment())
    return out.stderr


@test
def every_key_is_in_the_manual(t):
    """The keys of each group, as the hint for a key that does not exist lists them."""
    page = sections(FILE_PAGE.read_text(), '#')
    for group, heading in (('Pipeline x', 'PIPELINE NAME'), ('Health', 'HEALTH'),
                           ('Alerts', 'ALERTS'), ('Handover', 'HANDOVER')):
        errors = problems(t, f'[{group}]\nZzzzzzzzzzzzzzz = 1\n')
        keys = re.search(r'hint: one of: (.*)', errors)[1].split(', ')
        told = re.findall(r'^\*(\w+) =\*', page[f'[{heading}]'], re.M)
        check(keys == told, f'{group}: {keys} != {told}')


@test
def every_range_is_in_the_manual(t):
    """What an absurd value is answered with must stand in the description of the key."""
    page = sections(FILE_PAGE.read_text(), '#')
    for group, heading in (('Pipeline x', 'PIPELINE NAME'), ('Health', 'HEALTH'),
                           ('Handover', 'HANDOVER')):
        for key, text in re.findall(r'^\*(\w+) =\*.*\n((?:\t.*\n)+)', page[f'[{heading}]'], re.M):
            value = '9999999' if 'Threshold' in key or 'Burst' in key else '3000h'
            errors = problems(t, f'[{group}]\n{key} = {"1" if key == "MemoryMax" else value}\n')
            told = re.search(rf"{key}: .* is out of range\n  hint: (?:from )?(.*)", errors)
            if not told:
                check(key in ('Launch', 'Camera', 'Restart', 'CheckURL', 'Webhook'), errors)
                continue
            words = ' '.join(text.split())
            told = told[1].split(', or')[0]
            told = re.sub(r'^0 to', 'Up to', told)
            check(told in words, f'{key}: "{told}" is not in: {words}')


@test
def every_default_is_in_the_manual(t):
    source = (SOURCE / 'launcher' / 'core' / 'pipeline-file.c').read_text()
    page = FILE_PAGE.read_text()
    units = {'MS': 'ms', 'SECOND': 's', 'MINUTE': 'min', 'HOUR': 'h', 'DAY': 'd'}
    rows = re.findall(r'\{\{"(\w+)", "(\w+)"\}, KEY_(TIME|COUNT|SIZE), [^)]*\), ([^,]+),', source)
    check(len(rows) >= 13, f'only {len(rows)} rows found')
    for group, key, kind, default in rows:
        number, _, unit = default.partition(' * ') if '*' in default else ('1', '', default)
        if default in units:
            told = f'1{units[default]}'
        elif unit in units:
            told = number + units[unit]
        else:
            told = default
        section = page.split(f'[{group.upper()}', 1)[1]
        text = re.search(rf'^\*{key} =\*.*\n((?:\t.*\n)+)', section, re.M)[1]
        check(f'Default: _{told}_' in ' '.join(text.split()), f'{key}: {told} is not in {text}')


@test
def examples_can_be_parsed(t):
    """What the manual shows may need elements that are not here, but has no other mistake."""
    n = 0
    for page in (FILE_PAGE,):
        for example in re.findall(r'^```\n(.*?)^```', page.read_text(), re.M | re.S):
            if '[Pipeline' not in example:
                continue
            n += 1
            example = re.sub(r'\\(.)', r'\1', example)  # as scdoc reads it
            errors = re.findall(r'error: (.*)', problems(t, example))
            check(all('no element' in error for error in errors), f'{example}\n{errors}')
    check(n >= 3, f'only {n} examples')


@test
def pages_are_built(t):
    pages = [BUILD / 'docs' / name for name in ('keeprolling.1', 'keeprolling-pipeline.5')]
    if not all(page.exists() for page in pages):
        raise Skip('built without docs')
    for page in pages:
        text = page.read_text()
        check('.SH NAME' in text and '.SH SEE ALSO' in text, f'{page} is no manual page')


run()
