# keeprolling - what is measured
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A case is a function (context) -> {variant: [Cost...] or the reason why it is not available},
with the name of the variant that the ratios refer to, and the columns of its table."""

import contextlib
import dataclasses
import os
import tempfile
import time

import content
import measure
from measure import Cost, Unavailable

MIB = 1 << 20
STOCK = "tsdemux name=d ! queue ! h264parse ! mpegtsmux name=m alignment=7 ! {sink} " \
        "d. ! queue ! aacparse ! m."


@dataclasses.dataclass
class Case:
    name: str
    title: str
    run: object
    base: str
    columns: list
    short: bool = True


def rss_column():
    return ("peak memory, MiB", lambda cost: cost.rss / MIB)


def speed_column():
    return ("CPU, s per GB", lambda cost: cost.cpu / (cost.bytes / 1e9))


# --- a live recording -----------------------------------------------------------------------


def _feed(context, port):
    return context.ffmpeg("-re", "-stream_loop", "-1", "-i", content.feed(context), "-c", "copy",
                          "-f", "mpegts", f"srt://127.0.0.1:{port}?mode=listener")


def _record_live(context, make_command, elements=()):
    """CPU of one recorder per second of a live 8 Mb/s feed, after its start."""
    context.need_elements("srtsrc", *elements)
    port = measure.free_udp_port()
    uri = f"srt://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(dir=context.scratch) as folder, \
            measure.process(_feed(context, port), context.env, folder):
        time.sleep(0.5)
        command, pick = make_command(uri, folder)
        with measure.process(command, context.env, folder) as recorder:
            measure.wait_for(lambda: measure.folder_size(folder) > 500000, "the recording grows",
                             child=recorder)
            pid = pick(recorder.pid)
            cpu, wall, size = measure.cpu_of(pid), time.monotonic(), measure.folder_size(folder)
            time.sleep(context.seconds(10))
            cpu, wall = measure.cpu_of(pid) - cpu, time.monotonic() - wall
            size = measure.folder_size(folder) - size
            if size < wall * 500000:
                raise RuntimeError(f"{' '.join(command)}: only {size} bytes in {wall:.1f} s:\n"
                                   + measure.log_of(recorder))
            return Cost(cpu=cpu / wall, wall=wall, rss=measure.peak_rss_of(pid), bytes=size)


def _gst(context, description):
    def command(uri, folder):
        text = description.format(uri=uri, out=os.path.join(folder, "out.ts"))
        return context.gst(text), lambda pid: pid
    return command


def _worker(context):
    """keeprolling itself: the worker process of a pipeline file under `run`."""
    def command(uri, folder):
        path = os.path.join(folder, "bench.pipeline")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"[Pipeline record]\nLaunch =\n    srtsrc uri=\"{uri}\" poll-timeout=1000\n"
                       f"  ! mpegtsregen\n"
                       f"  ! growthmonitorsink location={folder}/out-{{instance}}.ts\n")
        return [context.keeprolling(), "run", path], lambda pid: measure.children_of(pid)[0]
    return command


def live(context):
    def variant(command, *elements):
        return lambda: _record_live(context, command, elements)
    return measure.interleave([
        ("srtsrc ! tsdemux ! parsers ! mpegtsmux ! filesink", variant(_gst(
            context, "srtsrc uri={uri} ! " + STOCK.replace("{sink}", "filesink location={out}")))),
        ("srtsrc ! mpegtsregen ! growthmonitorsink (atomicfilesink)", variant(_gst(
            context, "srtsrc uri={uri} ! mpegtsregen ! growthmonitorsink location={out}"),
            "mpegtsregen", "growthmonitorsink", "atomicfilesink")),
        ("the same in a worker of `keeprolling run`", variant(
            _worker(context), "mpegtsregen", "growthmonitorsink", "atomicfilesink")),
        ("srtsrc ! filesink (repairs nothing)", variant(_gst(
            context, "srtsrc uri={uri} ! filesink location={out}"))),
        ("ffmpeg -c copy", variant(lambda uri, folder: (
            context.ffmpeg("-i", uri + "?mode=caller", "-c", "copy", "-f", "mpegts",
                           os.path.join(folder, "out.ts")), lambda pid: pid))),
    ], context.rounds(3), context.progress)


# --- files ----------------------------------------------------------------------------------


def remux(context):
    source = content.large(context)
    size = os.path.getsize(source)

    def variant(make_command, *elements):
        def run():
            context.need_elements(*elements)
            with tempfile.TemporaryDirectory(dir=context.scratch) as folder:
                cost = measure.run(make_command(os.path.join(folder, "out.ts")), context.env,
                                   folder)
                written = measure.folder_size(folder)
            if written < size * 0.9:
                raise RuntimeError(f"only {written} of {size} bytes written")
            cost.bytes = size
            return cost
        return run
    filesrc = f"filesrc location={source} blocksize=65536"
    return measure.interleave([
        ("filesrc ! tsdemux ! parsers ! mpegtsmux ! filesink", variant(lambda out: context.gst(
            f"{filesrc} ! " + STOCK.format(sink=f"filesink location={out}")))),
        ("filesrc ! mpegtsregen ! filesink", variant(lambda out: context.gst(
            f"{filesrc} ! mpegtsregen ! filesink location={out}"), "mpegtsregen")),
        ("filesrc ! filesink (repairs nothing)", variant(lambda out: context.gst(
            f"{filesrc} ! filesink location={out}"))),
        ("ffmpeg -c copy", variant(lambda out: context.ffmpeg(
            "-i", source, "-c", "copy", "-f", "mpegts", out))),
    ], context.rounds(5), context.progress)


# --- elements alone -------------------------------------------------------------------------


def _push(context, description, *options, elements=()):
    def run():
        context.need_elements(*elements)
        with tempfile.TemporaryDirectory(dir=context.scratch) as folder:
            return measure.run_reporting(
                [context.program("bench-push"), *options, description.format(folder=folder)],
                context.env, folder)
    return run


def mpegtsregen(context):
    options = ("--buffer-size=65536", "--bytes=2000000000", "--input=" + content.feed(context))
    return measure.interleave([
        ("identity ! fakesink", _push(context, "identity ! fakesink", *options)),
        ("mpegtsregen ! fakesink", _push(context, "mpegtsregen ! fakesink", *options,
                                         elements=("mpegtsregen",))),
    ], context.rounds(7), context.progress)


def timestampregen(context):
    options = ("--buffer-size=1000", "--bytes=1000000000", "--duration=40000000",
               "--caps=video/x-h264,stream-format=byte-stream,alignment=au,framerate=25/1")
    return measure.interleave([
        ("identity ! fakesink", _push(context, "identity ! fakesink", *options)),
        ("timestampregen ! fakesink", _push(
            context, "timestampregen name=t ! fakesink", *options,
            elements=("timestampregen",))),
        ("timestampregen live=true ! fakesink", _push(
            context, "timestampregen name=t live=true gap-policy=collapse ! fakesink", *options,
            elements=("timestampregen",))),
    ], context.rounds(7), context.progress)


def growthmonitorsink(context):
    options = ("--buffer-size=1316", "--bytes=1316000000", "--gop=760")
    return measure.interleave([
        ("fakesink", _push(context, "fakesink", *options)),
        ("growthmonitorsink sink=fakesink", _push(
            context, "growthmonitorsink sink=fakesink", *options,
            elements=("growthmonitorsink",))),
    ], context.rounds(7), context.progress)


def growthmonitorsink_file(context):
    options = ("--buffer-size=1316", "--bytes=250000000", "--gop=760")
    return measure.interleave([
        ("filesink", _push(context, "filesink location={folder}/out.ts", *options)),
        ("growthmonitorsink sink=filesink", _push(
            context, "growthmonitorsink sink=filesink location={folder}/out.ts", *options,
            elements=("growthmonitorsink",))),
    ], context.rounds(7), context.progress)


def atomicfilesink(context):
    options = ("--buffer-size=1316", "--bytes=250000000", "--gop=760")

    def atomic(properties):
        return _push(context, "atomicfilesink location={folder}/out.ts " + properties, *options,
                     elements=("atomicfilesink",))
    return measure.interleave([
        ("filesink", _push(context, "filesink location={folder}/out.ts", *options)),
        ("atomicfilesink sync-interval=0", atomic("sync-interval=0")),
        ("atomicfilesink", atomic("")),
        ("atomicfilesink, rotating each 50 MB", atomic("max-size-bytes=50000000 "
                                                       "location={folder}/out-{{seq}}.ts")),
    ], context.rounds(7), context.progress)


# --- at length ------------------------------------------------------------------------------


def memory(context):
    """Memory of one recording worker over --seconds (600)."""
    context.need_elements("srtsrc", "mpegtsregen", "growthmonitorsink", "atomicfilesink")
    seconds = context.seconds(600)
    port = measure.free_udp_port()
    with tempfile.TemporaryDirectory(dir=context.scratch) as folder, \
            measure.process(_feed(context, port), context.env, folder):
        time.sleep(0.5)
        command, pick = _worker(context)(f"srt://127.0.0.1:{port}", folder)
        with measure.process(command, context.env, folder) as recorder:
            measure.wait_for(lambda: measure.folder_size(folder) > 500000, "the recording grows",
                             child=recorder)
            pid = pick(recorder.pid)
            samples = []
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                context.progress(f"{end - time.monotonic():.0f} s left")
                samples.append(measure.rss_of(pid))
                time.sleep(min(1, max(0, end - time.monotonic())))
            peak = measure.peak_rss_of(pid)
    # The buffers fill within the first seconds; from the second tenth on it must be flat.
    settled = samples[len(samples) // 10:]
    half = len(settled) // 2
    return {"first": sum(settled[:half]) / max(half, 1), "settled": max(settled) - min(settled),
            "second": sum(settled[half:]) / max(len(settled) - half, 1), "peak": peak,
            "seconds": seconds}


def memory_table(result):
    return "\n".join([
        "| | MiB |", "|---|---:|",
        f"| mean of the first half, after a tenth of the time | {result['first'] / MIB:.1f} |",
        f"| mean of the second half | {result['second'] / MIB:.1f} |",
        f"| largest difference between two moments of these | {result['settled'] / MIB:.1f} |",
        f"| peak since the start | {result['peak'] / MIB:.1f} |",
        "", f"Measured for {result['seconds']:.0f} s."])


def fleet(context):
    """Many recordings of one feed: one worker process of one supervisor, against as many
    ffmpeg."""
    context.need_elements("srtsrc", "srtsink", "mpegtsregen", "growthmonitorsink",
                          "atomicfilesink")
    n = context.recordings

    def run(many_commands):
        port, relay = measure.free_udp_port(), measure.free_udp_port()
        # One listener of srtsink serves all callers, with the same bytes.
        with tempfile.TemporaryDirectory(dir=context.scratch) as folder, \
                measure.process(context.gst(
                    f"udpsrc address=127.0.0.1 port={relay} buffer-size=4000000 ! "
                    f"srtsink uri=srt://127.0.0.1:{port}?mode=listener wait-for-connection=false"),
                    context.env, folder), \
                measure.process(context.ffmpeg(
                    "-re", "-stream_loop", "-1", "-i", content.small(context), "-c", "copy",
                    "-f", "mpegts", f"udp://127.0.0.1:{relay}?pkt_size=1316"),
                    context.env, folder):
            time.sleep(1)
            return many_commands(f"srt://127.0.0.1:{port}", folder)

    def ours(uri, folder):
        path = os.path.join(folder, "fleet.pipeline")
        with open(path, "w", encoding="utf-8") as file:
            for i in range(n):
                file.write(f"[Pipeline r{i}]\nLaunch =\n    srtsrc uri=\"{uri}\" "
                           f"poll-timeout=1000\n  ! mpegtsregen\n"
                           f"  ! growthmonitorsink location={folder}/r{i}-{{instance}}.ts\n\n")
        with measure.process([context.keeprolling(), "run", path], context.env,
                             folder) as supervisor:
            measure.wait_for(lambda: _n_growing(folder) >= n, "all record", child=supervisor)
            pids = [supervisor.pid] + measure.children_of(supervisor.pid)
            return _watch(context, pids, folder)

    def ffmpeg(uri, folder):
        # Apart from each other: many that connect at once to one listener are partly refused.
        with contextlib.ExitStack() as stack:
            pids = []
            for i in range(n):
                child = stack.enter_context(measure.process(context.ffmpeg(
                    "-probesize", "1000000", "-i", uri + "?mode=caller", "-c", "copy",
                    "-f", "mpegts", os.path.join(folder, f"r{i}.ts")), context.env, folder))
                pids.append(child.pid)
                time.sleep(0.25)
            measure.wait_for(lambda: _n_growing(folder) >= n, "all record")
            return _watch(context, pids, folder)
    return measure.interleave([
        (f"{n} x ffmpeg -c copy", lambda: run(ffmpeg)),
        (f"`keeprolling run`, one file with {n} pipelines", lambda: run(ours)),
    ], context.rounds(3), context.progress)


def _n_growing(folder):
    return sum(1 for entry in os.scandir(folder)
               if entry.name.endswith(".ts") and entry.stat().st_size > 100000)


def _watch(context, pids, folder):
    cpu, wall, size = sum(map(measure.cpu_of, pids)), time.monotonic(), measure.folder_size(folder)
    time.sleep(context.seconds(10))
    cpu = sum(map(measure.cpu_of, pids)) - cpu
    wall = time.monotonic() - wall
    return Cost(cpu=cpu / wall, wall=wall, rss=sum(map(measure.pss_of, pids)),
                bytes=measure.folder_size(folder) - size)


PERCENT = ("CPU, % of one core", lambda cost: cost.cpu * 100)
WRITES = ("write calls", lambda cost: cost.write_calls)

CASES = [
    Case("live", "One live recording at 8 Mb/s over SRT", live,
         "srtsrc ! tsdemux ! parsers ! mpegtsmux ! filesink", [PERCENT, rss_column()]),
    Case("remux", "A file of 250 MB, from disk to disk", remux,
         "filesrc ! tsdemux ! parsers ! mpegtsmux ! filesink", [speed_column(), rss_column()]),
    Case("mpegtsregen", "mpegtsregen alone: 2 GB in buffers of 64 KiB", mpegtsregen,
         "identity ! fakesink", [speed_column()]),
    Case("timestampregen", "timestampregen alone: a million buffers", timestampregen,
         "identity ! fakesink",
         [("CPU, ns per buffer", lambda cost: cost.cpu * 1e9 / (cost.bytes / 1000))]),
    Case("growthmonitorsink", "growthmonitorsink alone: a million buffers of 1316 bytes",
         growthmonitorsink, "fakesink",
         [("CPU, ns per buffer", lambda cost: cost.cpu * 1e9 / (cost.bytes / 1316))]),
    Case("growthmonitorsink-file", "growthmonitorsink around a filesink: 250 MB",
         growthmonitorsink_file, "filesink", [speed_column(), WRITES]),
    Case("atomicfilesink", "atomicfilesink: 250 MB in buffers of 1316 bytes", atomicfilesink,
         "filesink", [speed_column(), WRITES, rss_column()]),
    Case("memory", "Memory of a recording worker", memory, None, [], short=False),
    Case("fleet", "Many recordings of a feed of 1 Mb/s", fleet, None,
         [PERCENT, ("memory, MiB (PSS, sum)", lambda cost: cost.rss / MIB)], short=False),
]
