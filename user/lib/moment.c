/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/moment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#define SECOND INT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define DAY_SECONDS 86400
#define ZONES "/usr/share/zoneinfo/"
#define TEXT_MOST 80
#define WORDS_MOST 4

static const char expected_moment[] =
	"a time like '2026-11-21 14:32:07', '2026-11-21 14:32', 2026-11-21, 14:32, "
	"'yesterday 14:32', yesterday, -1h30min, '2 hours ago', @1395716396 or "
	"2026-11-21T14:32:07Z";

enum zone_kind { ZONE_LOCAL, ZONE_OFFSET, ZONE_ABBREVIATION };

struct zone {
	enum zone_kind kind;
	int offset; /* seconds east */
	const char *abbreviation;
};

struct calendar {
	bool has_day, has_clock;
	bool word;	/* the day is today, yesterday or tomorrow */
	int day_offset; /* from today */
	int year, month, day;
	int hour, minute, second;
	int64_t ns;    /* below the second */
	int64_t width; /* of what the clock leaves open, ns */
};

/* One to `most` digits; NULL: there are none, or more. */
static const char *digits_take(const char *text, int most, int *number)
{
	int count = 0, value = 0;

	for (; text[count] >= '0' && text[count] <= '9'; count++) {
		if (count == most)
			return NULL;
		value = value * 10 + (text[count] - '0');
	}
	*number = value;
	return count ? text + count : NULL;
}

/* Digits behind a point: `unit` is divided by ten for each, and is what they leave open in
 * the end. False: there are none, or they are finer than what can be counted. */
static bool fraction_take(const char **text, int64_t *unit, int64_t *value)
{
	const char *at = *text;

	for (; *at >= '0' && *at <= '9'; at++) {
		if (*unit % 10)
			return false;
		*unit /= 10;
		*value += (*at - '0') * *unit;
	}
	if (at == *text)
		return false;
	*text = at;
	return true;
}

/* ---- a time since or until now ---- */

static const struct unit {
	const char *names[5];
	int64_t ns;
} units[] = {
	{{"s", "sec", "second", "seconds", ""}, SECOND},
	{{"m", "min", "minute", "minutes"}, MINUTE},
	{{"h", "hr", "hour", "hours"}, 60 * MINUTE},
	{{"d", "day", "days"}, DAY_SECONDS *SECOND},
	{{"w", "week", "weeks"}, 7 * DAY_SECONDS *SECOND},
	{{"M", "month", "months"}, 2629800 * SECOND}, /* a twelfth of the next */
	{{"y", "year", "years"}, 31557600 * SECOND},  /* 365.25 days */
	{{"ms", "msec"}, 1000000},
	{{"us", "usec", "\xc2\xb5s", "\xce\xbcs"}, 1000}, /* the micro sign, and a mu */
};

static int64_t unit_find(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		for (int j = 0; j < 5 && units[i].names[j]; j++)
			if (strlen(units[i].names[j]) == length &&
			    !memcmp(units[i].names[j], name, length))
				return units[i].ns;
	return 0;
}

static const char *spaces_skip(const char *text, const char *end)
{
	while (text < end && *text == ' ')
		text++;
	return text;
}

/* A number and its unit, as in "1.5h" or "30 min"; without one it is seconds. */
static const char *part_take(const char *text, const char *end, int64_t *sum)
{
	const char *number = text, *point = NULL, *unit;
	int64_t whole = 0, part = 0, ns;

	for (; text < end && *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, *text - '0', &whole))
			return NULL;
	if (text < end && *text == '.') {
		point = ++text;
		while (text < end && *text >= '0' && *text <= '9')
			text++;
	}
	if (point ? point == text || *text == '.' : number == text)
		return NULL;
	unit = text = spaces_skip(text, end);
	while (text < end && *text != ' ' && *text != '.' && (*text < '0' || *text > '9'))
		text++;
	ns = unit_find(unit, (size_t)(text - unit));
	if (!ns || __builtin_mul_overflow(whole, ns, &whole))
		return NULL;
	if (point && !fraction_take(&point, &ns, &part))
		return NULL;
	if (__builtin_add_overflow(whole, part, &whole) || __builtin_add_overflow(*sum, whole, sum))
		return NULL;
	return spaces_skip(text, end);
}

