/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rows of many hosts, put in the order of their time: in bounded memory, with temporary
 * files if they are many.
 */
#ifndef PORTSNOOP_FLEET_SORTER_H
#define PORTSNOOP_FLEET_SORTER_H

#include "store/history.h"

struct sorter;

struct sorter *sorter_new(void); /* NULL without memory */
void sorter_free(struct sorter *sorter);

/* Copies the row. 0, -ENOMEM, or -ENOSPC or -EIO with sorter_why(). */
int sorter_add(struct sorter *sorter, const struct history_row *row);
/* The `newest` ones, 0: all, as history_ask() has them; as often as you like. 0, what the
 * visitor said, or an error as above. */
int sorter_visit(struct sorter *sorter, uint64_t newest, history_visitor visitor, void *context);
const char *sorter_why(const struct sorter *sorter);

#endif
