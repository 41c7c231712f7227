/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Names of the journal's fields: those of the field table in upper case, with _ for a dot,
 * without what is neither letter nor digit: portsnoop.local.port is PORTSNOOP_LOCAL_PORT,
 * and message is the journal's own MESSAGE. Beside them stand SYSLOG_IDENTIFIER=portsnoop,
 * SYSLOG_FACILITY=3, MESSAGE_ID, and PRIORITY: 4 (warning) of lost-events, 5 (notice) of a
 * failure, 6 (info) of the rest.
 *
 * Texts are in it byte for byte, whatever they are; only MESSAGE, which others pass on as
 * lines of text, is escaped as in CSV. A field of several words of our own comes once for each of
 * them, other lists and objects are JSON. What is null is empty. OBJECT_PID is never sent:
 * journald would describe whoever has that pid by then.
 */
#ifndef PORTSNOOP_JOURNAL_H
#define PORTSNOOP_JOURNAL_H

#include "format/format.h"

#define JOURNAL_NAME_MAX 64 /* journald drops longer ones */
#define JOURNAL_MESSAGE_ID "8b6f99f86687407bb7327acb8ef9a04f"

/* False: too long. `name` has room for JOURNAL_NAME_MAX + 1. */
bool journal_name(const struct field *field, char *name);

#endif
