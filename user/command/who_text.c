/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For people. On a terminal no line about a socket or a process is wider than it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "command/who_claim.h"
#include "lib/cleanup.h"
#include "lib/escape.h"
#include "lib/order.h"
#include "model/message.h"

#define MANY 10	     /* sockets or processes: more of a kind are summarised */
#define FIRST 3	     /* of these are told */
#define PORTS_SAID 5 /* of a range, with a line about each */

#define ELLIPSIS "\xe2\x80\xa6"
#define COLOR_BOLD "\033[1m"
#define COLOR_DIM "\033[2m"
#define COLOR_OFF "\033[0m"

/* A process that was told in full already. */
struct told {
	uint64_t key[2]; /* start, pid */
	UT_hash_handle hh;
};

struct text {
	struct buffer *out;
	const struct who_view *view;
	struct buffer line;
	struct told *told;
};

/* ---- lines ---- */

/* Bytes of the escaped text's start that take `columns` at most. */
static size_t text_fit(const char *bytes, size_t length, unsigned int columns, bool *whole)
{
	unsigned int used = 0;
	size_t at = 0;

	while (at < length) {
		uint32_t character = 0;
		size_t taken = utf8_length(bytes + at, length - at, &character);
		unsigned int more = utf8_columns(character);

		if (used + more > columns)
			break;
		used += more;
		at += taken ? taken : 1;
	}
	*whole = at == length;
	return at;
}

/* Appends the line, cut to the terminal. */
static void line_end(struct text *text, const char *color)
{
	const struct buffer *line = &text->line;
	struct buffer *out = text->out;
	size_t length = line->length;
	bool whole = true;

	out->failed |= line->failed;
	if (out->failed)
		return;
	if (text->view->width)
		length = text_fit(line->data, length, text->view->width, &whole);
	if (!whole)
		length = text_fit(line->data, line->length, text->view->width - 1, &whole);
	if (!text->view->color)
		color = NULL;
	if (color)
		buffer_text(out, color);
	buffer_append(out, line->data, length);
	if (length < line->length)
		buffer_text(out, ELLIPSIS);
	if (color)
		buffer_text(out, COLOR_OFF);
	buffer_byte(out, '\n');
}

static struct buffer *line_begin(struct text *text)
{
	buffer_reset(&text->line);
	return &text->line;
}

static void plain(struct buffer *out, const char *string)
{
	escape_plain(out, string, strlen(string));
}

/* ---- processes ---- */

static bool told_before(struct text *text, const struct holder *holder)
{
	struct told *told = calloc(1, sizeof(*told)), *before;

	if (!told) {
		text->out->failed = true;
		return true;
	}
	told->key[0] = holder->start;
	told->key[1] = holder->pid;
	HASH_FIND(hh, text->told, told->key, sizeof(told->key), before);
	if (before)
		free(told);
	else
		HASH_ADD(hh, text->told, key, sizeof(told->key), told);
	return before;
}

static void container_print(struct buffer *line, const struct container *container)
{
	if (*container->id) {
		buffer_text(line, ", ");
		plain(line, *container->runtime ? container->runtime : "container");
		buffer_byte(line, ' ');
		escape_plain(line, container->id, strnlen(container->id, 12));
	}
	if (*container->pod) {
		buffer_text(line, ", pod ");
		plain(line, container->pod);
	}
	if (*container->unit) {
		buffer_text(line, ", ");
		plain(line, container->unit);
	}
}

static void args_print(struct text *text, const char *args, size_t length)
{
	struct buffer *line = line_begin(text);
	const char *end = args + length;

	buffer_text(line, "    args ");
	while (args < end) {
		size_t part = strnlen(args, (size_t)(end - args));

		buffer_byte(line, ' ');
		escape_plain(line, args, part);
		args += part + 1;
	}
	line_end(text, NULL);
}

static void holder_print(struct text *text, const struct holder *holder)
{
	struct buffer *line = line_begin(text);
	bool before = told_before(text, holder);

	buffer_text(line, "  ");
	escape_plain(line, holder->comm, strnlen(holder->comm, sizeof(holder->comm)));
	buffer_printf(line, "[%u]", holder->pid);
	if (!before) {
		if (holder->user) {
			buffer_text(line, ", user ");
			plain(line, holder->user);
		} else {
			buffer_printf(line, ", uid %u", holder->uid);
		}
		container_print(line, &holder->container);
	}
	if (holder->fds) {
		buffer_printf(line, ", fd %d", holder->fd);
		if (holder->fds > 1)
			buffer_printf(line, " and %u more", holder->fds - 1);
	}
	line_end(text, NULL);
	if (before)
		return;
	if (holder->exe) {
		line = line_begin(text);
		buffer_text(line, "    exe   ");
		plain(line, holder->exe);
		if (holder->exe_deleted)
			buffer_text(line, " (deleted)");
		line_end(text, NULL);
	}
	if (holder->args && holder->args_length)
		args_print(text, holder->args, holder->args_length);
}

