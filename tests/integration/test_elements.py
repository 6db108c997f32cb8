#!/usr/bin/env python3
# keeprolling - what gst-inspect-1.0 says about each of our elements
# SPDX-License-Identifier: LGPL-2.1-or-later

import re
import subprocess

from support import BUILD, check, environment, run, test

NUMBERS = ('Integer', 'Unsigned Integer', 'Integer64', 'Unsigned Integer64', 'Double', 'Float')
UNIT = re.compile(r'\b(ns|nanoseconds|microseconds|ms|milliseconds|s|seconds|bytes?|bytes per second|B/s|'
                  r'ppm|Hz|packets?|buffers|frames?|files?|segments?|number of|count|streams?|'
                  r'permissions?|samples?|times|sequence number)\b', re.I)


def inspect(*names):
    return subprocess.run(['gst-inspect-1.0', '--no-colors', *names], capture_output=True, text=True,
                          env=environment(), check=True).stdout


def elements():
    text = inspect(BUILD / 'plugins' / 'libgstkeeprolling.so')
    return re.findall(r'^  ([a-z0-9]+): ', text, re.M)


def properties(name):
    """name -> (blurb, the lines below it)"""
    text = inspect(name).partition('\nElement Properties:\n')[2]
    text = re.split(r'\n(?=\S)', text)[0]
    found = {}
    for match in re.finditer(r'^  ([a-z0-9-]+) *: (.*)\n((?:   .*\n?|\n)*)', text, re.M):
        found[match[1]] = (match[2], match[3])
    return found


def inherited():
    """What the base classes bring is documented by GStreamer."""
    names = set()
    for stock in 'fakesink', 'fakesrc', 'identity', 'bin':
        names |= set(properties(stock))
    return names - {'stats'}


@test
def the_plugin_has_elements(t):
    names = elements()
    t.note(' '.join(names))
    check({'growthmonitorsink'} <= set(names), f'elements: {names}')


@test
def every_property_says_what_unit_and_default(t):
    stock = inherited()
    wrong = []
    for element in elements():
        for name, (blurb, rest) in properties(element).items():
            if name in stock:
                continue
            where = f'{element}: {name}: "{blurb}"'
            if len(blurb.split()) < 3:
                wrong.append(f'{where}: says too little')
            kind = re.search(r'^ {20,}(\w[\w ]*)\. Range: .*Default: \S+', rest, re.M)
            writable = 'writable' in rest
            if kind and kind[1] in NUMBERS and not UNIT.search(blurb):
                wrong.append(f'{where}: a number without a unit')
            if writable and 'Default:' not in rest and 'Object of type' not in rest:
                wrong.append(f'{where}: no default')
    check(not wrong, '\n'.join(wrong))


@test
def every_element_introduces_itself(t):
    wrong = []
    for element in elements():
        text = inspect(element)
        for field in 'Long-name', 'Klass', 'Description', 'Author':
            found = re.search(rf'^  {field} +(\S.*)$', text, re.M)
            if not found or len(found[1]) < 4:
                wrong.append(f'{element}: {field}')
    check(not wrong, '\n'.join(wrong))


@test
def numbers_are_in_stats(t):
    missing = [name for name in elements() if 'stats' not in properties(name)]
    check(not missing, f'no "stats" property: {missing}')


run()
