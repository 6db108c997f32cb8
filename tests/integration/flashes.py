# keeprolling - a clip with flash and beep, sent live by an encoder whose clock does anything
# SPDX-License-Identifier: LGPL-2.1-or-later

import fcntl
import functools
import json
import socket
import statistics
import subprocess
import threading
import time

from support import BUILD, check, environment, packets

PACKET = 188
DATAGRAM = 7 * PACKET
MODULUS = 1 << 33
RATE = 25
SECONDS = 48


BEEP = r"if(lt(mod(t+0.5\,1)\,0.04)\,0.8*sin(2*PI*1000*t)\,0)"


def made(name, rate, sound, seconds, options):
    """A clip with one flash of one frame and one beep of 40 ms at each half second of the clock, made
    once per build folder. sound: mono, or the only channel that beeps: left, right."""
    folder = BUILD / 'test-media'
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{name}-{seconds}-{rate}-{sound}.ts'
    with open(folder / f'{path.name}.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path
        part = path.with_suffix('.part')
        flash = rf"drawbox=c=white:t=fill:enable='lt(mod(t+0.5\,1)\,{1 / rate - 0.001:.3f})'"
        beeps = {'mono': BEEP, 'left': f'{BEEP}|0', 'right': f'0|{BEEP}'}[sound]
        subprocess.run(
            ['ffmpeg', '-v', 'error', '-y', '-nostdin', '-f', 'lavfi', '-i',
             f'color=black:s=320x180:r={rate},{flash}', '-f', 'lavfi', '-i',
             f"aevalsrc='{beeps}':s=48000", '-t', str(seconds), '-c:v', 'libx264', '-bf', '2', '-g',
             str(rate), '-c:a', 'aac', '-f', 'mpegts', *options, part],
            check=True, env=environment())
        part.rename(path)
    return path


def flash_clip(rate=RATE, sound='mono', kbits=0):
    """kbits: a constant rate, by stuffing."""
    return made(f'flash-and-beep-{kbits}', rate, sound, SECONDS,
                ['-preset', 'veryfast', '-sc_threshold', '0', '-pcr_period', '20', '-muxdelay', '0.2',
                 *(['-muxrate', f'{kbits}k'] if kbits else [])])


def quiet_clip(sound):
    """As ffmpeg makes it unless told otherwise: 86 kb/s, a PCR every 80 ms, pictures of one packet,
    and a third of a second of sound in a piece. Nothing is harder on what measures clocks."""
    return made('quiet-flash-and-beep', RATE, sound, SECONDS, [])


# --- a transport stream with another clock --------------------------------------------------

def read_stamp(packet, at):
    return ((packet[at] >> 1 & 7) << 30 | packet[at + 1] << 22 | packet[at + 2] >> 1 << 15 |
            packet[at + 3] << 7 | packet[at + 4] >> 1)


def write_stamp(packet, at, value):
    value %= MODULUS
    packet[at] = packet[at] & 0xf1 | (value >> 30 & 7) << 1
    packet[at + 1] = value >> 22 & 0xff
    packet[at + 2] = value >> 14 & 0xfe | 1
    packet[at + 3] = value >> 7 & 0xff
    packet[at + 4] = value << 1 & 0xfe | 1


def pcr_of(packet):
    """In 90 kHz, or None."""
    if packet[3] & 0x20 and packet[4] >= 7 and packet[5] & 0x10:
        return (packet[6] << 25 | packet[7] << 17 | packet[8] << 9 | packet[9] << 1 |
                packet[10] >> 7)
    return None


def shift(packet, ticks):
    """Moves PCR, PTS and DTS of a packet."""
    pcr = pcr_of(packet)
    if pcr is not None:
        pcr = (pcr + ticks) % MODULUS
        packet[6:10] = (pcr >> 1).to_bytes(4, 'big')
        packet[10] = packet[10] & 0x7f | (pcr & 1) << 7
    payload = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
    if packet[1] & 0x40 and packet[3] & 0x10 and payload + 19 <= PACKET and \
            packet[payload:payload + 3] == b'\0\0\1' and packet[payload + 3] in (0xe0, 0xc0):
        flags = packet[payload + 7]
        for at, bit in (payload + 9, 0x80), (payload + 14, 0x40):
            if flags & bit:
                write_stamp(packet, at, read_stamp(packet, at) + ticks)


# --- encoders ---------------------------------------------------------------------------------

class Udp:
    """Sends datagrams; its going down is its silence."""

    def __init__(self, port):
        self.address = ('127.0.0.1', port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.up = True

    def send(self, datagram):
        if self.up:
            self.socket.sendto(datagram, self.address)

    def go_down(self):
        self.up = False

    def go_up(self):
        self.up = True

    def is_down(self):
        return not self.up

    def ready(self):
        return self.up


class Srt:
    """Listens for callers. Goes down as if the cable were pulled, and comes up as a new process.
    What is sent while nobody listens is gone."""

    def __init__(self, t, port):
        self.t, self.port = t, port
        self.process = None
        self.go_up()

    def go_up(self):
        self.process = self.t.gst_launch(
            f'fdsrc fd=0 blocksize={DATAGRAM} ! srtsink uri=srt://127.0.0.1:{self.port}?mode=listener '
            'latency=120 sync=false async=false wait-for-connection=false', pipe=True)

    def ready(self):
        return 'Setting pipeline to PLAYING' in self.process.output()

    def go_down(self):
        process, self.process = self.process, None
        process.kill()

    def is_down(self):
        return self.process is None

    def send(self, datagram):
        if self.process is not None:
            self.process.popen.stdin.write(datagram)
            self.process.popen.stdin.flush()


class Feed(threading.Thread):
    """Sends a clip in real time through an encoder. troubles: (from second, to second, what),
    counted from begin(); what is one of
    ('shift', seconds)  the clock is that far ahead
    'silence'           nothing is sent
    'loss'              every third datagram is
    'down'              there is no encoder; afterwards it goes on with the clip
    'restart'           there is no encoder; afterwards it begins anew, clocks and counters at zero"""

    def __init__(self, encoder, path, troubles):
        super().__init__(daemon=True)
        data = path.read_bytes()
        self.packets = [data[at:at + PACKET] for at in range(0, len(data) - PACKET + 1, PACKET)]
        self.encoder = encoder
        self.troubles = troubles
        self.origin = None
        self.stopping = threading.Event()
        self.error = None

    def begin(self):
        self.origin = time.monotonic()

    def lasts(self):
        """Seconds since begin()."""
        return time.monotonic() - self.origin if self.origin is not None else 0

    def at(self, now):
        found = [what for begin, end, what in self.troubles if begin <= now < end]
        ticks = sum(round(what[1] * 90000) for what in found if what[0] == 'shift')
        return ticks, {what for what in found if isinstance(what, str)}

    def stop(self):
        self.stopping.set()
        self.join()
        check(self.error is None, f'the feed failed: {self.error}')

    def run(self):
        try:
            while self.session():
                pass
        except OSError as error:
            self.error = error

    def session(self):
        """One run of the clip; whether another one follows."""
        first, datagram, number, down = None, b'', 0, None
        began, now = time.monotonic(), 0.0
        for packet in self.packets:
            packet = bytearray(packet)
            pcr = pcr_of(packet)
            if pcr is not None:
                first = pcr if first is None else first
                now = began + (pcr - first) / 90000
                if self.stopping.wait(max(0, now - time.monotonic())):
                    return False
            ticks, troubles = self.at(now - self.origin if self.origin is not None else -1)
            gone = troubles & {'down', 'restart'}
            if gone and down is None:
                down = gone.pop()
                self.encoder.go_down()
            elif down and not gone and self.encoder_is_back():
                if down == 'restart':
                    return True
                down = None
            shift(packet, ticks)
            datagram += packet
            if len(datagram) == DATAGRAM:
                number += 1
                if not down and 'silence' not in troubles and not ('loss' in troubles and number % 3):
                    self.encoder.send(datagram)
                datagram = b''
        return False

    def encoder_is_back(self):
        if self.encoder.is_down():
            self.encoder.go_up()
        return self.encoder.ready()


# --- what has been recorded ------------------------------------------------------------------

def levels(graph, tag):
    done = subprocess.run(['ffprobe', '-v', 'quiet', '-f', 'lavfi', '-i', graph, '-show_entries',
                           f'frame=pts_time:frame_tags={tag}', '-of', 'json'],
                          capture_output=True, text=True, env=environment(), check=False)
    return [(float(frame['pts_time']), float(frame['tags'][tag]))
            for frame in json.loads(done.stdout)['frames']
            if tag in frame.get('tags', {}) and 'nan' not in frame['tags'][tag]]


def rises(series, threshold):
    found, loud = [], False
    for stamp, level in series:
        if level > threshold and not loud and (not found or stamp - found[-1] > 0.3):
            found.append(stamp)
        loud = level > threshold
    return found


def flashes(path, crop=None):
    picture = f'crop={crop},' if crop else ''
    return rises(levels(f'movie={path}:f=mpegts,{picture}signalstats', 'lavfi.signalstats.YAVG'), 100)


def beeps(path, channel=None):
    sound = f'pan=mono|c0=c{channel},' if channel is not None else ''
    return rises(levels(f'amovie={path}:f=mpegts,{sound}asetnsamples=48:p=0,astats=metadata=1:reset=1',
                        'lavfi.astats.Overall.RMS_level'), -35)


def lip_sync(path, crop=None, channel=None):
    """(time of the flash, sound - picture in ms) per flash that has its beep."""
    heard = beeps(path, channel)
    pairs = [(flash, min(heard, key=lambda beep: abs(beep - flash)))
             for flash in flashes(path, crop) if heard]
    return [(flash, (beep - flash) * 1000) for flash, beep in pairs if abs(beep - flash) < 0.4]


@functools.lru_cache
def usual_offset():
    """Of the clip itself, in ms."""
    return statistics.median(offset for _, offset in lip_sync(flash_clip()))


def lip_sync_errors(path):
    """(time, ms) per flash against the clip itself."""
    usual = usual_offset()
    return [(round(at, 2), round(offset - usual, 2)) for at, offset in lip_sync(path)]


def check_rising(path, stream):
    stamps = [dts if dts is not None else pts for pts, dts, _ in packets(path, stream)]
    check(None not in stamps, f'{stream}: a packet without stamp')
    wrong = [(round(a, 3), round(b, 3)) for a, b in zip(stamps, stamps[1:]) if b <= a]
    check(not wrong, f'{stream}: stamps go back: {wrong[:5]}')
    return stamps


def holes(stamps, longest):
    return [(round(a, 2), round(b - a, 3)) for a, b in zip(stamps, stamps[1:]) if b - a > longest]