/* Why no process is named. */
static void nobody_print(struct text *text, const struct holding *holding, bool blind)
{
	struct buffer *line = line_begin(text);

	if (holding->state == HOLDING_TIME_WAIT)
		buffer_text(line, "  no process: TIME_WAIT");
	else if (holding->orphan)
		buffer_text(line, "  no process: closed, and the kernel finishes it");
	else if (!holding->inode && holding->state != HOLDING_CLOSE)
		buffer_text(line, "  no process yet: it waits for accept() of who listens");
	else if (holding->flags & WIRE_KERNEL_SOCKET)
		buffer_text(line, "  no process: a socket of the kernel's own");
	else if (blind)
		buffer_printf(line, "  no process was seen that has it; the socket is of uid %u",
			      holding->uid);
	else
		buffer_text(line, "  no process: a socket of the kernel's own, on its way in a "
				  "message, or held by io_uring alone");
	if (holding->has_expires)
		buffer_printf(line, ", ends in %u s",
			      holding->expires / 1000 + !!(holding->expires % 1000));
	line_end(text, COLOR_DIM);
}

static void holders_print(struct text *text, const struct holding *holding, bool blind)
{
	size_t shown = holding->holder_count > MANY ? FIRST : holding->holder_count;

	if (!holding->holder_count)
		nobody_print(text, holding, blind);
	for (size_t i = 0; i < shown; i++)
		holder_print(text, &holding->holders[i]);
	if (shown < holding->holder_count) {
		buffer_printf(line_begin(text), "  ... and %zu more processes, up to [%u]",
			      holding->holder_count - shown,
			      holding->holders[holding->holder_count - 1].pid);
		line_end(text, COLOR_DIM);
	}
}

/* ---- sockets ---- */

static void state_print(struct buffer *line, uint8_t state)
{
	for (const char *name = holding_state_name(state); *name; name++)
		buffer_byte(line, (char)toupper((unsigned char)*name));
}

static void holding_print(struct text *text, const struct holding *holding, bool blind)
{
	static const uint8_t any[16];
	struct buffer *line = line_begin(text);

	who_protocol(line, holding);
	buffer_byte(line, ' ');
	who_endpoint(line, holding->local, holding->family, holding->local_port);
	if (holding->family == 6 && !memcmp(holding->local, any, 16) &&
	    !(holding->flags & WIRE_V6ONLY) && !holding->other_port)
		buffer_text(line, " and IPv4");
	if (holding->other_port) {
		buffer_text(line, " -> ");
		who_endpoint(line, holding->other, holding->family, holding->other_port);
	}
	buffer_byte(line, ' ');
	state_print(line, holding->state);
	if (holding->device)
		buffer_printf(line, ", on device %u", holding->device);
	if (holding->netns != text->view->own_netns) {
		const char *name = who_netns_name(text->view, holding->netns);

		buffer_text(line, ", netns ");
		if (name)
			plain(line, name);
		else
			buffer_unsigned(line, holding->netns);
	}
	line_end(text, holding->holder_count ? COLOR_BOLD : COLOR_DIM);
	holders_print(text, holding, blind);
	line = line_begin(text);
	buffer_text(line, "  ");
	if (who_claim_text(line, text->view, holding))
		line_end(text, NULL);
}

/* ---- order ---- */

static unsigned int state_rank(const struct holding *holding)
{
	switch (holding->state) {
	case HOLDING_LISTEN:
		return 0;
	case HOLDING_CLOSE:
		return 1;
	case HOLDING_TIME_WAIT:
		return 3;
	}
	return 2;
}

/* The same kind of socket of the same processes: 0. */
static int kind_compare(const struct holding *a, const struct holding *b, uint32_t own_netns)
{
	int order = number_compare(a->local_port, b->local_port);

	if (!order)
		order = number_compare(a->netns != own_netns, b->netns != own_netns);
	if (!order)
		order = number_compare(a->netns, b->netns);
	if (!order)
		order = number_compare(a->protocol, b->protocol);
	if (!order)
		order = number_compare(state_rank(a), state_rank(b));
	if (!order)
		order = number_compare(a->state, b->state);
	if (!order)
		order = number_compare(a->holder_count, b->holder_count);
	for (size_t i = 0; !order && i < a->holder_count; i++)
		order = number_compare(a->holders[i].pid, b->holders[i].pid);
	if (!order)
		order = number_compare(a->orphan, b->orphan);
	return order;
}

static int holding_compare(const void *first, const void *second, void *own_netns)
{
	const struct holding *const *a = first, *const *b = second;
	int order = kind_compare(*a, *b, *(const uint32_t *)own_netns);

	/* as they stood in the list */
	return order ? order : number_compare((uintptr_t)*a, (uintptr_t)*b);
}

/* ---- many ---- */

