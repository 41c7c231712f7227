/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "lib/cleanup.h"
#include "lib/parse.h"
#include "sink/url.h"

#define BIT(kind) (1u << (kind))
#define LINES                                                                                      \
	(BIT(SINK_STDOUT) | BIT(SINK_FILE) | BIT(SINK_UNIX) | BIT(SINK_TCP) | BIT(SINK_SYSLOG))
#define REQUESTS (BIT(SINK_OTLP) | BIT(SINK_CLICKHOUSE))
#define ALL (BIT(SINK_KINDS) - 1)

#define NAME_SHOWN 32 /* bytes of what is no option's name */
#define KEEP_MOST 10000
#define KEEP_USUAL 5
#define PATH_MOST (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

typedef const char *target_parser(struct sink_spec *spec);

/* Each returns NULL, or what would be right. */

static const char *target_none(struct sink_spec *spec)
{
	return *spec->target ? "stdout, without more" : NULL;
}

static const char *target_file(struct sink_spec *spec)
{
	if (!*spec->target || spec->target[strlen(spec->target) - 1] == '/')
		return "file:PATH, as in file:/var/log/portsnoop/events.json";
	spec->path = strdup(spec->target);
	return NULL;
}

static const char *path_take(struct sink_spec *spec, const char *path, const char *expected)
{
	if (!*path || strlen(path) > PATH_MOST)
		return expected;
	spec->path = strdup(path);
	return NULL;
}

static const char *target_unix(struct sink_spec *spec)
{
	return path_take(spec, spec->target, "unix:PATH, a socket's path of at most 107 bytes");
}

static const char *target_journald(struct sink_spec *spec)
{
	if (!*spec->target)
		return NULL;
	return path_take(spec, spec->target,
			 "journald, or journald:PATH, a socket's path of at most 107 bytes");
}

static const char *target_tcp(struct sink_spec *spec)
{
	return host_split(spec->target, &spec->host, &spec->port)
		       ? "tcp:HOST:PORT, as in tcp:logs.example.org:5170 or tcp:[::1]:5170"
		       : NULL;
}

static const char *target_syslog(struct sink_spec *spec)
{
	static const char expected[] = "syslog, syslog:unix:PATH, syslog:udp:HOST:PORT or "
				       "syslog:tcp:HOST:PORT";
	const char *target = spec->target;

	spec->scheme = SCHEME_UNIX;
	if (!*target)
		return NULL;
	if (!strncmp(target, "unix:", 5))
		return path_take(spec, target + 5, expected);
	if (!strncmp(target, "udp:", 4))
		spec->scheme = SCHEME_UDP;
	else if (!strncmp(target, "tcp:", 4))
		spec->scheme = SCHEME_TCP;
	else
		return expected;
	return host_split(target + 4, &spec->host, &spec->port) ? expected : NULL;
}

/* What is missing afterwards, memory was too short for: spec_is_whole(). */
static void url_take(struct sink_spec *spec, struct url *url, const char *path, const char *port,
		     const char *tls_port)
{
	struct buffer text = BUFFER_EMPTY;

	if (!url->port)
		url->port = strdup(url->tls ? tls_port : port);
	buffer_text(&text, url->tls ? "https://" : "http://");
	buffer_printf(&text, strchr(url->host, ':') ? "[%s]" : "%s", url->host);
	buffer_printf(&text, ":%s%s", url->port ? url->port : "", *url->path ? url->path : path);
	buffer_byte(&text, '\0');
	if (text.failed || !url->port) {
		buffer_free(&text);
		return;
	}
	spec->url = text.data;
	spec->host = TAKE_POINTER(url->host);
	spec->port = TAKE_POINTER(url->port);
	spec->user = TAKE_POINTER(url->user);
	spec->password = TAKE_POINTER(url->password);
}

static const char *target_otlp(struct sink_spec *spec)
{
	static const char expected[] = "otlp:URL, as in otlp:http://127.0.0.1:4318/v1/logs, with "
				       "http or https, and no query";
	CLEANUP(url_free) struct url url = {0};

	if (url_parse(spec->target, &url) || url.query)
		return expected;
	url_take(spec, &url, "/v1/logs", "80", "443");
	return NULL;
}

