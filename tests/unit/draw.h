/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Numbers that look random, and are the same in every run: splitmix64. */
#ifndef PORTSNOOP_TESTS_DRAW_H
#define PORTSNOOP_TESTS_DRAW_H

#include <stdbool.h>
#include <stdint.h>

static uint64_t draw_seed;

/* 0 to below - 1 */
static inline uint64_t draw(uint64_t below)
{
	uint64_t z = draw_seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

static inline bool chance(unsigned int percent)
{
	return draw(100) < percent;
}

#endif
