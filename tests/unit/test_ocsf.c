/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What OCSF and OTLP have of their own: the golden files show the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/format.h"
#include "format/otlp_request.h"
#include "scene.h"

static const char *rendered(const struct format_ops *ops, const struct scene *scene)
{
	static char text[16384];
	struct format *format = ops->open(&(struct format_options){0});
	struct buffer out = BUFFER_EMPTY;

	assert_non_null(format);
	ops->event(format, &scene->event, &out);
	ops->close(format);
	buffer_byte(&out, '\0');
	assert_false(out.failed);
	assert_in_range(out.length, 3, sizeof(text));
	memcpy(text, out.data, out.length);
	buffer_free(&out);
	return text;
}

static void has(const struct format_ops *ops, const struct scene *scene, const char *part, int line)
{
	const char *text = rendered(ops, scene);

	if (!strstr(text, part))
		fail_msg("line %d: no %s in %s", line, part, text);
}

static void has_not(const struct format_ops *ops, const struct scene *scene, const char *part,
		    int line)
{
	const char *text = rendered(ops, scene);

	if (strstr(text, part))
		fail_msg("line %d: %s in %s", line, part, text);
}

#define HAS(part) has(&format_ocsf, &scene, part, __LINE__)
#define HAS_NOT(part) has_not(&format_ocsf, &scene, part, __LINE__)

static struct scene scene;

static void activities(void **state)
{
	struct wire_event connect = record_connect(WIRE_CALL, 42, "web");
	struct wire_event listen = record_event(WIRE_CALL, WIRE_LISTEN, 42, "web");

	(void)state;
	scene_set(&scene, EVENT_BOUND, record_bind(42, "web", 80, 80));
	HAS("{\"activity_id\":99,\"activity_name\":\"bound-socket\",\"category_uid\":4,"
	    "\"class_uid\":4001,\"class_name\":\"Network Activity\",\"type_uid\":400199,"
	    "\"severity_id\":1,\"status_id\":1,\"status\":\"Success\",");
	scene_set(&scene, EVENT_CONNECTED, connect);
	HAS("{\"activity_id\":1,\"activity_name\":\"Open\",");
	HAS("\"status_id\":0,\"status\":\"Unknown\"");
	connect.error = ETIMEDOUT;
	scene_set(&scene, EVENT_FAILED, connect);
	HAS("{\"activity_id\":4,\"activity_name\":\"Fail\",");
	HAS("\"type_uid\":400104,\"severity_id\":2,\"status_id\":2,\"status\":\"Failure\"");
	HAS("\"status_code\":\"ETIMEDOUT\"");
	connect.error = ECONNREFUSED;
	scene_set(&scene, EVENT_FAILED, connect);
	HAS("{\"activity_id\":5,\"activity_name\":\"Refuse\",");
	record_local4(&listen, "\0\0\0\0", 80);
	scene_set(&scene, EVENT_LISTEN, listen);
	HAS("{\"activity_id\":7,\"activity_name\":\"Listen\",");
	HAS("\"direction_id\":1");
	HAS("\"dst_endpoint\":{\"ip\":\"0.0.0.0\",\"port\":80}");
	HAS_NOT("src_endpoint");
	scene_set(&scene, EVENT_RELEASED, record_connect(WIRE_RELEASE, 42, "web"));
	HAS("{\"activity_id\":2,\"activity_name\":\"Close\",");
}

