/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a command that watches tells those who ask. */
#ifndef PORTSNOOP_SERVE_H
#define PORTSNOOP_SERVE_H

#include "service/reply.h"
#include "stream/pipeline.h"

/* Answers from a pipeline with a ledger, which must outlive the source. */
struct service_source serve_source(struct pipeline *pipeline);

#endif
