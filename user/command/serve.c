/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/serve.h"

static const struct stream *source_stream(void *context)
{
	return pipeline_stream(context);
}

static const struct process *source_process(void *context, const struct process_key *key)
{
	return pipeline_process(context, key);
}

static const char *source_user(void *context, uint32_t uid)
{
	return pipeline_user(context, uid);
}

struct service_source serve_source(struct pipeline *pipeline)
{
	return (struct service_source){
		.ledger = pipeline_ledger(pipeline),
		.stream = source_stream,
		.find = source_process,
		.user = source_user,
		.context = pipeline,
	};
}
