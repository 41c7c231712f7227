/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/option.h"

const struct command *const command_list[] = {
	&command_trace,
	&command_who,
	&command_rate,
	&command_pool,
	&command_record,
	&command_history,
	&command_report,
	&command_explain,
	&command_replay,
	&command_doctor,
	NULL,
};
