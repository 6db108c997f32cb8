#!/usr/bin/env python3
# keeprolling - a worker that does what a test tells it to
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Speaks the worker's side of the channel on descriptor 3 and writes a file that grows, without
GStreamer. KR_FAKE_DIR/LABEL.plan has one word per start of the worker of LABEL.pipeline; when the
words are used up, and without a plan, it behaves. KR_FAKE_DIR/LABEL.log tells what it went through:
one line per event with pid, monotonic time and a word.

    ok              records, finishes its file when told to
    crash:SECONDS   records for so long, then dies of SIGSEGV
    stillborn:SECONDS  reports that it starts for so long, then dies of SIGSEGV
    exit:CODE       records for a moment, then exits
    no-hello        says nothing at all, does nothing
    silent          records for a moment, then neither reports nor writes, and hears nothing
    silent-writing  records, then reports no more but writes on
    garbled         records, then sends nonsense in place of reports
    flood           records, then sends an endless line as fast as it can
    deaf            records, but ignores being told to stop
    stalled         reports that its recording does not grow
    absent          reports that its source is absent
    failed          reports that its pipeline has failed
    hungry:MB       records and holds so much memory
    late:SECONDS    records after so long
    unsteady        records all the time, but its reports come now early, now late
    lies            claims impossible figures, other workers' messages, unknown fields"""

import json
import os
import pathlib
import select
import signal
import socket
import sys
import time

line = socket.socket(fileno=3)
fake_dir = pathlib.Path(os.environ['KR_FAKE_DIR'])


def say(**message):
    line.sendall(json.dumps(message).encode() + b'\n')


def read_config():
    received = b''
    while not received.endswith(b'\n'):
        part = line.recv(1)                     # and not a byte of what comes after it
        if not part:
            sys.exit(0)
        received += part
    return json.loads(received)


config = read_config()
label = pathlib.Path(config['path']).name.removesuffix('.pipeline')


def note(word):
    with open(fake_dir / f'{label}.log', 'a') as log:
        log.write(f'{os.getpid()} {time.monotonic():.6f} {word}\n')


def take_word():
    log = fake_dir / f'{label}.log'
    starts = log.read_text().count(' start ') if log.exists() else 0
    plan = fake_dir / f'{label}.plan'
    words = plan.read_text().split() if plan.exists() else []
    return words[starts] if starts < len(words) else 'ok'


word, _, argument = take_word().partition(':')
note(f'start {word}')
began = time.monotonic()
ballast = bytearray(int(argument) * 1000 * 1000) if word == 'hungry' else b''
final = fake_dir / f'{label}-{config["instance"]}.ts'
temp = fake_dir / f'{label}-{config["instance"]}.recording.ts'
PACKET = b'\x47\x1f\xff\x10' + b'\xff' * 184          # a null packet
PSI = bytes.fromhex('47400010 0000b00d 0001c100 000001f0 002ab104 b2') + b'\xff' * 167
written = buffers = 0
file = None


def now_us():
    return time.time_ns() // 1000


def write():
    global file, written, buffers
    if file is None:
        file = open(temp, 'wb', buffering=0)
    written += file.write(PACKET * 50)
    buffers += 50


def report(**other):
    pipeline = {
        'name': 'record', 'camera': 'record', 'state': 'playing', 'since_utc_us': now_us(),
        'written_bytes': written, 'received_bytes': written, 'buffers': buffers,
        'keyframes': buffers // 50, 'has_growth': True, 'stalled': False, 'sources': 1,
        'last_growth_utc_us': now_us() if written else 0, 'last_buffer_utc_us': now_us(),
        'segment_path': str(final), 'disk_runway_s': 1e6, 'discontinuities': {'gap': 1}}
    pipeline.update(other)
    say(type='report', pipelines=[pipeline], rss=12345678, io_age_us=-1)


def finish(code=0):
    if file is not None:
        file.close()
        os.rename(temp, final)
    note('finish')
    try:
        say(type='bye', code=code)
    except OSError:
        pass
    os._exit(code)


def commands(seconds):
    """Waits, and finishes when told to stop or when the supervisor is gone."""
    ready, _, _ = select.select([line], [], [], seconds)
    if not ready:
        return
    try:
        received = line.recv(65536)
    except OSError:
        received = b''
    if not received:
        note('eof')
        finish()
    note('stop')
    if word != 'deaf':
        finish()


def die():
    note('crash')
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)


def behave():
    age = time.monotonic() - began
    if word == 'late' and age < float(argument):
        report(state='starting')
        return
    if word == 'stillborn':
        report(state='starting')
        if age > float(argument or 0.3):
            die()
        return
    if word == 'stalled':
        report(stalled=True, stall_reason='no-growth')
        return
    if word == 'absent':
        report(state='reconnecting', stalled=True, stall_reason='no-input', sources_silent=1)
        return
    if word == 'failed' and age > 0.5:
        report(state='failed', last_reason='10 errors within 60 s')
        return
    if word == 'lies' and age > 0.5:
        for message in ({'type': 'config', 'path': '', 'text': '', 'instance': ''},
                        {'type': 'stop'}, {'type': 'bye', 'code': 0},
                        {'type': 'hello', 'pid': 1, 'version': 'x' * 1000, 'instance': 'y'},
                        {'type': 'event', 'pipeline': 'no-such', 'kind': 'failed', 'text': 'lie'}):
            say(**message)
        report(name='no-such', written_bytes=2 ** 62)
    write()
    report()
    if word == 'crash' and age > float(argument or 0.3):
        die()
    if word == 'exit' and age > 0.3:
        note('exit')
        os._exit(int(argument))


if word == 'no-hello':
    time.sleep(3600)
say(type='hello', pid=os.getpid(), version='fake', instance=config['instance'])
signal.signal(signal.SIGTERM, lambda *_: finish())
signal.signal(signal.SIGINT, lambda *_: note('sigint'))
turn = 0
while True:
    try:
        behave()
        if time.monotonic() - began > 0.6:
            if word == 'silent':
                time.sleep(3600)
            while word == 'silent-writing':
                write()
                time.sleep(0.2)
            while word == 'flood':
                line.sendall(b'x' * 65536)
            while word == 'garbled':
                write()
                line.sendall(b'{"type":"report","pipelines":[[[}\n\xff\xfe\n')
                commands(0.2)
    except (BrokenPipeError, ConnectionResetError):
        note('eof')
        finish()
    turn += 1
    commands((0.5, 1.7)[turn % 2] if word == 'unsteady' else 0.2)
