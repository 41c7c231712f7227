/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The operands of explain and who: PORT, LOW-HIGH or SERVICE, each with or without
 * "/PROTOCOL". */
#ifndef PORTSNOOP_SUBJECT_H
#define PORTSNOOP_SUBJECT_H

#include "command/explain.h"
#include "lib/option.h"

struct subject_rules {
	uint16_t least;		/* lowest port that is accepted */
	unsigned int protocols; /* enum iana_protocol that are accepted; all, without one */
};

struct subjects {
	struct explain_subject *list;
	size_t count;
};

void subjects_free(struct subjects *subjects);

/*
 * Adds what an operand means: one subject, or one for each span of ports that a service
 * has. A subject with low > high is a name that the registry does not have; with
 * `portless`, one that has no port. Exits with a message when the operand is no operand.
 * 0 or -ENOMEM.
 */
int subjects_add(struct subjects *subjects, const struct command *command,
		 const struct subject_rules *rules, const char *operand);

/* Exits: there is no operand. */
void subjects_missing(const struct command *command, const struct subject_rules *rules)
	__attribute__((noreturn));

/* What is wrong with a name that the registry does not have, and which ones are like
 * it, with a NUL. */
void subject_unknown(const char *operand, struct buffer *words);

#endif