static void ends(void **state)
{
	struct wire_event connect = record_connect(WIRE_CALL, 42, "web");
	struct wire_event bind = record_bind(42, "web", 80, 0);

	(void)state;
	scene_set(&scene, EVENT_CONNECTED, connect);
	HAS("\"src_endpoint\":{\"ip\":\"10.0.0.1\",\"port\":40000},"
	    "\"dst_endpoint\":{\"ip\":\"192.0.2.80\",\"port\":443}");
	HAS("\"direction_id\":2");
	/* an end must not be a port alone, nor be there with nothing */
	record_local4(&connect, "\0\0\0\0", 40000);
	scene_set(&scene, EVENT_CONNECTED, connect);
	HAS("\"src_endpoint\":{\"hostname\":\"web1\",\"port\":40000}");
	connect.local_port = 0;
	scene_set(&scene, EVENT_CONNECTED, connect);
	HAS_NOT("src_endpoint");
	/* what a bind wanted, and what one that failed without that had: nothing */
	bind.error = EADDRINUSE;
	record_other4(&bind, "\x0a\0\0\x02", 80);
	scene_set(&scene, EVENT_BOUND, bind);
	HAS("\"dst_endpoint\":{\"ip\":\"10.0.0.2\",\"port\":80}");
	bind.flags &= ~(unsigned int)WIRE_HAS_OTHER;
	scene_set(&scene, EVENT_BOUND, bind);
	HAS("\"dst_endpoint\":{\"hostname\":\"web1\"}");
	/* in the packets they are IPv4 */
	connect = record_connect(WIRE_CALL, 42, "web");
	connect.family = 6;
	record_mapped(connect.local, "\x0a\0\0\x01");
	record_mapped(connect.other, "\xc0\0\x02\x50");
	scene_set(&scene, EVENT_CONNECTED, connect);
	HAS("\"src_endpoint\":{\"ip\":\"10.0.0.1\",");
	HAS("\"dst_endpoint\":{\"ip\":\"192.0.2.80\",");
	HAS("\"protocol_ver_id\":4");
	HAS("\"local\":{\"ip\":\"::ffff:10.0.0.1\"");
	connect.protocol = 262;
	scene_set(&scene, EVENT_CONNECTED, connect);
	HAS("\"protocol_num\":6");
}

static void numbers(void **state)
{
	struct wire_event release = record_connect(WIRE_RELEASE, 42, "web");

	(void)state;
	release.duration = 1999999999;
	scene_set(&scene, EVENT_RELEASED, release);
	HAS("\"time\":1795271527000,\"start_time\":1795271525000,\"end_time\":1795271527000,"
	    "\"duration\":1999,");
	HAS("\"duration\":1999999999,\"portsnoop\":{");
	/* what does not fit into 32 bits is not there in a wrong way */
	release.duration = ((wire_u64)INT32_MAX + 1) * 1000000;
	scene_set(&scene, EVENT_RELEASED, release);
	scene.event.sequence = (uint64_t)INT32_MAX + 1;
	HAS_NOT("\"duration\":2147483648,");
	HAS("\"duration\":2147483648000000,");
	HAS_NOT("\"sequence\"");
	HAS("\"uid\":\"00c0ffee12345678-2147483648\"");
	scene.event.sequence--;
	HAS("\"sequence\":2147483647,");
	/* milliseconds are rounded down, also before 1970 */
	scene.event.wall_time = -1;
	HAS("\"time\":-1,");
}

static void processes(void **state)
{
	static char args[] = "sh\0-c\0exec 'it'";
	struct process *process = &scene.process;

	(void)state;
	scene_set(&scene, EVENT_BOUND, record_bind(42, "web", 80, 80));
	HAS("\"profiles\":[\"host\"]");
	HAS_NOT("\"file\"");
	process->serial = 1;
	process->exe = "/usr/bin/dash";
	process->exe_length = strlen(process->exe);
	process->args = args;
	process->args_length = sizeof(args);
	strcpy(process->container.pod, "9a3f2c1e-7b4d-4e8a-9c51-2f6d8e0b1a34");
	strcpy(process->container.runtime, "lxc");
	scene.event.process = process;
	HAS("\"file\":{\"name\":\"dash\",\"type_id\":1,\"path\":\"/usr/bin/dash\"}");
	HAS("\"cmd_line\":\"sh -c 'exec '\\\\''it'\\\\'''\"");
	/* a container needs an id */
	HAS_NOT("\"container\":{\"uid\"");
	HAS("\"profiles\":[\"host\"]");
	HAS("\"unmapped\":{\"timestamp\":\"2026-11-21T14:32:07.000000000Z\",");
	HAS("\"container\":{\"runtime\":\"lxc\"}");
	HAS("\"pod\":\"9a3f2c1e-7b4d-4e8a-9c51-2f6d8e0b1a34\"");
	strcpy(process->container.id, "c0ffee12");
	HAS("\"profiles\":[\"host\",\"container\"]");
	HAS("\"container\":{\"runtime\":\"lxc\","
	    "\"pod_uuid\":\"9a3f2c1e-7b4d-4e8a-9c51-2f6d8e0b1a34\",\"uid\":\"c0ffee12\"}");
	HAS_NOT("\"pod\":\"");
	/* a path without a name is one */
	process->exe = "/";
	process->exe_length = 1;
	HAS("\"file\":{\"name\":\"/\",\"type_id\":1,\"path\":\"/\"}");
	process->exe = "memfd:x";
	process->exe_length = strlen(process->exe);
	HAS("\"name\":\"memfd:x\",\"type_id\":1,");
}

