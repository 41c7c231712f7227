/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/event.h"

const char *event_action_name(enum event_action action)
{
	static const char *const names[EVENT_ACTIONS] = {
		[EVENT_BOUND] = "bound-socket",
		[EVENT_CONNECTED] = "connected-to",
		[EVENT_LISTEN] = "listen-for-connections",
		[EVENT_AUTOBOUND] = "autobound-socket",
		[EVENT_ESTABLISHED] = "connection-established",
		[EVENT_FAILED] = "connection-failed",
		[EVENT_RELEASED] = "released-port",
		[EVENT_LOST] = "lost-events",
		[EVENT_START] = "stream-start",
		[EVENT_END] = "stream-end",
		[EVENT_HEARTBEAT] = "heartbeat",
	};

	return (unsigned int)action < EVENT_ACTIONS ? names[action] : "unknown";
}

const char *event_outcome_name(enum event_outcome outcome)
{
	switch (outcome) {
	case EVENT_SUCCESS:
		return "success";
	case EVENT_FAILURE:
		return "failure";
	case EVENT_UNKNOWN:
		break;
	}
	return "unknown";
}

const char *trigger_name(unsigned int trigger)
{
	static const char *const names[] = {
		[WIRE_BIND] = "bind", [WIRE_CONNECT] = "connect", [WIRE_LISTEN] = "listen",
		[WIRE_SEND] = "send", [WIRE_SUBFLOW] = "subflow",
	};

	return trigger < sizeof(names) / sizeof(names[0]) ? names[trigger] : NULL;
}

enum event_severity event_severity(const struct event *event)
{
	if (event->action == EVENT_LOST)
		return SEVERITY_WARNING;
	return event->outcome == EVENT_FAILURE ? SEVERITY_NOTICE : SEVERITY_INFO;
}
