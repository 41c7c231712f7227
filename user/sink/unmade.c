/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stands for what other branches make, until they are merged. */
#include "sink/sink.h"

#define UNMADE __attribute__((weak))

UNMADE const struct format_ops format_journal, format_otlp_record, format_row;