static bool span_parse(const char *text, const char *end, int64_t *ns)
{
	int64_t sum = 0;

	text = spaces_skip(text, end);
	if (text == end)
		return false;
	while (text && text < end)
		text = part_take(text, end, &sum);
	*ns = sum;
	return text;
}

/* The end of what stands before the word; NULL: the text does not end with it. */
static const char *suffix_find(const char *text, const char *word)
{
	size_t length = strlen(text), tail = strlen(word);

	if (length <= tail || strcmp(text + length - tail, word) != 0)
		return NULL;
	return text + length - tail;
}

static bool relative_parse(const char *text, int64_t now, int64_t *ns)
{
	const char *end = text + strlen(text);
	bool past = *text == '-';
	int64_t span;

	if (past || *text == '+') {
		if (end[-1] == ' ' || !span_parse(text + 1, end, &span))
			return false;
	} else {
		const char *ago = suffix_find(text, " ago"), *left = suffix_find(text, " left");

		past = ago;
		if ((!ago && !left) || *text == ' ' || !span_parse(text, ago ? ago : left, &span))
			return false;
	}
	if (past)
		return !__builtin_sub_overflow(now, span, ns);
	return !__builtin_add_overflow(now, span, ns);
}

static bool epoch_parse(const char *text, struct moment *moment)
{
	int64_t seconds = 0, unit = SECOND, part = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(seconds, 10, &seconds) ||
		    __builtin_add_overflow(seconds, *at - '0', &seconds))
			return false;
	if (at == text)
		return false;
	if (*at == '.' && (at++, !fraction_take(&at, &unit, &part)))
		return false;
	return !*at && !__builtin_mul_overflow(seconds, SECOND, &seconds) &&
	       !__builtin_add_overflow(seconds, part, &moment->ns) &&
	       !__builtin_add_overflow(moment->ns, unit - 1, &moment->last);
}

/* ---- a date and a time ---- */

static int month_days(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

static const char *date_take(const char *text, struct calendar *to)
{
	const char *at = digits_take(text, 4, &to->year);

	if (!at || *at != '-' || (at - text != 2 && at - text != 4))
		return NULL;
	if (at - text == 2)
		to->year += to->year < 70 ? 2000 : 1900;
	at = digits_take(at + 1, 2, &to->month);
	if (!at || *at != '-')
		return NULL;
	at = digits_take(at + 1, 2, &to->day);
	if (!at || to->year < 1970 || to->year > 2261 || to->month < 1 || to->month > 12 ||
	    to->day < 1 || to->day > month_days(to->year, to->month))
		return NULL;
	to->has_day = true;
	return at;
}

static const char *clock_take(const char *text, struct calendar *to)
{
	const char *at = digits_take(text, 2, &to->hour);

	if (!at || *at != ':')
		return NULL;
	at = digits_take(at + 1, 2, &to->minute);
	if (!at || to->hour > 23 || to->minute > 59)
		return NULL;
	to->width = MINUTE;
	if (*at == ':') {
		at = digits_take(at + 1, 2, &to->second);
		if (!at || to->second > 59)
			return NULL;
		to->width = SECOND;
		if (*at == '.' && (at++, !fraction_take(&at, &to->width, &to->ns)))
			return NULL;
	}
	to->has_clock = true;
	return at;
}

static bool day_word_take(const char *word, struct calendar *to)
{
	static const char *const words[] = {"yesterday", "today", "tomorrow"};

	for (int i = 0; i < 3; i++) {
		if (strcmp(word, words[i]) != 0)
			continue;
		to->has_day = to->word = true;
		to->day_offset = i - 1;
		return true;
	}
	return false;
}

/* 0 is Sunday; -1: it is none. */
static int weekday_find(const char *word)
{
	static const char *const names[] = {"Sunday",	"Monday", "Tuesday", "Wednesday",
					    "Thursday", "Friday", "Saturday"};

	for (int i = 0; i < 7; i++)
		if (!strcasecmp(word, names[i]) ||
		    (strlen(word) == 3 && !strncasecmp(word, names[i], 3)))
			return i;
	return -1;
}

/* "Z", "+01:00", "-0530", "+01" */
static bool offset_parse(const char *text, struct zone *zone)
{
	int sign = *text == '-' ? -1 : 1, hours, minutes = 0;
	const char *at;

	zone->kind = ZONE_OFFSET;
	if (!strcmp(text, "Z"))
		return true;
	if (*text != '+' && *text != '-')
		return false;
	at = digits_take(text + 1, 4, &hours);
	if (!at)
		return false;
	if (at - text == 5) {
		minutes = hours % 100;
		hours /= 100;
	} else if (at - text != 3) {
		return false;
	} else if (*at == ':') {
		text = at + 1;
		at = digits_take(text, 2, &minutes);
		if (!at || at - text != 2)
			return false;
	}
	if (*at || hours > 14 || minutes > 59)
		return false;
	zone->offset = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool zone_file_exists(const char *name)
{
	char path[sizeof(ZONES) + TEXT_MOST];
	struct stat file;

	if (name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+"
			      "/")] ||
	    *name == '/' || *name == '-' || *name == '+')
		return false;
	snprintf(path, sizeof(path), ZONES "%s", name);
	return !stat(path, &file) && S_ISREG(file.st_mode);
}

