/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `portsnoop doctor`: what this kernel can show, found out by trying. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/option.h"
#include "model/coverage.h"
#include "probe/attach.h"
#include "probe/feature.h"
#include "sink/output.h"

struct doctor_options {
	bool json;
};

static int doctor_output(const char *argument, void *target, const char **expected)
{
	*expected = "text or json";
	if (strcmp(argument, "json") && strcmp(argument, "text"))
		return -EINVAL;
	*(bool *)target = !strcmp(argument, "json");
	return 0;
}

static const struct option_entry doctor_options[] = {
	OPTION("output", 'o', "FORMAT", "text (for people) or json", doctor_output,
	       struct doctor_options, json, .values = "text json"),
	{0},
};

#define REPORT_MOST 64

struct tier_result {
	bool usable;
	bool fetch;
	uint64_t coverage;
	struct hook_report report[REPORT_MOST];
	unsigned int hooks;
	struct probe_failure failure;
};

struct diagnosis {
	struct utsname kernel;
	int feature_error[16];
	char feature_remark[16][FEATURE_REMARK];
	struct tier_result tier[TIER_COUNT];
	int used; /* index; below 0: none */
};

/* One after the other: two tiers are never attached together. */
static void tier_try(struct tier_result *result, enum wire_tier tier)
{
	struct probe_options options = {.releases = true, .tier = tier};
	struct probe *probe = probe_open(&options, &result->failure);
	const struct hook_report *report;

	if (!probe)
		return;
	result->usable = true;
	result->fetch = probe_fetch(probe);
	result->coverage = probe_coverage(probe);
	report = probe_report(probe, &result->hooks);
	if (result->hooks > REPORT_MOST)
		result->hooks = REPORT_MOST;
	memcpy(result->report, report, result->hooks * sizeof(*report));
	probe_close(probe);
}

/* Why the tier in use does not see a kind of claim, or what to do about it. */
static const char *coverage_mend(unsigned int kind, enum wire_tier tier)
{
	switch (kind) {
	case COVERAGE_SCTP:
		return tier == WIRE_TIER_TRACEPOINT
			       ? "not part of this tier"
			       : "load its module before the start: modprobe sctp; the fentry "
				 "tier needs CAP_SYS_ADMIN for it";
	case COVERAGE_UDP_WRITE:
		return "a hook on write() would slow down every write; counted as unseen when "
		       "the port is given back";
	case COVERAGE_TIME_WAIT:
		return "its start is inferred from the states of the connection";
	case COVERAGE_POLICY:
		return "the fentry tier sees them";
	default:
		return "passes no hook of this tier that knows its port or errno";
	}
}

static void features_text(const struct diagnosis *diagnosis, struct buffer *out)
{
	for (unsigned int i = 0; i < feature_count; i++) {
		int error = diagnosis->feature_error[i];
		const char *remark = diagnosis->feature_remark[i];

		buffer_printf(out, "  %-8s %-20s for %s%s%s%s%s\n", error ? "missing" : "ok",
			      feature_table[i].name, feature_table[i].purpose, error ? ": " : "",
			      error ? strerror(-error) : "", *remark ? "; " : "", remark);
		if (error)
			buffer_printf(out, "  %-8s %-20s needs %s\n", "", "",
				      feature_table[i].mend);
	}
}

static void tiers_text(const struct diagnosis *diagnosis, struct buffer *out)
{
	for (unsigned int i = 0; i < TIER_COUNT; i++) {
		const struct tier_result *result = &diagnosis->tier[i];
		unsigned int attached = 0;

		for (unsigned int j = 0; j < result->hooks; j++)
			attached += !result->report[j].error;
		if (result->usable)
			buffer_printf(out, "  %-8s %-11s %u of %u hooks attached%s\n",
				      (int)i == diagnosis->used ? "in use" : "usable",
				      tier_name(tier_list[i]), attached, result->hooks,
				      result->fetch ? ""
						    : "; no sequence numbers before Linux 5.12");
		else
			buffer_printf(out, "  %-8s %-11s %s\n", "no", tier_name(tier_list[i]),
				      result->failure.text);
		for (unsigned int j = 0; j < result->hooks; j++)
			if (result->report[j].error)
				buffer_printf(out, "  %-8s %-11s without %s: %s\n", "", "",
					      result->report[j].hook,
					      strerror(-result->report[j].error));
	}
}

static void claims_text(const struct diagnosis *diagnosis, struct buffer *out)
{
	buffer_printf(out, "  %-11s%-11s%-11s\n", tier_name(tier_list[0]), tier_name(tier_list[1]),
		      tier_name(tier_list[2]));
	for (unsigned int kind = 0; kind < COVERAGE_COUNT; kind++) {
		buffer_text(out, "  ");
		for (unsigned int i = 0; i < TIER_COUNT; i++) {
			const struct tier_result *result = &diagnosis->tier[i];

			buffer_printf(out, "%-11s",
				      !result->usable			      ? "-"
				      : result->coverage & COVERAGE_BIT(kind) ? "yes"
									      : "no");
		}
		buffer_printf(out, "%-21s %s\n", coverage_name(kind), coverage_help(kind));
	}
}

