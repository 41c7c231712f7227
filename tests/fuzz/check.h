/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An assertion for what the fuzzer is to find: it stays, whatever the flags. */
#ifndef PORTSNOOP_FUZZ_CHECK_H
#define PORTSNOOP_FUZZ_CHECK_H

#include <stdlib.h>

#define check(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

#endif
