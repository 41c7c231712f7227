/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A database of the test's own, and what a recording would give to it. */
#ifndef PORTSNOOP_TESTS_STORE_ROOM_H
#define PORTSNOOP_TESTS_STORE_ROOM_H

#include "store/store.h"

#define SECOND INT64_C(1000000000)
#define ROOM_START (INT64_C(1800000000) * SECOND) /* CLOCK_REALTIME of the first run */

/* A folder, and the path of a database in it, anew for each test. */
extern char room_folder[], room_path[64];
int room_make(void **state);
int room_remove(void **state);
/* room_path with this behind it. Valid until the next call. */
const char *room_path_with(const char *suffix);

struct store *room_open(void); /* with great limits */
struct store *room_open_with(uint64_t max_size, uint64_t max_age, size_t batch);
void room_run(struct store *store, int64_t started);

/* All about the same: number n is of process 1000 + n % 50, has port 1024 + n % 60000,
 * and was claimed n ms after ROOM_START; a TCP connect if n is even, else a bind. */
struct store_lease room_lease(uint64_t n);
struct store_lease room_open_lease(uint64_t n);
struct store_failure room_failure(uint64_t n);
/* ROOM_OWN: another process, with nothing in common with these. */
#define ROOM_OWN UINT64_MAX
uint32_t room_process(struct store *store, uint64_t n);
/* Leases from n on that have ended. */
void room_give(struct store *store, uint64_t n, uint64_t count);

/* Asked through a connection of its own. */
int64_t room_number(const char *sql);
/* The first column of the first row; "" without one. Valid until the next call. */
const char *room_text(const char *sql);

/* Both fail the test with what is wrong. */
void room_check(void); /* PRAGMA integrity_check, and that all that is referred to is there */

#endif
