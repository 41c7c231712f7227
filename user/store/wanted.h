/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the conditions of a history_query mean, one by one, wherever the rows come from. */
#ifndef PORTSNOOP_STORE_WANTED_H
#define PORTSNOOP_STORE_WANTED_H

#include "store/history.h"

bool wanted_text(const struct history_text *text, const char *wanted);	  /* equal */
bool wanted_exe(const struct history_text *exe, const char *wanted);	  /* a path, or a name */
bool wanted_unit(const struct history_text *unit, const char *wanted);	  /* or without .service */
bool wanted_container(const struct history_text *id, const char *wanted); /* its beginning */
/* comm, exe, unit, container. */
bool wanted_program(const struct history_query *query, const struct history_process *process);
/* False also for a text that is no address. */
bool wanted_address(const struct history_text *ip, const struct history_remote *remote);
bool wanted_protocol(uint16_t protocol, uint32_t flags, uint16_t wanted);

#endif