/* [A-Za-z_][A-Za-z0-9_]*, once or twice with a dot between. */
static bool table_is_right(const char *name)
{
	unsigned int parts = 0;

	for (;;) {
		size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
					     "0123456789");

		if (!length || (*name >= '0' && *name <= '9') || ++parts > 2)
			return false;
		name += length;
		if (!*name)
			return true;
		if (*name++ != '.')
			return false;
	}
}

static const char *target_clickhouse(struct sink_spec *spec)
{
	static const char expected[] =
		"clickhouse:URL, as in clickhouse:http://user:password@db.example.org:8123/"
		"?table=portsnoop.events, with http or https, no path, and nothing but the table in "
		"the query";
	CLEANUP(url_free) struct url url = {0};
	const char *table = "portsnoop.events";

	if (url_parse(spec->target, &url) || (*url.path && strcmp(url.path, "/") != 0))
		return expected;
	if (url.query) {
		if (strncmp(url.query, "table=", 6) != 0)
			return expected;
		table = url.query + 6;
	}
	if (!table_is_right(table))
		return expected;
	spec->table = strdup(table);
	url_take(spec, &url, "/", "8123", "8443");
	return NULL;
}

static const struct {
	const char *name;
	target_parser *target;
} kinds[SINK_KINDS] = {
	[SINK_STDOUT] = {"stdout", target_none},
	[SINK_FILE] = {"file", target_file},
	[SINK_UNIX] = {"unix", target_unix},
	[SINK_TCP] = {"tcp", target_tcp},
	[SINK_SYSLOG] = {"syslog", target_syslog},
	[SINK_JOURNALD] = {"journald", target_journald},
	[SINK_OTLP] = {"otlp", target_otlp},
	[SINK_CLICKHOUSE] = {"clickhouse", target_clickhouse},
};

/* ---- options ---- */

static const char *set_format(struct sink_spec *spec, const char *value)
{
	spec->format = strcmp(value, "table") != 0 ? format_find(value) : NULL;
	return spec->format ? NULL : "format=ecs, otlp, ocsf or csv";
}

static const char *set_args(struct sink_spec *spec, const char *value)
{
	spec->args = !strcmp(value, "yes");
	return spec->args || !strcmp(value, "no") ? NULL : "args=yes or args=no";
}

static const char *set_spool(struct sink_spec *spec, const char *value)
{
	const char *expected;

	if (!strcmp(value, "0")) {
		spec->spool = 0;
		return NULL;
	}
	return parse_size(value, &spec->spool, &expected) ? "spool=SIZE, as in spool=1G, or spool=0"
							  : NULL;
}

static const char *set_rotate_size(struct sink_spec *spec, const char *value)
{
	const char *expected;

	return parse_size(value, &spec->rotate_size, &expected)
		       ? "rotate-size=SIZE, as in rotate-size=100M"
		       : NULL;
}

static const char *set_rotate_age(struct sink_spec *spec, const char *value)
{
	const char *expected;

	return parse_duration(value, &spec->rotate_age, &expected)
		       ? "rotate-age=TIME, as in rotate-age=1d"
		       : NULL;
}

static const char *set_keep(struct sink_spec *spec, const char *value)
{
	return parse_unsigned(value, 1, KEEP_MOST, &spec->keep)
		       ? "keep=N, old files, from 1 to 10000"
		       : NULL;
}

static const char *set_ca(struct sink_spec *spec, const char *value)
{
	if (!*value)
		return "ca=FILE, certificates in PEM";
	free(spec->ca);
	spec->ca = strdup(value);
	return NULL;
}

static const char *set_headers(struct sink_spec *spec, const char *value)
{
	if (!*value)
		return "header-file=FILE, with lines NAME: VALUE";
	free(spec->headers);
	spec->headers = strdup(value);
	return NULL;
}

