/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* NDJSON, an object for each pool, in the shape of the event stream (model/field.c). What
 * is not known is absent. */
#include <string.h>

#include "command/pool.h"
#include "format/member.h"
#include "lib/cleanup.h"
#include "model/event.h"
#include "model/message.h"
#include "model/text.h"

static void decimal_put(struct json *json, const char *key, double number)
{
	json_key(json, key);
	buffer_printf(json->out, "%.3f", number);
	json->comma = true;
}

static void text_put(struct json *json, const char *key, const char *bytes, size_t length)
{
	json_key(json, key);
	json_text(json, bytes, length);
}

/* ---- what every record begins with ---- */

static void head_put(struct json *json, const struct pool_view *view, const char *kind,
		     const char *action, const struct buffer *message)
{
	member_time(json, "@timestamp", view->picture->wall);
	text_put(json, "message", message->data, message->failed ? 0 : message->length);
	json->out->failed |= message->failed;
	member_event(json, kind);
	member_array(json, "type");
	json_string(json, "info");
	json_close(json, ']');
	member_string(json, "action", action);
	member_string(json, "dataset", "portsnoop.pool");
	json_close(json, '}');
}

static void host_put(struct json *json, const struct pool_view *view)
{
	if (!view->host || !*view->host)
		return;
	member_object(json, "host");
	member_string(json, "name", view->host);
	json_close(json, '}');
}

static void place_put(struct json *json, const struct pool_place *place)
{
	const struct pool *settings = &place->settings;

	member_number(json, "netns", place->netns);
	if (place->name)
		member_string(json, "netns_name", place->name);
	member_array(json, "pool");
	json_unsigned(json, settings->low);
	json_unsigned(json, settings->high);
	json_close(json, ']');
	if (!settings->reuse_error)
		member_number(json, "tcp_tw_reuse", settings->reuse);
}

/* ---- pools ---- */

static const char *outlook_name(enum pool_outlook outlook)
{
	static const char *const names[] = {
		[POOL_IDLE] = "idle",
		[POOL_SETTLES] = "settles",
		[POOL_RUNS_OUT] = "runs-out",
		[POOL_EXHAUSTED] = "exhausted",
	};

	return names[outlook];
}

static void traffic_put(struct json *json, const struct pool_view *view, const struct pool_row *row)
{
	const struct pool_traffic *traffic = &row->traffic;
	const struct pool_forecast *forecast = &row->forecast;

	if (!view->picture->watched)
		return;
	member_object(json, "watch");
	decimal_put(json, "seconds", (double)view->picture->window / 1e9);
	member_number(json, "allocations", traffic->window.claims);
	member_number(json, "failures", traffic->window.failures);
	member_number(json, "released", traffic->window.closed);
	member_number(json, "time_waits", traffic->window.time_waits);
	decimal_put(json, "rate", traffic->rate);
	if (traffic->life >= 0)
		decimal_put(json, "held_seconds", traffic->life);
	member_flag(json, "most", traffic->most);
	member_flag(json, "estimated", view->picture->estimated);
	json_close(json, '}');
	member_object(json, "forecast");
	member_string(json, "outlook", outlook_name(forecast->outlook));
	if (forecast->outlook == POOL_RUNS_OUT) {
		decimal_put(json, "seconds", forecast->seconds);
		member_bool(json, "earliest", forecast->earliest);
	}
	if (forecast->settled >= 0)
		decimal_put(json, "settled", forecast->settled);
	json_close(json, '}');
}

static void holders_put(struct json *json, const struct pool_view *view, const struct pool_row *row)
{
	size_t shown = view->top && row->holder_count > view->top ? view->top : row->holder_count;

	member_array(json, "holders");
	for (size_t i = 0; i < shown; i++) {
		const struct pool_holder *holder = &row->holders[i];

		json_open(json, '{');
		member_number(json, "pid", holder->pid);
		text_put(json, "name", holder->comm, strnlen(holder->comm, sizeof(holder->comm)));
		member_number(json, "ports", holder->ports);
		json_close(json, '}');
	}
	json_close(json, ']');
	member_number(json, "holders_total", row->holder_count);
}

