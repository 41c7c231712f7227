/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Words for people, on stderr: one message, one line, in one write. Messages may
 * hold hostile bytes (names of files, what somebody typed): control characters
 * and what is not UTF-8 come out as \xNN.
 */
#ifndef PORTSNOOP_LOG_H
#define PORTSNOOP_LOG_H

#include <stdarg.h>

/* "portsnoop: ...". errno stays as it is, also below. */
void log_message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, followed by ": " and what the negative errno means; returns it. */
int log_error(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "WHO: ...", for messages that name the command. */
void log_prefixed(const char *who, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

#endif