static const struct {
	const char *name;
	unsigned int kinds;
	const char *(*set)(struct sink_spec *spec, const char *value);
} options[] = {
	{"format", LINES, set_format},
	{"args", ALL, set_args},
	{"spool", ALL & ~BIT(SINK_STDOUT), set_spool},
	{"rotate-size", BIT(SINK_FILE), set_rotate_size},
	{"rotate-age", BIT(SINK_FILE), set_rotate_age},
	{"keep", BIT(SINK_FILE), set_keep},
	{"ca", REQUESTS, set_ca},
	{"header-file", REQUESTS, set_headers},
};

#define OPTIONS (sizeof(options) / sizeof(*options))

/* The options that a kind has, for a name that it has not. */
static void options_tell(enum sink_kind kind, const char *name, struct buffer *words)
{
	const size_t length = strcspn(name, "=");
	unsigned int told = 0;

	/* Without its value, which could be a password. */
	buffer_printf(words, "options of %s ('%.*s%s' is none): ", kinds[kind].name,
		      (int)(length < NAME_SHOWN ? length : NAME_SHOWN), name,
		      length < NAME_SHOWN ? "" : "...");
	for (size_t i = 0; i < OPTIONS; i++)
		if (options[i].kinds & BIT(kind))
			buffer_printf(words, "%s%s=", told++ ? ", " : "", options[i].name);
}

static bool option_take(struct sink_spec *spec, const char *part, unsigned int *given,
			struct buffer *words)
{
	size_t length = strcspn(part, "=");
	const char *expected;

	for (size_t i = 0; i < OPTIONS; i++) {
		if (strlen(options[i].name) != length || strncmp(options[i].name, part, length) ||
		    !(options[i].kinds & BIT(spec->kind)))
			continue;
		if (*given & 1u << i) {
			buffer_printf(words, "%s= once", options[i].name);
			return false;
		}
		*given |= 1u << i;
		expected = options[i].set(spec, part[length] ? part + length + 1 : "");
		if (expected)
			buffer_text(words, expected);
		return !expected;
	}
	options_tell(spec->kind, part, words);
	return false;
}

/* ---- a spec ---- */

static void spec_free(struct sink_spec *spec)
{
	free(spec->text);
	free(spec->name);
	free(spec->target);
	free(spec->path);
	free(spec->host);
	free(spec->port);
	free(spec->url);
	free(spec->user);
	free(spec->password);
	free(spec->table);
	free(spec->ca);
	free(spec->headers);
	*spec = (struct sink_spec){0};
}

/* A comma that belongs to a path. */
static void commas_restore(char *text)
{
	char *to = text;

	for (; *text; text++)
		if (text[0] == '%' && text[1] == '2' && (text[2] == 'C' || text[2] == 'c')) {
			*to++ = ',';
			text += 2;
		} else {
			*to++ = *text;
		}
	*to = '\0';
}

/* For messages, metrics, and the folder of its spool. */
static void name_make(struct sink_spec *spec, struct buffer *name)
{
	buffer_text(name, kinds[spec->kind].name);
	if (spec->url) {
		buffer_byte(name, ':');
		buffer_text(name, spec->url);
		if (spec->table)
			buffer_printf(name, "?table=%s", spec->table);
	} else if (*spec->target) {
		buffer_byte(name, ':');
		buffer_text(name, spec->target);
	}
	buffer_byte(name, '\0');
}

static bool kind_take(struct sink_spec *spec, const char *text, size_t length, struct buffer *words)
{
	size_t named = strcspn(text, ":,");

	for (unsigned int kind = 0; kind < SINK_KINDS && named + 1 != length; kind++)
		if (strlen(kinds[kind].name) == named && !strncmp(kinds[kind].name, text, named)) {
			spec->kind = kind;
			spec->target = named < length
					       ? strndup(text + named + 1, length - named - 1)
					       : strdup("");
			return true;
		}
	buffer_text(words, "stdout, file:PATH, unix:PATH, tcp:HOST:PORT, "
			   "syslog[:unix:PATH|:udp:HOST:PORT|:tcp:HOST:PORT], journald[:PATH], "
			   "otlp:URL or clickhouse:URL, and behind it ,NAME=VALUE for each option");
	return false;
}

