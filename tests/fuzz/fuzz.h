/* keeprolling - what a fuzzer defines
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <stddef.h>
#include <stdint.h>

#include <glib.h>

/* Looks at @size bytes of @data and aborts if something is wrong. Called by libFuzzer, or by
 * replay.c for each file of the corpus. */
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);
