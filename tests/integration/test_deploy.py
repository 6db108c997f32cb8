#!/usr/bin/env python3
# keeprolling - what is shipped for systemd and Prometheus does what it says
# SPDX-License-Identifier: LGPL-2.1-or-later

import json
import re
import shutil
import subprocess

from support import BUILD, SOURCE, Skip, check, run, test

UNIT = BUILD / 'deploy' / 'keeprolling@.service'
PROMETHEUS = SOURCE / 'deploy' / 'prometheus'


def tool(name):
    """The path of a tool that only the tests need; ./bootstrap fetches promtool on its own."""
    path = shutil.which(name) or shutil.which(name, path=BUILD / 'tools')
    if path is None:
        raise Skip(f'{name} is not installed')
    return path


def call(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL)


@test
def alert_rules_hold(t):
    done = call(tool('promtool'), 'test', 'rules', PROMETHEUS / 'keeprolling.test.yml')
    check(done.returncode == 0, done.stdout + done.stderr)


@test
def every_alert_rule_has_a_test(t):
    rules = set(re.findall(r'- alert: (\w+)', (PROMETHEUS / 'keeprolling.rules.yml').read_text()))
    tested = set(re.findall(r'alertname: (\w+)\n\s+exp_alerts:\n',
                            (PROMETHEUS / 'keeprolling.test.yml').read_text()))
    check(rules == tested, f'rules without a test that sees them fire: {sorted(rules - tested)}')


def exported():
    """What the program exports, by its own table."""
    table = (SOURCE / 'launcher/core/metrics.c').read_text().partition('families[] = {')[2]
    names = re.findall(r'\{\{"(\w+)", "(counter|gauge|histogram)"', table)
    found = {'up'}
    for name, kind in names:
        full = name if name.startswith('process_') else f'keeprolling_{name}'
        found |= {f'{full}_{part}' for part in ('bucket', 'sum', 'count')} \
            if kind == 'histogram' else {full}
    return found


def used(expressions):
    return set(re.findall(r'\b(?:keeprolling|process)_\w+', '\n'.join(expressions)))


@test
def alert_rules_use_what_is_exported(t):
    text = (PROMETHEUS / 'keeprolling.rules.yml').read_text()
    expressions = re.findall(r'expr: (?:\|\n((?:          .*\n)+)|(.*))', text)
    names = used(''.join(pair) for pair in expressions)
    check(len(names) > 8 and names <= exported(), f'not exported: {sorted(names - exported())}')


@test
def the_dashboard_uses_what_is_exported(t):
    board = json.loads((SOURCE / 'deploy/grafana/keeprolling.json').read_text())
    panels = [panel for panel in board['panels'] if 'targets' in panel]
    names = used(target['expr'] for panel in panels for target in panel['targets'])
    check(len(names) > 12 and names <= exported(), f'not exported: {sorted(names - exported())}')
    places = [(p['gridPos']['x'], p['gridPos']['y']) for p in board['panels']]
    check(len(set(places)) == len(places), 'two panels lie on each other')
    check(all(p.get('description') for p in panels), 'a panel without a description')


@test
def the_unit_is_sandboxed(t):
    done = call(tool('systemd-analyze'), 'security', '--offline=true', '--threshold=40', UNIT)
    if "create directory '/run/systemd" in done.stderr:
        raise Skip('systemd-analyze needs /run/systemd, which nobody has made here')
    check(done.returncode == 0, done.stdout[-600:] + done.stderr)


@test
def the_unit_names_what_restarting_cannot_cure(t):
    unit = UNIT.read_text()
    codes = re.search(r'^RestartPreventExitStatus=(.*)$', unit, re.M)[1].split()
    check(codes == ['64', '65', '66', '78'], f'RestartPreventExitStatus={codes}')
    check('Type=notify' in unit and 'WatchdogSec=30' in unit, 'no readiness or no watchdog')


@test
def the_unit_lets_workers_finish(t):
    """With KillMode=mixed systemd kills them as soon as the supervisor has crashed; what else has
    been seen under a real systemd is in tests/systemd."""
    check(re.search(r'^KillMode=control-group$', UNIT.read_text(), re.M), 'KillMode=')


if __name__ == '__main__':
    run()
