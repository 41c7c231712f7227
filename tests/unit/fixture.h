/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Expected output in a file of its own, where it can be read. */
#ifndef PORTSNOOP_TESTS_FIXTURE_H
#define PORTSNOOP_TESTS_FIXTURE_H

#include "lib/buffer.h"

/* Fails the test unless the text is the file's; with UPDATE in the environment the file is
 * written anew: read the difference before you believe it. */
void fixture_compare(const char *path, const struct buffer *text);

#endif