static void counts_put(struct json *json, const struct pool_use *use)
{
	member_number(json, "ports", (uint64_t)use->key.high - use->key.low + 1);
	member_number(json, "reserved", use->ports[PORT_RESERVED]);
	if (use->key.way == POOL_CONNECT)
		member_number(json, "blocked", use->ports[PORT_BLOCKED]);
	member_number(json, "capacity", pool_capacity(use));
	member_number(json, "used", use->ports[PORT_USED]);
	member_number(json, "time_wait", use->ports[PORT_LINGERING]);
	if (use->key.way == POOL_CONNECT)
		member_number(json, "reusable", use->ports[PORT_REUSABLE]);
	member_number(json, "left", use->left);
	member_number_if(json, "doubtful", use->doubtful);
	decimal_put(json, "share", pool_share(use));
	member_flag(json, "estimated", use->estimated);
}

static void use_put(struct json *json, const struct pool_view *view, const struct pool_row *row)
{
	const struct pool_key *key = &row->use.key;

	member_object(json, "use");
	member_string(json, "way", pool_words_way(key));
	member_flag(json, "elsewhere", pool_is_elsewhere(key));
	if (!pool_is_elsewhere(key))
		member_address(json, "source", key->local, key->family);
	if (key->way == POOL_CONNECT && !pool_is_elsewhere(key)) {
		member_endpoint(json, "destination", key->other, key->family, key->other_port);
	}
	member_number(json, "low", key->low);
	member_number(json, "high", key->high);
	member_flag(json, "own_range", key->own);
	counts_put(json, &row->use);
	traffic_put(json, view, row);
	holders_put(json, view, row);
	json_close(json, '}');
}

static void row_put(struct buffer *out, const struct pool_view *view,
		    const struct pool_place *place, const struct pool_row *row, const char *kind,
		    const char *action, const struct buffer *message, double threshold)
{
	struct json json = {.out = out};

	json_open(&json, '{');
	head_put(&json, view, kind, action, message);
	member_network(&json, row->use.key.protocol, row->use.key.family);
	host_put(&json, view);
	member_object(&json, "portsnoop");
	member_number(&json, "schema", 1);
	place_put(&json, place);
	if (threshold > 0)
		decimal_put(&json, "threshold", threshold);
	use_put(&json, view, row);
	json_close(&json, '}');
	json_close(&json, '}');
	buffer_byte(out, '\n');
}

void pool_json(struct buffer *out, const struct pool_view *view)
{
	const struct pool_picture *picture = view->picture;
	CLEANUP(buffer_free) struct buffer words = BUFFER_EMPTY;

	for (size_t i = 0; i < picture->place_count; i++) {
		const struct pool_place *place = &picture->places[i];
		size_t told[2] = {0};

		for (size_t k = 0; k < place->row_count; k++) {
			const struct pool_row *row = &place->rows[k];

			if (view->top && ++told[row->use.key.way] > view->top)
				continue;
			buffer_reset(&words);
			pool_words_pool(&words, &row->use.key);
			buffer_printf(&words, ": %u of %u taken, %u left", pool_taken(&row->use),
				      pool_capacity(&row->use), row->use.left);
			row_put(out, view, place, row, "metric", "pool-use", &words, 0);
		}
	}
}

/* ---- alerts ---- */

static void failure_put(struct buffer *out, const struct pool_view *view,
			const struct pool_alert *alert, const struct buffer *message)
{
	const struct pool_failure *failure = alert->failure;
	struct json json = {.out = out};
	const char *error = errno_name(failure->error), *trigger = trigger_name(failure->trigger);

	json_open(&json, '{');
	head_put(&json, view, "alert", "allocation-failed", message);
	if (error) {
		member_object(&json, "error");
		member_string(&json, "code", error);
		json_close(&json, '}');
	}
	member_network(&json, failure->protocol, 0);
	if (failure->pid) {
		member_object(&json, "process");
		member_number(&json, "pid", failure->pid);
		text_put(&json, "name", failure->comm,
			 strnlen(failure->comm, sizeof(failure->comm)));
		json_close(&json, '}');
	}
	host_put(&json, view);
	member_object(&json, "portsnoop");
	member_number(&json, "schema", 1);
	place_put(&json, alert->place);
	if (trigger)
		member_string(&json, "trigger", trigger);
	member_number(&json, "failures", failure->count);
	json_close(&json, '}');
	json_close(&json, '}');
	buffer_byte(out, '\n');
}

void pool_alert_json(struct buffer *out, const struct pool_view *view,
		     const struct pool_alert *alert)
{
	CLEANUP(buffer_free) struct buffer words = BUFFER_EMPTY;

	pool_alert_text(&words, view, alert);
	if (words.length)
		words.length--; /* the end of the line */
	if (alert->row)
		row_put(out, view, alert->place, alert->row, "alert",
			alert->over ? "pool-pressure-over" : "pool-pressure", &words,
			view->threshold);
	else
		failure_put(out, view, alert, &words);
}