/* False: `words` says what would be right, or memory has run out. */
static bool spec_parse(struct sink_spec *spec, const char *text, struct buffer *words)
{
	CLEANUP_FREE char *parts = NULL;
	size_t length = strcspn(text, ",");
	unsigned int given = 0;
	const char *expected;

	spec->text = strdup(text);
	spec->spool = SPOOL_MOST;
	spec->keep = KEEP_USUAL;
	if (!spec->text)
		return false;
	if (!kind_take(spec, text, length, words) || !spec->target)
		return false;
	if (!(BIT(spec->kind) & REQUESTS))
		commas_restore(spec->target);
	expected = kinds[spec->kind].target(spec);
	if (expected) {
		buffer_text(words, expected);
		return false;
	}
	if (spec->kind == SINK_STDOUT)
		spec->spool = 0;
	spec->args = !sink_is_remote(spec);
	if (!text[length])
		return true;
	parts = strdup(text + length + 1);
	for (char *part = parts, *next; part; part = next) {
		next = strchr(part, ',');
		if (next)
			*next++ = '\0';
		if (!option_take(spec, part, &given, words))
			return false;
	}
	return parts != NULL;
}

static bool spec_is_whole(const struct sink_spec *spec)
{
	bool path = spec->kind == SINK_FILE || spec->kind == SINK_UNIX ||
		    (spec->kind == SINK_JOURNALD && *spec->target) ||
		    (spec->kind == SINK_SYSLOG && !strncmp(spec->target, "unix:", 5));
	bool network = spec->kind == SINK_TCP || BIT(spec->kind) & REQUESTS ||
		       (spec->kind == SINK_SYSLOG && spec->scheme != SCHEME_UNIX);

	return spec->name && (!path || spec->path) && (!network || (spec->host && spec->port)) &&
	       (!(BIT(spec->kind) & REQUESTS) || spec->url) &&
	       (spec->kind != SINK_CLICKHOUSE || spec->table);
}

/* Words that live as long as the list. -EINVAL. */
static int list_refuse(struct sink_list *list, struct buffer *words, const char **expected)
{
	buffer_byte(words, '\0');
	if (words->failed || words->length == 1)
		return -ENOMEM;
	free(list->expected);
	list->expected = words->data;
	*words = BUFFER_EMPTY;
	*expected = list->expected;
	return -EINVAL;
}

static void words_free(struct buffer *words)
{
	buffer_free(words);
}

int sink_list_set(const char *argument, void *target, const char **expected)
{
	struct sink_list *list = target;
	CLEANUP(words_free) struct buffer words = BUFFER_EMPTY;
	CLEANUP(spec_free) struct sink_spec spec = {0};
	struct buffer name = BUFFER_EMPTY;
	struct sink_spec *grown;

	if (!spec_parse(&spec, argument, &words))
		return list_refuse(list, &words, expected);
	name_make(&spec, &name);
	spec.name = name.data;
	if (name.failed || !spec_is_whole(&spec))
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->specs[i].name, spec.name)) {
			buffer_text(&words, "each destination once");
			return list_refuse(list, &words, expected);
		}
	if (list->count == SINKS_MOST) {
		buffer_printf(&words, "at most %d of them", SINKS_MOST);
		return list_refuse(list, &words, expected);
	}
	grown = reallocarray(list->specs, list->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	list->specs = grown;
	list->specs[list->count++] = spec;
	spec = (struct sink_spec){0};
	return 0;
}

void sink_list_free(struct sink_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		spec_free(&list->specs[i]);
	free(list->specs);
	free(list->expected);
	*list = (struct sink_list){0};
}

bool sink_is_remote(const struct sink_spec *spec)
{
	return spec->host != NULL;
}

const char *sink_kind_name(enum sink_kind kind)
{
	return kinds[kind].name;
}
