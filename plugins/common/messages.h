/* keeprolling - names and fields of every element message
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* The one contract between the elements and whoever watches the bus. Every message is a
 * GST_MESSAGE_ELEMENT whose structure has the name given here. Times are guint64 nanoseconds
 * unless the comment says otherwise, sizes are guint64 bytes, "utc" times are nanoseconds
 * since 1970-01-01. docs/messages.md describes them for users; a test compares the two. */

#pragma once

/* --- atomicfilesink ------------------------------------------------------------------- */

/* A new file is open under its temporary name.
 * location (final name), temp-location, seq (guint), instance, utc-start-ns */
#define KR_MSG_SEGMENT_OPENED "atomicfilesink-segment-opened"
/* A file is complete and has its final name.
 * location, seq, instance, bytes, first-pts, last-pts, running-time, utc-start-ns, utc-end-ns,
 * reason (one of KR_REASON_*), durable (gboolean: file and folder are synced) */
#define KR_MSG_SEGMENT_CLOSED "atomicfilesink-segment-closed"
/* location, errno (gint), error (string), free-bytes, dropped-bytes, utc-ns */
#define KR_MSG_DISK_FULL "atomicfilesink-disk-full"
/* location, outage-ns, dropped-bytes, free-bytes, utc-ns */
#define KR_MSG_DISK_RECOVERED "atomicfilesink-disk-recovered"
/* location, errno (gint), error (string), operation (string), durable-bytes, lost-bytes, utc-ns */
#define KR_MSG_SYNC_FAILED "atomicfilesink-sync-failed"
/* A leftover of a dead instance was repaired.
 * temp-location, location, action (finalised|quarantined|removed), bytes, cut-bytes, utc-ns */
#define KR_MSG_RECOVERED "atomicfilesink-recovered"

/* The read-only property "stats", a structure "atomicfilesink-stats". Counters are of this run
 * (since READY to PAUSED), all guint64 unless noted:
 * bytes-received, bytes-written (handed to the kernel: survives the process), bytes-durable
 * (synced: survives the power), pending-bytes (in memory only), dropped-bytes, dropped-buffers,
 * unsynced-age-ns (age of the oldest byte received and not yet durable), unwritten-age-ns (the
 * same for not yet written), segments (closed so far), segments-recovered,
 * segments-quarantined, write-calls, sync-calls, sync-errors, io-errors, sync-ns-sum, sync-ns-max,
 * finalise-ns-sum, finalise-ns-max, last-sync-utc-ns, io-age-ns (since the I/O thread last came
 * round: above some seconds means that the disk hangs),
 * location (string: final name of the open segment, "" = none), segment-bytes,
 * segment-durable-bytes, segment-utc-start-ns, disk-full (gboolean), free-bytes,
 * runway-s (gdouble: until the disk is full at the present rate; < 0 = unknown),
 * sync-ns-histogram and finalise-ns-histogram (GST_TYPE_ARRAY of guint64: how many took up to 1,
 * 2, 5, 10, 20, 50, 100, 200, 500 ms, 1, 2, 5, 10, 30, 60, 300 s, and longer) */
#define KR_STATS_ATOMICFILESINK "atomicfilesink-stats"

#define KR_REASON_EOS       "eos"
#define KR_REASON_ROTATE    "rotate"
#define KR_REASON_RESTART   "restart"
#define KR_REASON_DISK_FULL "disk-full"
#define KR_REASON_ERROR     "error"

/* --- growthmonitorsink ---------------------------------------------------------------- */

/* Every interval: location, bytes-in, file-bytes, rate (gdouble, B/s), buffers, keyframes,
 * state (waiting|growing|stalled), age-ns (since the last progress), keyframe-age-ns,
 * utc-ns, child-stats (GstStructure, if the child has a "stats" property) */
#define KR_MSG_GROWTH_SAMPLE "growthmonitor-sample"
/* reason (one of KR_STALL_*), age-ns, location, bytes-in, file-bytes, utc-ns */
#define KR_MSG_GROWTH_STALLED "growthmonitor-stalled"
/* reason (of the stall that ended), outage-ns, location, utc-ns */
#define KR_MSG_GROWTH_RECOVERED "growthmonitor-recovered"

#define KR_STALL_NO_INPUT       "no-input"
#define KR_STALL_NO_GROWTH      "no-growth"
#define KR_STALL_BELOW_MIN_RATE "below-min-rate"
#define KR_STALL_NO_KEYFRAME    "no-keyframe"
#define KR_STALL_FILE_REPLACED  "file-replaced"
#define KR_STALL_FILE_UNLINKED  "file-unlinked"
/* Not growthmonitorsink's: the launcher's word for KR_MSG_MPEGTS_NO_PACKETS. */
#define KR_STALL_NOT_TS "not-ts"

/* --- timestampregen, mpegtsregen ------------------------------------------------------ */

/* pad (sink pad's name; for mpegtsregen the program number as a string), kind (one of
 * KR_DISCONT_*), delta-ns (gint64), gap-ns (gint64), epoch (guint), in-ts, out-ts,
 * running-time, utc-ns, suppressed (guint: messages of this kind and pad left out since the
 * last one; at most one per second is posted) */
#define KR_MSG_TIMESTAMP_DISCONT "timestampregen-discontinuity"
#define KR_MSG_MPEGTS_DISCONT    "mpegtsregen-discontinuity"

#define KR_DISCONT_ANCHOR          "anchor"
#define KR_DISCONT_JUMP_FORWARD    "jump-forward"
#define KR_DISCONT_JUMP_BACK       "jump-back"
#define KR_DISCONT_OVERLAP         "overlap"
#define KR_DISCONT_GAP             "gap"
#define KR_DISCONT_WRAP_TS33       "wrap-ts33"
#define KR_DISCONT_WRAP_RTP32      "wrap-rtp32"
#define KR_DISCONT_WRAP_MS32       "wrap-ms32"
#define KR_DISCONT_LAG_RESYNC      "lag-resync"
#define KR_DISCONT_UNRELATED_CLOCK "unrelated-clock"
#define KR_DISCONT_STREAM_OVERLAP  "stream-overlap"
#define KR_DISCONT_STREAM_JUMP     "stream-jump"
#define KR_DISCONT_OUTLIER_RETURN  "outlier-return"
#define KR_DISCONT_SHIFT_NEGATIVE  "shift-negative"

/* What a live source sends is no transport stream; told once, until packets come again.
 * looks-like (string, "" = nothing known), head (string: its first bytes, hexadecimal),
 * packet-size (guint: 192, 204 or 208, else 0), garbage-bytes, utc-ns */
#define KR_MSG_MPEGTS_NO_PACKETS "mpegtsregen-no-packets"
/* garbage-bytes (skipped meanwhile), outage-ns, utc-ns */
#define KR_MSG_MPEGTS_PACKETS_AGAIN "mpegtsregen-packets-again"

/* --- relaysink, relaysrc -------------------------------------------------------------- */

/* channel, age-ns, utc-ns */
#define KR_MSG_RELAY_PRODUCER_LOST "relay-producer-lost"
/* channel, outage-ns, utc-ns */
#define KR_MSG_RELAY_PRODUCER_RETURNED "relay-producer-returned"