static bool zone_parse(const char *word, struct zone *zone, const char **name)
{
	if (offset_parse(word, zone))
		return true;
	if (!strcasecmp(word, "UTC"))
		return true; /* as an offset of 0 */
	zone->kind = ZONE_ABBREVIATION;
	zone->abbreviation = word;
	for (int i = 0; i < 2; i++)
		if (tzname[i] && !strcmp(word, tzname[i]))
			return true;
	zone->kind = ZONE_LOCAL;
	*name = word;
	return zone_file_exists(word);
}

static int words_split(char *text, char **words)
{
	int count = 0;

	while (*text) {
		if (count == WORDS_MOST)
			return 0;
		words[count++] = text;
		text += strcspn(text, " ");
		while (*text == ' ')
			*text++ = '\0';
	}
	return count;
}

/* The seconds since 1970 of that day and time if it was one of UTC. Days may be beyond the
 * month. */
static int64_t utc_seconds(const struct calendar *date, int days)
{
	struct tm time = {
		.tm_year = date->year - 1900,
		.tm_mon = date->month - 1,
		.tm_mday = date->day + days,
		.tm_hour = date->hour,
		.tm_min = date->minute,
		.tm_sec = date->second,
	};

	return timegm(&time);
}

static bool offset_at(int64_t second, int64_t *offset, const struct zone *zone)
{
	time_t time = (time_t)second;
	struct tm local;

	if (zone->kind == ZONE_OFFSET) {
		*offset = zone->offset;
		return true;
	}
	if (!localtime_r(&time, &local))
		return false;
	*offset = local.tm_gmtoff;
	return zone->kind != ZONE_ABBREVIATION || !strcmp(local.tm_zone, zone->abbreviation);
}

/*
 * mktime() finds a time that comes twice, or not at all, by what it was asked before, so
 * the two offsets around it are tried. The rules of a zone change less than once in two
 * days.
 */
static bool zone_resolve(int64_t wall, const struct zone *zone, int64_t *second)
{
	const struct zone any = {.kind = zone->kind == ZONE_OFFSET ? ZONE_OFFSET : ZONE_LOCAL,
				 .offset = zone->offset};
	int64_t before, behind, found;

	if (!offset_at(wall - DAY_SECONDS, &before, &any) ||
	    !offset_at(wall + DAY_SECONDS, &behind, &any))
		return false;
	*second = wall - (before > behind ? before : behind);
	for (int i = 0; i < 2; i++) {
		if (offset_at(*second, &found, zone) && *second + found == wall)
			return true;
		*second = wall - (before > behind ? behind : before);
	}
	*second = wall - before;
	return zone->kind != ZONE_ABBREVIATION;
}

static bool today_set(struct calendar *date, int64_t now, const struct zone *zone)
{
	time_t second = (time_t)(now / SECOND) + zone->offset;
	struct tm today;

	if (zone->kind == ZONE_OFFSET ? !gmtime_r(&second, &today) : !localtime_r(&second, &today))
		return false;
	date->year = today.tm_year + 1900;
	date->month = today.tm_mon + 1;
	date->day = today.tm_mday + date->day_offset;
	return true;
}

