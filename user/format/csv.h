/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Cells of CSV, quoted as RFC 4180 says. */
#ifndef PORTSNOOP_CSV_H
#define PORTSNOOP_CSV_H

#include "lib/buffer.h"

/* Appends the cell, quoted where it must be. It is escaped already: one line, no NUL. */
void csv_cell(struct buffer *out, const struct buffer *cell);

#endif
