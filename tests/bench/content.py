# keeprolling - what the benchmarks record: made once, kept in the build folder
# SPDX-License-Identifier: LGPL-2.1-or-later

import os
import subprocess

import measure

SECONDS = 60


def _make(path, command, env):
    if os.path.exists(path):
        return path
    partial = path + ".part.ts"
    done = subprocess.run(command + [partial], env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise measure.Unavailable(f"ffmpeg cannot make the content: {done.stderr[-300:]}")
    os.rename(partial, path)
    return path


def feed(context):
    """One minute of H.264 and AAC in MPEG-TS at a constant 8 Mb/s, a keyframe per second."""
    context.need_program("ffmpeg")
    return _make(os.path.join(context.cache, "feed-8m.ts"), [
        "ffmpeg", "-nostdin", "-v", "error", "-y",
        "-f", "lavfi", "-i", f"testsrc2=size=1280x720:rate=25:duration={SECONDS}",
        "-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={SECONDS}",
        "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p",
        "-b:v", "7400k", "-minrate", "7400k", "-maxrate", "7400k", "-bufsize", "3700k",
        "-x264-params", "nal-hrd=cbr:keyint=25:min-keyint=25:scenecut=0",
        "-c:a", "aac", "-b:a", "128k", "-muxrate", "8000k", "-f", "mpegts"], context.env)


def small(context):
    """The same at 1 Mb/s, for many recordings at once."""
    context.need_program("ffmpeg")
    return _make(os.path.join(context.cache, "feed-1m.ts"), [
        "ffmpeg", "-nostdin", "-v", "error", "-y",
        "-f", "lavfi", "-i", f"testsrc2=size=640x360:rate=25:duration={SECONDS}",
        "-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={SECONDS}",
        "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p",
        "-b:v", "760k", "-minrate", "760k", "-maxrate", "760k", "-bufsize", "380k",
        "-x264-params", "nal-hrd=cbr:keyint=25:min-keyint=25:scenecut=0",
        "-c:a", "aac", "-b:a", "96k", "-muxrate", "1000k", "-f", "mpegts"], context.env)


def large(context):
    """250 MB of the same."""
    return _make(os.path.join(context.cache, "large-8m.ts"), [
        "ffmpeg", "-nostdin", "-v", "error", "-y", "-stream_loop", "10", "-i", feed(context),
        "-c", "copy", "-fs", "250000000", "-muxrate", "8000k", "-f", "mpegts"], context.env)
