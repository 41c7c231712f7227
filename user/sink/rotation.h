/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Old files under their numbers: PATH.1 is the newest one, PATH.keep the oldest. */
#ifndef PORTSNOOP_SINK_ROTATION_H
#define PORTSNOOP_SINK_ROTATION_H

#include <stdint.h>

/* PATH becomes PATH.1, and so on; what has no place any more is removed. 0, or negative errno:
 * PATH is where it was then, and no file is lost. */
int rotation_turn(const char *path, uint64_t keep);

#endif
