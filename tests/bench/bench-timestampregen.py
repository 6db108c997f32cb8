#!/usr/bin/env python3
# keeprolling - what timestampregen costs per buffer, as a ratio to identity in one run
# SPDX-License-Identifier: LGPL-2.1-or-later
"""bench-timestampregen.py [--runs N] [--buffers N] [--json]

The same clean buffers through nothing, identity and timestampregen (not live and live),
A B C A B C. CPU of the whole process, medians with lowest and highest. "ratio" is the
whole pipeline against the one with identity; "own" is what the element itself takes, the bare
pipeline subtracted, against what identity takes."""

import json
import os
import statistics
import subprocess
import sys

SOURCE = ('fakesrc num-buffers={buffers} format=time datarate=2500000 sizetype=fixed sizemax=100000 '
          'filltype=nothing ! video/x-vp8,framerate=25/1 ')
PIPELINES = {
    'bare': SOURCE + '! fakesink',
    'identity': SOURCE + '! identity ! fakesink',
    'timestampregen': SOURCE + '! timestampregen live=false ! fakesink',
    'live': SOURCE + '! timestampregen live=true max-lag=3600000000000 ! fakesink',
}


def cpu(description):
    """Seconds of user and system time of one run."""
    child = subprocess.Popen(['gst-launch-1.0', '-q', *description.split()],
                             stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f'failed: {description}')
    return usage.ru_utime + usage.ru_stime


def option(name, fallback):
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else fallback


def main():
    runs, buffers = option('--runs', 7), option('--buffers', 1000000)
    results = {name: [] for name in PIPELINES}
    for _ in range(runs):
        for name, description in PIPELINES.items():
            results[name].append(cpu(description.format(buffers=buffers)))
    table = {}
    for name, rows in results.items():
        # Neighbours in time share the machine's mood: compare within a round.
        ratios = [row / other for row, other in zip(rows, results['identity'])]
        own = [(row - bare) / (other - bare) for row, other, bare in
               zip(rows, results['identity'], results['bare']) if other > bare]
        table[name] = {'cpu_s': statistics.median(rows), 'spread_s': [min(rows), max(rows)],
                       'ns_per_buffer': statistics.median(rows) / buffers * 1e9,
                       'ratio': statistics.median(ratios), 'own': statistics.median(own)}
    if '--json' in sys.argv:
        print(json.dumps({'buffers': buffers, 'runs': runs, 'pipelines': table}))
        return
    for name, row in table.items():
        print(f"{name:15} {row['ns_per_buffer']:7.0f} ns/buffer  cpu {row['cpu_s']:.2f} s "
              f"({row['spread_s'][0]:.2f}-{row['spread_s'][1]:.2f})  ratio {row['ratio']:.2f}  "
              f"own {row['own']:.2f}")


main()