/* 1970-01-01 was a Thursday. */
static int weekday_of(const struct calendar *date)
{
	return (int)((utc_seconds(date, 0) / DAY_SECONDS + 4) % 7);
}

static bool calendar_resolve(struct calendar *date, const struct zone *zone, int weekday,
			     int64_t now, struct moment *moment)
{
	bool today = !date->has_day || date->word;
	int64_t second, next;

	if (today && !today_set(date, now, zone))
		return false;
	if (weekday >= 0 && weekday != weekday_of(date))
		return false;
	if (!zone_resolve(utc_seconds(date, 0), zone, &second) ||
	    __builtin_mul_overflow(second, SECOND, &moment->ns))
		return false;
	moment->ns += date->ns;
	moment->clock = !date->has_day;
	if (date->has_clock)
		return !__builtin_add_overflow(moment->ns, date->width - 1, &moment->last);
	if (!zone_resolve(utc_seconds(date, 1), zone, &next) ||
	    __builtin_mul_overflow(next, SECOND, &moment->last))
		return false;
	moment->last--;
	return true;
}

/* In another time zone. */
static bool calendar_resolve_in(const char *name, struct calendar *date, const struct zone *zone,
				int weekday, int64_t now, struct moment *moment)
{
	const char *local = getenv("TZ");
	char *saved = local ? strdup(local) : NULL;
	bool resolved = false;

	if (local && !saved)
		return false;
	if (!setenv("TZ", name, 1)) {
		tzset();
		resolved = calendar_resolve(date, zone, weekday, now, moment);
	}
	if (saved ? setenv("TZ", saved, 1) : unsetenv("TZ"))
		resolved = false;
	free(saved);
	tzset();
	return resolved;
}

/* Takes one word of a date and time; *rest is what follows a time. False: it is none that
 * may stand here. */
static bool word_take(const char *word, struct calendar *date, const char **rest)
{
	const char *end;

	if (!date->has_day && day_word_take(word, date))
		return true;
	if (date->has_clock)
		return false;
	if (!date->has_day) {
		end = date_take(word, date);
		if (end && !*end)
			return true;
		if (end && *end != 'T')
			return false;
		if (end)
			word = end + 1;
	}
	end = clock_take(word, date);
	if (end)
		*rest = end;
	return end;
}

static bool calendar_parse(const char *text, int64_t now, struct moment *moment)
{
	struct calendar date = {0};
	struct zone zone = {0};
	char room[TEXT_MOST], *words[WORDS_MOST];
	const char *rest = "", *name = NULL;
	int count, weekday, at;

	if (strlen(text) >= sizeof(room) || *text == ' ' || text[strlen(text) - 1] == ' ')
		return false;
	memcpy(room, text, strlen(text) + 1);
	count = words_split(room, words);
	if (!count)
		return false;
	tzset();
	weekday = weekday_find(words[0]);
	for (at = weekday >= 0; at < count && !*rest; at++)
		if (!word_take(words[at], &date, &rest))
			break;
	if ((!date.has_day && !date.has_clock) || (date.word && weekday >= 0))
		return false;
	if (*rest ? at < count || !offset_parse(rest, &zone)
		  : at < count && (at + 1 < count || !zone_parse(words[at], &zone, &name)))
		return false;
	if (name)
		return calendar_resolve_in(name, &date, &zone, weekday, now, moment);
	return calendar_resolve(&date, &zone, weekday, now, moment);
}

int moment_parse(const char *text, int64_t now, struct moment *moment, const char **expected)
{
	struct moment found = {0};
	bool valid;

	if (!*text) {
		valid = false;
	} else if (!strcmp(text, "now")) {
		found.ns = found.last = now;
		valid = true;
	} else if (*text == '@') {
		valid = epoch_parse(text + 1, &found);
	} else if (relative_parse(text, now, &found.ns)) {
		found.last = found.ns;
		valid = true;
	} else {
		valid = calendar_parse(text, now, &found);
	}
	if (!valid || found.ns < 0) {
		*expected = expected_moment;
		return -EINVAL;
	}
	*moment = found;
	return 0;
}