static void diagnosis_text(const struct diagnosis *diagnosis, struct buffer *out)
{
	buffer_printf(out, "portsnoop %s on Linux %s %s\n\nThis kernel\n", PORTSNOOP_VERSION,
		      diagnosis->kernel.release, diagnosis->kernel.machine);
	features_text(diagnosis, out);
	buffer_text(out, "\nTiers, by loading and attaching each\n");
	tiers_text(diagnosis, out);
	buffer_text(out, "\nClaims, and which tier sees them\n");
	claims_text(diagnosis, out);
	if (diagnosis->used < 0)
		return;
	buffer_printf(out, "\nWhat the tier in use, %s, does not see\n",
		      tier_name(tier_list[diagnosis->used]));
	for (unsigned int kind = 0; kind < COVERAGE_COUNT; kind++)
		if (!(diagnosis->tier[diagnosis->used].coverage & COVERAGE_BIT(kind)))
			buffer_printf(out, "  %-21s %s\n", coverage_name(kind),
				      coverage_mend(kind, tier_list[diagnosis->used]));
}

static void tier_json(const struct diagnosis *diagnosis, unsigned int index, struct json *json)
{
	const struct tier_result *result = &diagnosis->tier[index];

	json_open(json, '{');
	json_key(json, "name");
	json_string(json, tier_name(tier_list[index]));
	json_key(json, "usable");
	json_bool(json, result->usable);
	json_key(json, "in_use");
	json_bool(json, (int)index == diagnosis->used);
	if (!result->usable) {
		json_key(json, "error");
		json_string(json, result->failure.text);
		json_close(json, '}');
		return;
	}
	json_key(json, "hooks");
	json_open(json, '[');
	for (unsigned int i = 0; i < result->hooks; i++) {
		json_open(json, '{');
		json_key(json, "hook");
		json_string(json, result->report[i].hook);
		json_key(json, "attached");
		json_bool(json, !result->report[i].error);
		if (result->report[i].error) {
			json_key(json, "error");
			json_string(json, strerrorname_np(-result->report[i].error));
		}
		json_close(json, '}');
	}
	json_close(json, ']');
	json_key(json, "claims");
	json_open(json, '{');
	for (unsigned int kind = 0; kind < COVERAGE_COUNT; kind++) {
		json_key(json, coverage_name(kind));
		json_bool(json, result->coverage & COVERAGE_BIT(kind));
	}
	json_close(json, '}');
	json_close(json, '}');
}

static void diagnosis_json(const struct diagnosis *diagnosis, struct buffer *out)
{
	struct json json = {.out = out};

	json_open(&json, '{');
	json_key(&json, "version");
	json_string(&json, PORTSNOOP_VERSION);
	json_key(&json, "kernel");
	json_string(&json, diagnosis->kernel.release);
	json_key(&json, "machine");
	json_string(&json, diagnosis->kernel.machine);
	json_key(&json, "features");
	json_open(&json, '[');
	for (unsigned int i = 0; i < feature_count; i++) {
		int error = diagnosis->feature_error[i];

		json_open(&json, '{');
		json_key(&json, "name");
		json_string(&json, feature_table[i].name);
		json_key(&json, "ok");
		json_bool(&json, !error);
		json_key(&json, "for");
		json_string(&json, feature_table[i].purpose);
		if (error) {
			json_key(&json, "error");
			json_string(&json, strerrorname_np(-error));
			json_key(&json, "needs");
			json_string(&json, feature_table[i].mend);
		}
		if (*diagnosis->feature_remark[i]) {
			json_key(&json, "remark");
			json_string(&json, diagnosis->feature_remark[i]);
		}
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_key(&json, "tiers");
	json_open(&json, '[');
	for (unsigned int i = 0; i < TIER_COUNT; i++)
		tier_json(diagnosis, i, &json);
	json_close(&json, ']');
	json_close(&json, '}');
	buffer_byte(out, '\n');
}

static int doctor_run(const struct command *command, int argc, char **argv)
{
	struct doctor_options options = {0};
	struct diagnosis diagnosis = {.used = -1};
	CLEANUP(output_free) struct output out = OUTPUT_TO(STDOUT_FILENO);
	int error, status, first = options_parse(command, argc, argv, &options);

	if (first < argc)
		usage_error(command, "'%s': takes no operands", argv[first]);
	uname(&diagnosis.kernel);
	for (unsigned int i = 0; i < TIER_COUNT; i++) {
		tier_try(&diagnosis.tier[i], tier_list[i]);
		if (diagnosis.used < 0 && diagnosis.tier[i].usable)
			diagnosis.used = i;
	}
	for (unsigned int i = 0; i < feature_count; i++)
		diagnosis.feature_error[i] = feature_table[i].probe(diagnosis.feature_remark[i]);
	if (options.json)
		diagnosis_json(&diagnosis, &out.pending);
	else
		diagnosis_text(&diagnosis, &out.pending);
	status = diagnosis.used < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	error = output_flush(&out);
	if (error && error != -EPIPE) {
		log_error(error, "standard output");
		status = EXIT_FAILURE;
	}
	return status;
}

const struct command command_doctor = {
	.name = "doctor",
	.usage = "[OPTION]...",
	.summary = "try out what this kernel can show, and what to do about the rest",
	.text = "Loads and attaches each kind of hook for a moment and says what came of it: the "
		"features of the kernel, the tier, and every kind of claim, seen or not. Exit "
		"status 0 if claims can be traced here, else 1.",
	.options = doctor_options,
	.run = doctor_run,
};
