/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef PORTSNOOP_ORDER_H
#define PORTSNOOP_ORDER_H

#include <stdint.h>

/* As qsort() wants it: below 0, 0 or above 0. A difference would not fit. */
static inline int number_compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

#endif
