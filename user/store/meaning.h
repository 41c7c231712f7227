/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ids of what rows refer to: found again, or written. What is referred to gets the era
 * of now (schema.c). For writer.h; errors as there.
 */
#ifndef PORTSNOOP_STORE_MEANING_H
#define PORTSNOOP_STORE_MEANING_H

#include "store/writer.h"

int meaning_address(struct writer *writer, uint8_t family, const uint8_t *bytes, int64_t *id);
int meaning_kind(struct writer *writer, const struct op_kind *op);
int meaning_program(struct writer *writer, const struct op_program *op);
int meaning_process(struct writer *writer, const struct op_process *op);

int meaning_touch_kind(struct writer *writer, uint32_t id);
int meaning_touch_process(struct writer *writer, uint32_t id);

#endif
