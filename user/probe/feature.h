/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What this kernel can do, found out by doing it. */
#ifndef PORTSNOOP_FEATURE_H
#define PORTSNOOP_FEATURE_H

#include <stdbool.h>

/*
 * Whether trampolines and kprobes can be had: by loading and attaching a program that
 * does nothing, because where trampolines are refused the load alone succeeds.
 * 0 or negative errno.
 */
int feature_trampolines(void);
int feature_kprobes(void);

/* Whether the kernel takes an atomic addition that returns the old value (5.12). */
bool feature_fetch(void);

struct feature {
	const char *name;
	const char *purpose; /* what needs it */
	const char *mend;    /* what to do where it is missing */
	/* 0, or negative errno. May write a remark of at most FEATURE_REMARK bytes. */
	int (*probe)(char *remark);
};

#define FEATURE_REMARK 128

extern const struct feature feature_table[];
extern const unsigned int feature_count;

#endif