static void stream_events(void **state)
{
	struct event_gap gap = {.cpu = 1, .count = 7, .before = RECORDS_TIME};

	(void)state;
	scene_set(&scene, EVENT_LOST, record_bind(42, "web", 80, 80));
	scene.event.socket = NULL;
	scene.event.outcome = EVENT_UNKNOWN;
	scene.event.gap = &gap;
	HAS("{\"activity_id\":99,\"activity_name\":\"lost-events\",\"category_uid\":6,"
	    "\"class_uid\":6002,\"class_name\":\"Application Lifecycle\",\"type_uid\":600299,"
	    "\"severity_id\":3,\"time\":");
	HAS("\"app\":{\"name\":\"portsnoop\",\"vendor_name\":\"portsnoop\",\"version\":\"0.1.0\"}");
	HAS_NOT("status");
	HAS_NOT("endpoint");
}

/* ---- OTLP ---- */

#define OTLP_HAS(part) has(&format_otlp, &scene, part, __LINE__)

static void otlp_numbers(void **state)
{
	struct wire_event bind = record_bind(42, "web", 80, 80);

	(void)state;
	bind.socket = UINT64_MAX;
	scene_set(&scene, EVENT_BOUND, bind);
	OTLP_HAS("{\"key\":\"portsnoop.socket\",\"value\":{\"stringValue\":"
		 "\"18446744073709551615\"}}");
	scene.socket.socket = INT64_MAX;
	OTLP_HAS("{\"key\":\"portsnoop.socket\",\"value\":{\"intValue\":"
		 "\"9223372036854775807\"}}");
	/* unsigned there */
	scene.event.wall_time = -5;
	OTLP_HAS("{\"timeUnixNano\":\"0\",\"observedTimeUnixNano\":\"0\",");
	OTLP_HAS("{\"key\":\"process.real_user.id\",\"value\":{\"intValue\":\"1000\"}}");
}

static void otlp_names(void **state)
{
	(void)state;
	for (int action = 0; action < EVENT_ACTIONS; action++) {
		struct wire_stream_end end = record_end(1, 0);
		struct wire_heartbeat heartbeat = record_heartbeat(1, 0);
		struct event_gap gap = {.count = 1};

		scene_set(&scene, (enum event_action)action, record_bind(42, "web", 80, 80));
		scene.event.gap = &gap;
		scene.event.end = &end;
		scene.event.heartbeat = &heartbeat;
		OTLP_HAS(",\"eventName\":\"portsnoop.");
		has_not(&format_otlp, &scene, "\"eventName\":\"portsnoop.(null)", __LINE__);
	}
}

/* A request of many has what the requests of one each have. */
static void otlp_records(void **state)
{
	struct buffer out = BUFFER_EMPTY, expected = BUFFER_EMPTY;
	struct otlp_request request;
	size_t before;

	(void)state;
	scene_set(&scene, EVENT_BOUND, record_bind(42, "web", 80, 80));
	buffer_text(&expected, rendered(&format_otlp, &scene));
	assert_int_equal(expected.data[expected.length - 1], '\n');
	expected.length -= strlen("]}]}]}\n");
	before = expected.length;
	otlp_request_open(&request, &out);
	assert_true(otlp_request_add(&request, rendered(&format_otlp_record, &scene),
				     strlen(rendered(&format_otlp_record, &scene))));
	/* another event of the same stream: only its record is new */
	scene.event.sequence++;
	assert_true(otlp_request_add(&request, rendered(&format_otlp_record, &scene),
				     strlen(rendered(&format_otlp_record, &scene))));
	assert_memory_equal(out.data, expected.data, before);
	assert_memory_equal(out.data + before, ",{\"timeUnixNano\":", 17);
	/* of another host: not among those of the first one */
	before = out.length;
	strcpy(scene.stream.start.host, "web2");
	assert_true(otlp_request_add(&request, rendered(&format_otlp_record, &scene),
				     strlen(rendered(&format_otlp_record, &scene))));
	assert_memory_equal(out.data + before, "]}]},{\"schemaUrl\":", 17);
	otlp_request_close(&request);
	buffer_free(&out);
	buffer_free(&expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(activities),	 cmocka_unit_test(ends),
		cmocka_unit_test(numbers),	 cmocka_unit_test(processes),
		cmocka_unit_test(stream_events), cmocka_unit_test(otlp_numbers),
		cmocka_unit_test(otlp_names),	 cmocka_unit_test(otlp_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