static void more_print(struct text *text, const struct holding *const *rest, size_t count)
{
	struct buffer *line = line_begin(text);
	uint32_t last = 0;
	bool expires = true;

	for (size_t i = 0; i < count; i++) {
		expires &= rest[i]->has_expires;
		if (rest[i]->expires > last)
			last = rest[i]->expires;
	}
	buffer_printf(line, "... and %zu more ", count);
	state_print(line, rest[0]->state);
	if (rest[0]->holder_count)
		buffer_printf(line, " of the same process%s",
			      rest[0]->holder_count > 1 ? "es" : "");
	if (expires)
		buffer_printf(line, ", the last ends in %u s", last / 1000 + !!(last % 1000));
	line_end(text, COLOR_DIM);
}

static size_t group_print(struct text *text, const struct holding *const *list, size_t count,
			  bool blind)
{
	size_t same = 1, shown;

	while (same < count && !kind_compare(list[0], list[same], text->view->own_netns))
		same++;
	shown = same > MANY ? FIRST : same;
	for (size_t i = 0; i < shown; i++)
		holding_print(text, list[i], blind);
	if (shown < same)
		more_print(text, list + shown, same - shown);
	return same;
}

/* Those of one port; what it is behind them, if there is room for that. */
static void port_print(struct text *text, const struct explain_subject *subject,
		       const struct holding *const *list, size_t count, bool explained, bool blind)
{
	const struct who_view *view = text->view;
	size_t at, part;

	for (at = 0; at < count;)
		at += group_print(text, list + at, count - at, blind);
	if (!explained)
		return;
	/* The pool of another namespace is another one. */
	who_port(text->out, view, subject, list[0]->local_port, list[0]->netns == view->own_netns);
	for (at = 0; at < count; at += part) {
		for (part = 1; at + part < count && list[at + part]->netns == list[at]->netns;)
			part++;
		who_hints(text->out, view, list + at, part);
	}
}

static size_t port_count(const struct holding *const *list, size_t count)
{
	size_t ports = count > 0;

	for (size_t i = 1; i < count; i++)
		ports += list[i]->local_port != list[i - 1]->local_port;
	return ports;
}

static void subject_print(struct text *text, const struct explain_subject *subject,
			  const struct holding **list, size_t count, bool blind)
{
	const struct who_view *view = text->view;
	bool one = subject->low == subject->high, explained;
	uint32_t own = view->own_netns;

	if (!count) {
		who_subject(text->out, subject);
		buffer_text(text->out, one ? ": nobody has it\n" : ": nobody has any of them\n");
		if (one)
			who_port(text->out, view, subject, subject->low, true);
		return;
	}
	qsort_r(list, count, sizeof(*list), holding_compare, &own);
	explained = port_count(list, count) <= PORTS_SAID;
	for (size_t at = 0, part; at < count; at += part) {
		for (part = 1;
		     at + part < count && list[at + part]->local_port == list[at]->local_port;)
			part++;
		port_print(text, subject, list + at, part, explained, blind);
	}
}

static void text_free(struct text *text)
{
	struct told *told, *next;

	HASH_ITER (hh, text->told, told, next) {
		HASH_DEL(text->told, told);
		free(told);
	}
	buffer_free(&text->line);
}

void who_text(struct buffer *out, const struct who_view *view, const struct holdings *holdings)
{
	CLEANUP(text_free) struct text text = {.out = out, .view = view};
	CLEANUP_FREE const struct holding **list = NULL;

	list = malloc((holdings->count + 1) * sizeof(*list));
	if (!list) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < view->subjects->count; i++) {
		const struct explain_subject *subject = &view->subjects->list[i];
		size_t count = 0;

		for (size_t k = 0; k < holdings->count; k++)
			if (who_wants(view, subject, &holdings->list[k]))
				list[count++] = &holdings->list[k];
		subject_print(&text, subject, list, count, holdings->blind[0] != NULL);
	}
}

/* ---- a claim ---- */

void who_text_claim(struct buffer *out, const struct who_view *view, const struct event *event)
{
	CLEANUP(text_free) struct text text = {.out = out, .view = view};
	CLEANUP_FREE char *user = event->user ? strdup(event->user) : NULL;
	CLEANUP_FREE char *exe = NULL;
	const struct process *process = event->process;
	struct holder holder = {.pid = event->socket->pid,
				.uid = event->socket->uid,
				.start = event->socket->start};
	char words[MESSAGE_MAX];

	escape_plain(line_begin(&text), words, message_sentence(event, words));
	line_end(&text, COLOR_BOLD);
	memcpy(holder.comm, event->socket->comm, WIRE_COMM);
	if (process) {
		memcpy(holder.comm, process->comm, sizeof(holder.comm));
		if (process->exe)
			exe = strndup(process->exe, process->exe_length);
		holder.exe = exe;
		holder.exe_deleted = process->flags & WIRE_EXE_DELETED;
		holder.container = process->container;
		holder.args = (char *)(uintptr_t)process->args;
		holder.args_length = process->args_length;
	}
	holder.user = user;
	holder_print(&text, &holder);
}
